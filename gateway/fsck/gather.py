"""Reads the dossiers of a range of ids: a dozen statements in one snapshot, however many documents.

Octets of receipts pass through one by one and only their digests stay, so that memory is bounded by
the range, not by what the mails hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    select,
)

from gateway.evidence.tables import evidence_records, log_entries, log_nodes
from gateway.exchange.mailroom import tables as mail
from gateway.exchange.tables import (
    deliveries,
    document_texts,
    documents,
    envelope_recipients,
    outbox,
    refusals,
)
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier, Shown
from gateway.fsck.scope import Scope, Span
from gateway.fsck.slips import carried_records
from gateway.reminders.tables import reminders
from gateway.seals.tables import seal_uses, seals
from mailboxes.encode import from_json
from mailboxes.view import View

_SAMPLE = 16
_ROWS = 1000  # that are fetched at once
_PORTION = 64  # contents that are fetched at once; a receipt may hold a whole document


class _Dossiers(dict[str, Dossier]):
    def __missing__(self, key: str) -> Dossier:
        made = self[key] = Dossier(key)
        return made


def gather(connection: Connection, span: Span, scope: Scope) -> list[Dossier]:
    """The dossiers of the range, in the order of their ids."""
    found = _Dossiers()
    for row in _rows(connection, "documents", span):
        found[row.id].document = row
    for row in _rows(connection, "refusals", span):
        found[row.id].refusal = row
    for row in _rows(connection, "envelope", span):
        found[row.document_id].envelope.append(row)
    for row in _rows(connection, "deliveries", span):
        found[row.document_id].deliveries.append(row)
    for row in _rows(connection, "records", span):
        found[row.document_id].records.append(row)
    for row in _rows(connection, "outbox", span):
        found[row.document_id].outbox.append(row)
    for row in _rows(connection, "reminders", span):
        found[row.document_id].reminders.append(row)
    for row in _rows(connection, "texts", span):
        found[row.document_id].texts = row
    for row in _rows(connection, "seal_uses", span):
        found[row.document_id].seal_uses.append(row.fingerprint)
    shown: dict[int, Shown] = {}
    for row in _rows(connection, "lean_contents" if scope.quick else "contents", span):
        dossier = found[row.key]
        shown[row.id] = _shown(row, dossier, every=scope.views)
        dossier.contents.append(shown[row.id])
    for row in _rows(connection, "messages", span):
        shown[row.content_id].messages.append(row)
    for row in _rows(connection, "removed", span):
        found[row.key].removed.append(row)
    return sorted(found.values(), key=lambda dossier: dossier.id)


def _rows(connection: Connection, name: str, span: Span) -> Iterator[Row[Any]]:
    query = _query(name, bool(span.after), bool(span.until), bool(span.only))
    values = {"after": span.after, "until": span.until, "only": span.only}
    options = {"yield_per": _PORTION if name == "contents" else _ROWS}
    yield from connection.execute(query, values, execution_options=options)


@cache
def _query(name: str, after: bool, until: bool, only: bool) -> Select[Any]:
    """Put together once for each form of a range: to build it takes longer than to run it."""
    query, key = _QUERIES[name]
    if only:
        return query.where(key == bindparam("only"))
    conditions = []
    if after:
        conditions.append(key > bindparam("after"))
    if until:
        conditions.append(key <= bindparam("until"))
    return query.where(*conditions)


def _contents(*more: Column[Any]) -> Select[Any]:
    table = mail.contents.c
    return select(
        table.id, table.key, table.kind, table.blob, table.prefix, table.size_original, table.cuts,
        table.size, table.digest, table.structure, table.envelope, table.bodystructure, *more,
    ).order_by(table.id)  # fmt: skip


_MESSAGES = (
    select(
        mail.messages.c.id,
        mail.messages.c.folder_id,
        mail.messages.c.content_id,
        mail.messages.c.uid,
        mail.messages.c.modseq,
        mail.messages.c.flags,
        mail.messages.c.seen,
        mail.folders.c.name.label("folder"),
        mail.folders.c.uidnext,
        mail.folders.c.modseq.label("highest"),
        mail.owners.c.owner,
    )
    .join(mail.contents, mail.contents.c.id == mail.messages.c.content_id)
    .join(mail.folders, mail.folders.c.id == mail.messages.c.folder_id)
    .join(mail.owners, mail.owners.c.id == mail.folders.c.owner_id)
    .order_by(mail.messages.c.id)
)
_REMOVED = (
    select(mail.expunged.c.key, mail.expunged.c.kind, mail.owners.c.owner)
    .join(mail.folders, mail.folders.c.id == mail.expunged.c.folder_id)
    .join(mail.owners, mail.owners.c.id == mail.folders.c.owner_id)
)
_RECORDS = (
    select(
        evidence_records,
        log_entries.c.record_id.label("entered"),
        log_entries.c.number,
        log_nodes.c.hash.label("leaf"),
    )
    .outerjoin(log_entries, log_entries.c.record_id == evidence_records.c.id)
    .outerjoin(log_nodes, and_(log_nodes.c.level == 0, log_nodes.c.index == log_entries.c.number))
    .order_by(evidence_records.c.document_id, evidence_records.c.sequence)
)
_TEXTS = select(
    document_texts.c.document_id,
    func.count().label("number"),
    func.max(document_texts.c.ordinal).label("highest"),
).group_by(document_texts.c.document_id)

_QUERIES: dict[str, tuple[Select[Any], Column[Any]]] = {
    "documents": (select(documents), documents.c.id),
    "refusals": (select(refusals), refusals.c.id),
    "envelope": (select(envelope_recipients), envelope_recipients.c.document_id),
    "deliveries": (select(deliveries).order_by(deliveries.c.id), deliveries.c.document_id),
    "records": (_RECORDS, evidence_records.c.document_id),
    "outbox": (select(outbox).order_by(outbox.c.id), outbox.c.document_id),
    "reminders": (select(reminders).order_by(reminders.c.id), reminders.c.document_id),
    "texts": (_TEXTS, document_texts.c.document_id),
    "seal_uses": (
        select(seal_uses.c.document_id, seals.c.fingerprint).join(
            seals, seals.c.id == seal_uses.c.seal_id
        ),
        seal_uses.c.document_id,
    ),
    "contents": (_contents(mail.contents.c.octets), mail.contents.c.key),
    "lean_contents": (_contents(), mail.contents.c.key),
    "messages": (_MESSAGES, mail.contents.c.key),
    "removed": (_REMOVED, mail.expunged.c.key),
}  # fmt: skip


def _shown(row: Row[Any], dossier: Dossier, *, every: bool) -> Shown:
    """The content without its octets; what is wrong with them is noted in the dossier."""
    _check_structure(row, dossier, every=every)
    octets: bytes | None = row._mapping.get("octets")
    view = None
    if row.blob:
        view = _view(row, dossier)
    elif octets is not None:
        octets = bytes(octets)
        if len(octets) != row.size:
            dossier.faults.append(
                (Code.CONTENT_SIZE, row.id, f"message content {row.id} ({row.kind}) has "
                 f"{len(octets)} octets, not {row.size}")
            )  # fmt: skip
        elif hashlib.sha256(octets).hexdigest() != row.digest:
            dossier.faults.append(
                (Code.CONTENT_DIGEST, row.id,
                 f"message content {row.id} ({row.kind}) has changed since it was mailed")
            )  # fmt: skip
    records = None
    if row.kind == "receipt" and octets is not None:
        records = carried_records(octets)
    structure = row.structure if every and view is not None else ""
    return Shown(row.id, row.kind, row.blob, view, row.size, row.digest, structure, records)


def _view(row: Row[Any], dossier: Dossier) -> View | None:
    try:
        cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
        view = View(bytes(row.prefix or b""), row.size_original, cuts)
        edges = [0, *(edge for cut in cuts for edge in cut), row.size_original]
        if edges != sorted(edges) or view.size != row.size:
            raise ValueError
    except (ValueError, TypeError):
        dossier.faults.append(
            (Code.CONTENT_SIZE, row.id, f"message content {row.id} ({row.kind}) is not as long as "
             "its prefix and what is shown of the document")
        )  # fmt: skip
        return None
    return view


def _check_structure(row: Row[Any], dossier: Dossier, *, every: bool) -> None:
    """Whether it can be read, and ends where the message ends; wholly of some, unless of `every`.

    To read all of it takes ten times as long, and there are five contents for each document.
    """
    try:
        if every or row.id % _SAMPLE == 0:
            part = from_json(row.structure)
            start, body, end = part.header_start, part.body_start, part.body_end
            json.loads(row.envelope), json.loads(row.bodystructure)
        elif row.blob:
            start, body, end = json.loads(row.structure)[1][8:11]
        else:
            return  # the office's own letter, written by the office itself
        lists = (row.envelope, row.bodystructure)
        if (
            start == 0
            and body <= end <= row.size
            and all(text.startswith("[") and text.endswith("]") for text in lists)
        ):
            return
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):
        pass
    dossier.faults.append(
        (Code.CONTENT_STRUCTURE, row.id,
         f"the structure of message content {row.id} ({row.kind}) cannot be read")
    )  # fmt: skip
