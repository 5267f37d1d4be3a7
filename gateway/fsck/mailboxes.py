"""Mailboxes: each delivered document lies in its owner's mailbox once, and each number is sound."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from gateway.domain.document import DeliveryState
from gateway.exchange.cabinet import INBOX
from gateway.exchange.mailroom import DOCUMENT
from gateway.exchange.mailroom import tables as mail
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.standing import Standing
from mailboxes.flags import SEEN, parted
from mailboxes.folders import REMOVED

_OURS = (DOCUMENT, "receipt", "summary", "alert", "answer")


def check_mailboxes(dossier: Dossier, standing: Standing, found: Findings) -> None:
    """The contents and messages of one document or refusal."""
    for code, subject, what in dossier.faults:
        found.add(code, subject, what)
    known = dossier.document is not None or dossier.refusal is not None
    for content in dossier.contents:
        found.counts["contents"] += 1
        found.counts["messages"] += len(content.messages)
        for message in content.messages:
            _check_message(message, found)
        if content.kind in _OURS and not known:
            found.add(
                Code.CONTENT_UNKNOWN, content.id,
                f"message content {content.id} is a {content.kind} of {dossier.id}, which does not "
                "exist",
            )  # fmt: skip
        elif (
            content.view is not None
            and dossier.document is not None
            and (content.blob != dossier.id or content.view.size_original != dossier.document.size)
        ):
            found.add(
                Code.CONTENT_SIZE, content.id,
                f"message content {content.id} shows another size or blob than document "
                f"{dossier.id} has",
            )  # fmt: skip
    if dossier.document is not None:
        _check_places(dossier, dossier.document, standing, found)


def _check_message(message: Row[Any], found: Findings) -> None:
    place = f"of {_named(message.folder, message.folder_id)} of {message.owner}"
    if bool(message.seen) != (SEEN in parted(message.flags)):
        found.add(
            Code.MESSAGE_SEEN, message.id, f"message {message.id} {place} counts as read against "
            "its flags", folder=message.folder_id,
        )  # fmt: skip
    if message.uid >= message.uidnext:
        found.add(
            Code.FOLDER_UIDNEXT, message.folder_id,
            f"the next message {place} would get a UID that is in use",
        )  # fmt: skip
    if message.modseq > message.highest:
        found.add(
            Code.FOLDER_MODSEQ, message.folder_id,
            f"a message {place} has a higher modification sequence than the folder",
        )  # fmt: skip


def _check_places(
    dossier: Dossier, document: Row[Any], standing: Standing, found: Findings
) -> None:
    """Who should have the document has it; nobody has it twice; nobody else has it."""
    held: dict[str, set[int]] = {}
    for content in dossier.shown(DOCUMENT):
        for owner in content.owners:
            held.setdefault(owner, set()).add(content.id)
    senders = standing.senders(document.mail_from)
    consigned = [one for one in dossier.deliveries if one.state != DeliveryState.FAILED]
    owners = {one.owner for one in consigned}
    for one in consigned:
        own = one.owner in senders and one.owner in standing.mailboxes and standing.keeps_copy(
            document.mail_from, document.received_at
        )  # fmt: skip
        if len(held.get(one.owner, ())) < 1 + own and not dossier.has_removed(DOCUMENT, one.owner):
            found.add(
                Code.MESSAGE_MISSING, one.id,
                f"document {dossier.id} is not in the mailbox of {one.owner}, to whom it was "
                "delivered",
                document=dossier.id, owner=one.owner,
            )  # fmt: skip
    for owner, contents in held.items():
        if len(contents) > (owner in owners) + (owner in senders):
            if owner in owners or owner in senders:
                found.add(
                    Code.MESSAGE_DOUBLE, f"{dossier.id} {owner}",
                    f"document {dossier.id} lies {len(contents)} times in the mailbox of {owner}",
                )  # fmt: skip
            elif _is_in_inbox(dossier, owner) and not standing.are_read_together(
                owner, owners | senders
            ):
                found.add(
                    Code.MESSAGE_UNPROMISED, f"{dossier.id} {owner}",
                    f"document {dossier.id} lies in the INBOX of {owner}, to whom it was not "
                    "delivered",
                )  # fmt: skip
    if senders.isdisjoint(owners) and senders.isdisjoint(held):
        _check_own_copy(dossier, document, standing, found)


def _check_own_copy(
    dossier: Dossier, document: Row[Any], standing: Standing, found: Findings
) -> None:
    senders = standing.senders(document.mail_from)
    if any(dossier.has_removed(DOCUMENT, owner) for owner in senders):
        return
    if standing.keeps_copy(document.mail_from, document.received_at):
        found.add(
            Code.SENT_MISSING, dossier.id,
            f"{document.mail_from} has no copy of document {dossier.id}, which it sent",
            document=dossier.id,
        )  # fmt: skip


def _is_in_inbox(dossier: Dossier, owner: str) -> bool:
    return any(
        message.folder == INBOX and message.owner == owner
        for content in dossier.shown(DOCUMENT)
        for message in content.messages
    )


def check_folders(connection: Connection, found: Findings) -> None:
    """What whole folders promise, beside what their messages were compared with."""
    folders, owners, gone = mail.folders.c, mail.owners.c, mail.expunged.c
    late = (
        select(owners.owner)
        .join(mail.folders, owners.id == folders.owner_id)
        .where(folders.uidvalidity > owners.uidvalidity)
        .distinct()
    )
    for owner in connection.scalars(late):
        found.add(
            Code.FOLDER_UIDVALIDITY, owner,
            f"a folder of {owner} has a higher UIDVALIDITY than its mailbox knows of",
        )  # fmt: skip
    highest = (
        select(
            gone.folder_id, func.max(gone.uid).label("uid"), func.max(gone.modseq).label("modseq")
        )
        .group_by(gone.folder_id)
        .subquery()
    )
    beyond = (
        select(folders.id, folders.name, folders.uidnext, folders.modseq, highest.c.uid,
               highest.c.modseq.label("gone"))
        .join(highest, highest.c.folder_id == folders.id)
        .where(or_(highest.c.uid >= folders.uidnext, highest.c.modseq > folders.modseq))
    )  # fmt: skip
    for folder in connection.execute(beyond):
        name = _named(folder.name, folder.id)
        if folder.uid >= folder.uidnext:
            found.add(
                Code.FOLDER_UIDNEXT, folder.id,
                f"the next message of {name} would get a UID that was in use",
            )  # fmt: skip
        if folder.gone > folder.modseq:
            found.add(
                Code.FOLDER_MODSEQ, folder.id,
                f"a removed message of {name} has a higher modification "
                "sequence than the folder",
            )  # fmt: skip
    reused = select(mail.messages.c.id, mail.messages.c.folder_id, gone.uid).join(
        mail.messages,
        and_(mail.messages.c.folder_id == gone.folder_id, mail.messages.c.uid == gone.uid),
    )
    for message in connection.execute(reused):
        found.add(
            Code.UID_REUSED, message.id,
            f"message {message.id} has UID {message.uid}, under which another was removed",
            folder=message.folder_id,
        )  # fmt: skip
    _check_counts(connection, found)
    found.counts["folders"] += connection.execute(
        select(func.count()).select_from(mail.folders)
    ).scalar_one()


def _check_counts(connection: Connection, found: Findings) -> None:
    """What a folder says of itself against what is in it, all in one statement: the daemon goes on.

    A folder that was removed is empty; only its row remembers what was in it.
    """
    folders, messages, contents = mail.folders.c, mail.messages.c, mail.contents.c
    inside = (
        select(
            messages.folder_id,
            func.count().label("messages"),
            func.sum(contents.size).label("octets"),
        )
        .join(mail.contents, contents.id == messages.content_id)
        .group_by(messages.folder_id)
        .subquery()
    )
    number, octets = func.coalesce(inside.c.messages, 0), func.coalesce(inside.c.octets, 0)
    query = (
        select(folders.id, folders.name, mail.owners.c.owner, folders.messages, folders.octets,
               folders.recent, folders.uidnext, number.label("number"), octets.label("size"))
        .join(mail.owners, mail.owners.c.id == folders.owner_id)
        .outerjoin(inside, inside.c.folder_id == folders.id)
        .where(
            or_(
                folders.messages != number, folders.octets != octets,
                folders.recent > folders.uidnext,
                and_(folders.name.startswith(REMOVED), number > 0),
            )
        )
    )  # fmt: skip
    for row in connection.execute(query):
        name = f"{_named(row.name, row.id)} of {row.owner}"
        if row.name.startswith(REMOVED) and row.number:
            found.add(
                Code.FOLDER_REMOVED, row.id,
                f"{row.number} messages lie in {name}, where nobody sees them",
            )  # fmt: skip
        if (row.messages, row.octets) != (row.number, row.size):
            found.add(
                Code.FOLDER_COUNTS, row.id,
                f"{name} counts {row.messages} messages of {row.octets} octets, but has "
                f"{row.number} of {row.size}",
            )  # fmt: skip
        elif row.recent > row.uidnext:
            found.add(
                Code.FOLDER_COUNTS, row.id,
                f"{name} calls UIDs recent that it has not given yet",
            )  # fmt: skip


def _named(name: str, folder_id: int) -> str:
    """The folder as a sentence names it; one that was removed has no name any more."""
    if name.startswith(REMOVED):
        return f"a removed folder ({folder_id})"
    return f"folder {name} ({folder_id})"
