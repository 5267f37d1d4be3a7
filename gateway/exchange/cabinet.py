"""The folders that each mailbox is born with, named in its owner's language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.directory.model import Owner, OwnerKind
from gateway.domain.states import Act
from gateway.exchange.mailroom import tables as mail
from mailboxes.prepared import Prepared
from mailboxes.rows import FolderSpec
from mailboxes.store import MailboxStore

INBOX = "INBOX"
_SENT = {"zh-CN": "已发送", "en": "Sent"}
_RECEIPTS = {"zh-CN": "回执", "en": "Receipts"}
_DRAFTS = {"zh-CN": "草稿", "en": "Drafts"}
_TRASH = {"zh-CN": "已删除", "en": "Trash"}
_ARCHIVE = {"zh-CN": "归档", "en": "Archive"}
_TO_SIGN = {"zh-CN": "待签收", "en": "To sign"}
_SIGNED = {"zh-CN": "已签收", "en": "Signed"}
_TO_DO = {"zh-CN": "待办", "en": "To do"}
_RETURNED = {"zh-CN": "退文", "en": "Returned"}
_ACTS = {Act.SIGN_FOR: _SIGNED, Act.RETURN: _RETURNED}
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
            FolderSpec(_DRAFTS[tongue], special_use="\\Drafts"),
            FolderSpec(_TRASH[tongue], special_use="\\Trash"),
            FolderSpec(_ARCHIVE[tongue], special_use="\\Archive"),
        ]
        specs += [FolderSpec(names[tongue]) for names in (_TO_SIGN, _SIGNED, _TO_DO, _RETURNED)]
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


def to_sign(
    store: MailboxStore, connection: Connection, owners: Iterable[Owner], now: datetime
) -> dict[str, int]:
    """Folder id of each owner's 待签收, by owner key; missing mailboxes and folders are made."""
    wanted = {owner.key: owner for owner in owners}
    found: dict[str, int] = {}
    for attempt in range(2):
        for name in _TO_SIGN.values():
            missing = [key for key in wanted if key not in found]
            found.update(store.folder_ids(connection, missing, name))
        lacking = [owner for key, owner in wanted.items() if key not in found]
        if attempt == 0 and lacking:
            furnish(store, connection, lacking, now)
    return found


def act_of(folder: str) -> tuple[Act | None, str]:
    """What a person says who puts a document into the folder of that name, and the folder in it.

    The folders in 已签收 may bear persons' names: 已签收/张三.
    """
    top, _, inner = folder.partition("/")
    act = next((act for act, names in _ACTS.items() if top in names.values()), None)
    return act, inner


_WAITS = Prepared(
    select(mail.messages.c.id, mail.messages.c.folder_id, mail.folders.c.name)
    .join(mail.folders, mail.folders.c.id == mail.messages.c.folder_id)
    .join(mail.owners, mail.owners.c.id == mail.folders.c.owner_id)
    .join(mail.contents, mail.contents.c.id == mail.messages.c.content_id)
    .where(
        mail.owners.c.owner == bindparam("owner"),
        mail.folders.c.name.in_(_TO_SIGN.values()),
        mail.contents.c.key == bindparam("document"),
    )
)


def file_away(
    store: MailboxStore, connection: Connection, owner: str, document_id: str, act: Act,
    now: datetime,
) -> None:  # fmt: skip
    """What waits in 待签收 goes where the act's documents lie; what lies elsewhere stays there."""
    for row in _WAITS.all(connection, {"owner": owner, "document": document_id}):
        tongue = next(tongue for tongue, name in _TO_SIGN.items() if name == row.name)
        target = store.folder_ids(connection, [owner], _ACTS[act][tongue]).get(owner)
        if target is not None:
            store.move(connection, row.folder_id, [row.id], target, now=now)


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
