"""Heals mailboxes: missing messages, numbers of folders, flags, structures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from gateway.domain.address import Address
from gateway.domain.clock import moment
from gateway.domain.document import MessageClass, SealFinding, SealState, Urgency
from gateway.domain.submission import ClientInfo
from gateway.exchange import cabinet, prefix, views
from gateway.exchange.mailroom import tables as mail
from gateway.fsck.fault import Fault
from gateway.fsck.heal.tools import Tools
from mailboxes import imapdata
from mailboxes.content import Content, Source
from mailboxes.decode import decode_text
from mailboxes.encode import to_json
from mailboxes.flags import SEEN, parted
from mailboxes.folders import REMOVED
from mailboxes.scan import scan
from mailboxes.structure import Part
from mailboxes.view import View


@dataclass(frozen=True, slots=True)
class _Read:
    """What a view needs to know of the original."""

    structure: Part
    subject: str


def deliver_again(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The document is put into the INBOX of who has a delivery of it."""
    confirmed = tools.confirm(connection, fault, fault.clue["document"])
    if confirmed is None or confirmed[0].document is None:
        return ""
    owner = fault.clue["owner"]
    folder = tools.mailboxes.folder_ids(connection, [owner], cabinet.INBOX).get(owner)
    if folder is None:
        return ""
    directory = tools.standing(connection).directory
    known = next((one for one in directory.owners() if one.key == owner), None)
    variant = "zh-CN" if known is None else views.variant(known, directory)
    _append(connection, confirmed[0].document, variant, folder, [], tools)
    return f"document {fault.clue['document']} was put into the INBOX of {owner}"


