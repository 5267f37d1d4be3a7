"""The folders that each mailbox is born with, named in its owner's language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from gateway.directory.model import Owner, OwnerKind
from mailboxes.rows import FolderSpec
from mailboxes.store import MailboxStore

INBOX = "INBOX"
_SENT = {"zh-CN": "已发送", "en": "Sent"}
_RECEIPTS = {"zh-CN": "回执", "en": "Receipts"}
_TRASH = {"zh-CN": "已删除", "en": "Trash"}
_DRAWERS = {
    "zh-CN": ("文件柜", "文件柜/收文", "文件柜/发文", "文件柜/信息", "文件柜/会议"),
    "en": (
        "Cabinet",
        "Cabinet/Incoming",
        "Cabinet/Outgoing",
        "Cabinet/Reports",
        "Cabinet/Meetings",
    ),
}


def furnish(
    store: MailboxStore, connection: Connection, owners: Iterable[Owner], now: datetime
) -> None:
    """Make the mailboxes that are not there yet, each with its folders."""
    for owner in owners:
        tongue = owner.language if owner.language in _SENT else "en"
        specs = [
            FolderSpec(INBOX),
            FolderSpec(_SENT[tongue], special_use="\\Sent"),
            FolderSpec(_RECEIPTS[tongue]),
            FolderSpec(_TRASH[tongue], special_use="\\Trash"),
        ]
        if owner.kind is OwnerKind.UNIT:
            specs += [FolderSpec(name) for name in _DRAWERS[tongue]]
        store.ensure_mailbox(connection, owner.key, specs, now)


def furnish_new(
    store: MailboxStore, connection: Connection, owners: Iterable[Owner], now: datetime
) -> None:
    """Make the mailboxes of those owners that have none; the others are not looked into."""
    there = set(store.owners(connection))
    furnish(store, connection, [owner for owner in owners if owner.key not in there], now)


def inboxes(
    store: MailboxStore, connection: Connection, owners: Iterable[Owner], now: datetime
) -> dict[str, int]:
    """Folder id of each owner's INBOX, by owner key; missing mailboxes are made."""
    wanted = {owner.key: owner for owner in owners}
    found = store.folder_ids(connection, list(wanted), INBOX)
    missing = [owner for key, owner in wanted.items() if key not in found]
    if missing:
        furnish(store, connection, missing, now)
        found.update(store.folder_ids(connection, [owner.key for owner in missing], INBOX))
    return found


def sent(store: MailboxStore, connection: Connection, owner: Owner, now: datetime) -> int:
    """Folder id of the owner's Sent, in whatever language it was made."""
    return _named(store, connection, owner, now, _SENT.values())


def receipts(store: MailboxStore, connection: Connection, owner: Owner, now: datetime) -> int:
    """Folder id of the owner's 回执, in whatever language it was made."""
    return _named(store, connection, owner, now, _RECEIPTS.values())


def _named(
    store: MailboxStore, connection: Connection, owner: Owner, now: datetime, names: Iterable[str]
) -> int:
    candidates = list(names)
    for attempt in range(2):
        for name in candidates:
            found = store.folder_ids(connection, [owner.key], name)
            if found:
                return found[owner.key]
        if attempt == 0:
            furnish(store, connection, [owner], now)
    raise LookupError(f"the mailbox {owner.key} lacks the folder {candidates[0]}")