def keep_copy_again(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The sender's own copy is put back."""
    confirmed = tools.confirm(connection, fault, fault.subject)
    if confirmed is None or confirmed[0].document is None:
        return ""
    document = confirmed[0].document
    owner = tools.standing(connection).directory.owner_of(Address.parse(document.mail_from))
    if owner is None:
        return ""
    folder = cabinet.sent(tools.mailboxes, connection, owner, tools.now)
    _append(connection, document, views.SENT, folder, [SEEN], tools)
    return f"a copy of document {document.id} was put back for {owner.key}"


def _append(
    connection: Connection,
    document: Row[Any],
    variant: str,
    folder: int,
    flags: list[str],
    tools: Tools,
) -> None:
    content = _content(connection, document, variant, tools)
    content_id = tools.mailboxes.add_content(connection, content, tools.now)
    tools.mailboxes.append(connection, [folder], content_id, flags=flags, now=tools.now)


def _content(connection: Connection, document: Row[Any], variant: str, tools: Tools) -> Content:
    """The view as it was made at acceptance, from the octets and the document's row."""
    with tools.blobs.open(document.id) as file:
        octets = file.read()
    structure = scan(octets)
    fields = (one.value for one in structure.fields if one.name.lower() == "subject")
    read = _Read(structure, decode_text(next(fields, b"")))
    account = tools.standing(connection).directory.account_by_id(document.account_id)
    outcome = prefix.Outcome(
        document_id=document.id,
        host=tools.host,
        sender=document.mail_from,
        login="" if account is None else account.login,
        client=ClientInfo(**json.loads(document.client)),
        received_at=moment(document.received_at),
        message_class=MessageClass(document.message_class),
        urgency=Urgency(document.urgency),
        number=document.number,
        seal=SealFinding(SealState(document.seal_state), document.seal_fingerprint),
        possible_duplicate=bool(document.possible_duplicate_of),
        answer_to=tools.answer_to(document.id, moment(document.received_at))
        if MessageClass(document.message_class).signed_for
        else "",
    )
    found = views.prepare(
        outcome, read, document.size, lambda: tools.blobs.open(document.id), [variant]
    )
    return found[variant]


def drop_older_summaries(connection: Connection, fault: Fault, tools: Tools) -> str:
    """Of several summaries of one document the newest stays."""
    owner, document = fault.clue["owner"], fault.clue["document"]
    if tools.confirm(connection, fault, document) is None:
        return ""
    found = [
        one.message
        for one in tools.mailboxes.find_by_key(connection, document)
        if one.owner == owner and one.message.kind == "summary"
    ]
    newest = max(one.content_id for one in found)
    for message in found:
        if message.content_id != newest:
            tools.mailboxes.expunge(connection, message.folder_id, [message.id], now=tools.now)
    return f"the older summaries of document {document} were removed from {owner}"


def set_seen(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """Whether a message counts as read follows from its flags."""
    _lock(connection, fault.clue["folder"])
    mine = mail.messages.c.id == int(fault.subject)
    row = connection.execute(
        select(mail.messages.c.flags, mail.messages.c.seen).where(mine)
    ).first()
    if row is None or row.seen == (seen := SEEN in parted(row.flags)):
        return ""
    connection.execute(update(mail.messages).where(mine).values(seen=seen))
    return f"message {fault.subject} counts as {'read' if seen else 'unread'} again"


def raise_uidnext(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The next UID is above every one that was given."""
    folder = _lock(connection, int(fault.subject))
    highest = _highest(connection, int(fault.subject), "uid")
    if folder is None or folder.uidnext > highest:
        return ""
    mine = mail.folders.c.id == folder.id
    connection.execute(update(mail.folders).where(mine).values(uidnext=highest + 1))
    return f"the next UID of folder {folder.id} is {highest + 1} now"


def raise_modseq(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The folder's modification sequence is the highest of all."""
    folder = _lock(connection, int(fault.subject))
    highest = _highest(connection, int(fault.subject), "modseq")
    if folder is None or folder.modseq >= highest:
        return ""
    mine = mail.folders.c.id == folder.id
    connection.execute(update(mail.folders).where(mine).values(modseq=highest))
    return f"the modification sequence of folder {folder.id} is {highest} now"


def raise_uidvalidity(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The mailbox knows the highest UIDVALIDITY that it has given."""
    folders, owners = mail.folders.c, mail.owners.c
    query = select(owners.id).where(owners.owner == fault.subject).with_for_update()
    owner = connection.scalar(query)
    highest = connection.scalar(
        select(func.max(folders.uidvalidity)).where(folders.owner_id == owner)
    )
    change = update(mail.owners).where(owners.id == owner, owners.uidvalidity < highest)
    if not connection.execute(change.values(uidvalidity=highest)).rowcount:
        return ""
    return f"the highest UIDVALIDITY of the mailbox of {fault.subject} is {highest} now"


def count_anew(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The folder says of itself what is in it."""
    folder = _lock(connection, int(fault.subject))
    if folder is None:
        return ""
    messages, contents = mail.messages.c, mail.contents.c
    inside = connection.execute(
        select(func.count(), func.coalesce(func.sum(contents.size), 0))
        .join(mail.contents, contents.id == messages.content_id)
        .where(messages.folder_id == folder.id)
    ).one()
    number, octets = (int(value) for value in inside)
    recent = min(folder.recent, folder.uidnext)
    if (folder.messages, folder.octets, folder.recent) == (number, octets, recent):
        return ""
    connection.execute(
        update(mail.folders)
        .where(mail.folders.c.id == folder.id)
        .values(messages=number, octets=octets, recent=recent)
    )
    return f"folder {folder.id} counts {number} messages of {octets} octets now"


def bring_back(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The removed folder in which something lies is shown under a name that nobody has given."""
    folder = _lock(connection, int(fault.subject))
    inside = mail.messages.c.folder_id == int(fault.subject)
    number = connection.scalar(select(func.count()).select_from(mail.messages).where(inside))
    if folder is None or not number or not folder.name.startswith(REMOVED):
        return ""
    name = _free_name(connection, folder)
    connection.execute(
        update(mail.folders)
        .where(mail.folders.c.id == folder.id)
        .values(name=name, subscribed=True, modseq=folder.modseq + 1)
    )
    return f"removed folder {folder.id} is there again as {name}, with {number} messages"


def _free_name(connection: Connection, folder: Row[Any]) -> str:
    name, mine = f"恢复 {folder.id}", mail.folders.c.owner_id == folder.owner_id
    while connection.scalar(select(mail.folders.c.id).where(mine, mail.folders.c.name == name)):
        name += "+"
    return name


def give_new_uid(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The message gets a UID that nothing else ever had."""
    folder = _lock(connection, fault.clue["folder"])
    gone = mail.expunged.c
    message = connection.execute(
        select(mail.messages.c.uid)
        .join(
            mail.expunged,
            (gone.folder_id == mail.messages.c.folder_id) & (gone.uid == mail.messages.c.uid),
        )
        .where(mail.messages.c.id == int(fault.subject))
    ).first()
    if folder is None or message is None:
        return ""
    uid = max(folder.uidnext, _highest(connection, folder.id, "uid") + 1)
    modseq = max(folder.modseq, _highest(connection, folder.id, "modseq")) + 1
    connection.execute(
        update(mail.messages)
        .where(mail.messages.c.id == int(fault.subject))
        .values(uid=uid, modseq=modseq)
    )
    connection.execute(
        update(mail.folders)
        .where(mail.folders.c.id == folder.id)
        .values(uidnext=uid + 1, modseq=modseq)
    )
    return f"message {fault.subject} has the UID {uid} now"


def read_anew(connection: Connection, fault: Fault, tools: Tools) -> str:
    """Structure, envelope and body structure of a content whose octets are sound."""
    table = mail.contents.c
    row = connection.execute(select(mail.contents).where(table.id == int(fault.subject))).first()
    if row is None:
        return ""
    source = Source(octets=bytes(row.octets or b""))
    if row.blob:
        cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
        source = Source(row.blob, View(bytes(row.prefix), row.size_original, cuts))
    octets = b"".join(source.pieces(tools.blobs.open))
    if hashlib.sha256(octets).hexdigest() != row.digest:
        return ""
    part = scan(octets)
    values = {
        "structure": to_json(part),
        "envelope": json.dumps(imapdata.envelope(part), separators=(",", ":")),
        "bodystructure": json.dumps(imapdata.bodystructure(part), separators=(",", ":")),
    }
    connection.execute(update(mail.contents).where(table.id == row.id).values(values))
    return f"the structure of message content {row.id} was read anew"


def _lock(connection: Connection, folder_id: int) -> Row[Any] | None:
    query = select(mail.folders).where(mail.folders.c.id == folder_id).with_for_update()
    return connection.execute(query).first()


def _highest(connection: Connection, folder_id: int, column: str) -> int:
    found = [
        connection.scalar(select(func.max(table.c[column])).where(table.c.folder_id == folder_id))
        for table in (mail.messages, mail.expunged)
    ]
    return max(int(value or 0) for value in found)
