"""Receipts: when the records of an act are sealed into the log, its sender gets them by mail."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Row, bindparam, select

from gateway.delivery.letters import Bureau, language_of, unit_name
from gateway.delivery.outbox import SHORT, Finish, NotYet, Piece
from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.clock import milliseconds
from gateway.domain.ids import new_id
from gateway.evidence.checkpoint import Checkpoint
from gateway.evidence.keys import KeyCertificate, certificates
from gateway.evidence.log import Proof, inclusion_proofs, newest
from gateway.evidence.notary import records_named
from gateway.evidence.receipt import ReceiptFacts, ReceiptStyle, RecipientFacts, render_receipt
from gateway.evidence.record import Record
from gateway.exchange import cabinet
from gateway.exchange.documents import deliveries_of
from gateway.exchange.tables import documents, envelope_recipients, refusals
from gateway.policy.pool import AT_ONCE
from gateway.together import Together
from mailboxes.content import Content
from mailboxes.prepared import Prepared
from mailboxes.store import MailboxStore

P = ParamSpec("P")
T = TypeVar("T")

_FEW = 16  # records of a receipt that is made in the event loop
_REFUSAL = Prepared(select(refusals).where(refusals.c.id == bindparam("id")))
_DOCUMENT = Prepared(select(documents).where(documents.c.id == bindparam("id")))
_ENVELOPE = Prepared(
    select(envelope_recipients).where(envelope_recipients.c.document_id == bindparam("document"))
)


@dataclass(frozen=True, slots=True)
class _Recipient:
    """One recipient: the envelope recipient's wishes hold for those that a group stands for."""

    address: str
    unit_id: int | None
    notify: frozenset[str]
    orcpt: str


@dataclass(frozen=True, slots=True)
class _Matter:
    """What a receipt is about: the row of a document or of a refusal, and its records."""

    row: Row[Any]
    refused: bool
    records: list[Record]
    proofs: list[Proof]
    checkpoint: Checkpoint | None
    keys: list[KeyCertificate]
    recipients: list[_Recipient]


class Receipts:
    """The outbox handler for receipts."""

    def __init__(self, bureau: Bureau) -> None:
        self._bureau = bureau
        self._together = Together(self._make)

    async def handle(self, piece: Piece) -> Finish | None:
        """Render the receipt; the returned unit of work puts it into the sender's 回执.

        None where nobody wants it (NOTIFY) or the sender's mailbox is gone. Raises NotYet while the
        records wait for the sealer.
        """
        return await self._together.ask(piece)

    async def _make(self, pieces: Sequence[Piece]) -> list[Finish | Exception | None]:
        bureau = self._bureau
        short = all(len(piece.text) <= SHORT for piece in pieces)
        look = bureau.database.glance if short else bureau.database.read
        matters = await look(lambda c: _gather(c, pieces))
        directory, now = await bureau.directory.current(), bureau.clock.now()
        finishes: list[Finish | Exception | None] = []
        for piece, matter in zip(pieces, matters, strict=True):
            if self._is_short(matter):
                finishes.append(self._try(piece, matter, directory, now))
                await asyncio.sleep(0)  # a receipt takes a millisecond: clients come in between
            else:
                finishes.append(await asyncio.to_thread(self._try, piece, matter, directory, now))
        return finishes

    def _is_short(self, matter: _Matter | Exception) -> bool:
        """Whether the receipt takes no longer than a millisecond or two."""
        if isinstance(matter, Exception):
            return True
        if len(matter.records) > _FEW:
            return False
        # A full receipt holds the original.
        return matter.refused or (matter.row.size <= AT_ONCE and self._bureau.blobs.near)

    def _try(
        self, piece: Piece, matter: _Matter | Exception, directory: Directory, now: datetime
    ) -> Finish | Exception | None:
        return _tried(self._finish_of, piece, matter, directory, now)

    def _finish_of(
        self, piece: Piece, matter: _Matter | Exception, directory: Directory, now: datetime
    ) -> Finish | None:
        if isinstance(matter, Exception):
            raise matter
        if len(matter.proofs) < len(matter.records):
            raise NotYet
        records = _wanted(matter.records, matter.recipients)
        owner = directory.owner_of(Address.parse(matter.row.mail_from))
        if not records or owner is None:
            return None
        content = self._render(piece.document_id, matter, records, directory, owner, now)
        negative = any(record.event.negative for record in records)
        return partial(
            _put, mailboxes=self._bureau.mailboxes, owner=owner, content=content,
            seen=not negative, now=now,
        )  # fmt: skip

    def _render(
        self,
        document_id: str,
        matter: _Matter,
        records: list[Record],
        directory: Directory,
        owner: Owner,
        now: datetime,
    ) -> Content:
        bureau, row = self._bureau, matter.row
        language = language_of(owner)
        account = directory.account_by_id(row.account_id)
        wish = "" if matter.refused else row.receipt_style
        style = wish or (account.receipt_style if account else "") or bureau.style
        named = {record.recipient for record in records}
        kept = {record.id for record in records}
        facts = ReceiptFacts(
            receipt_id=new_id(milliseconds(now), os.urandom(10)),
            document_id=document_id,
            office=bureau.office(language),
            domain=bureau.domain,
            host=bureau.host,
            to=row.mail_from,
            now=now,
            message_id=row.message_id,
            title="" if matter.refused else row.title,
            number="" if matter.refused else row.number,
            sender_name=unit_name(directory, row.unit_id, language),
            envid=row.envid,
            recipients=tuple(
                RecipientFacts(r.address, _name(directory, r, language), r.orcpt)
                for r in matter.recipients
                if r.address in named
            ),
            warnings=()
            if matter.refused
            else tuple(bureau.warn(language, code) for code in json.loads(row.warnings)),
            sentence=_sentence(row, language) if matter.refused else "",
        )
        octets = render_receipt(
            facts,
            records,
            [proof for proof in matter.proofs if proof.record_id in kept],
            matter.checkpoint,
            style=ReceiptStyle(style),
            language=language,
            signer=bureau.signer,
            original=None if matter.refused else partial(self._original, document_id),
            templates=bureau.templates,
            certificates=matter.keys,
        )
        return Content.of_octets(octets, key=document_id, kind="receipt")

    def _original(self, document_id: str) -> bytes:
        with self._bureau.blobs.open(document_id) as file:
            return file.read()


def _gather(connection: Connection, pieces: Sequence[Piece]) -> list[_Matter | Exception]:
    """What the receipts are about. The log is asked once: their proofs share most of their path."""
    checkpoint, keys = newest(connection), certificates(connection)
    found = [_tried(_matter, connection, piece, checkpoint, keys) for piece in pieces]
    wanted = [r.id for one in found if isinstance(one, _Matter) for r in one.records]
    proofs = {p.record_id: p for p in inclusion_proofs(connection, wanted, checkpoint)}
    for one in found:
        if isinstance(one, _Matter):
            one.proofs.extend(proofs[r.id] for r in one.records if r.id in proofs)
    return found


def _matter(
    connection: Connection, piece: Piece, checkpoint: Checkpoint | None, keys: list[KeyCertificate]
) -> _Matter:
    document_id, refused = piece.document_id, bool(piece.payload.get("refusal"))
    row = (_REFUSAL if refused else _DOCUMENT).first(connection, {"id": document_id})
    if row is None:
        raise LookupError(f"{document_id} is not there any more")
    return _Matter(
        row=row,
        refused=refused,
        records=records_named(connection, piece.payload["records"]),
        proofs=[],
        checkpoint=checkpoint,
        keys=keys,
        recipients=_of_refusal(row) if refused else _of_document(connection, document_id),
    )


def _tried(work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | Exception:
    """What comes of it, or the error: one bad piece must not hold up those beside it."""
    try:
        return work(*given, **named)
    except Exception as error:  # noqa: BLE001  # raised again for the piece that it belongs to
        return error


def _of_refusal(row: Row[Any]) -> list[_Recipient]:
    return [
        _Recipient(address, None, frozenset(notify), orcpt)
        for address, notify, orcpt in json.loads(row.envelope)
    ]


def _of_document(connection: Connection, document_id: str) -> list[_Recipient]:
    envelope = {
        row.address: _Recipient(row.address, None, _words(row.notify), row.orcpt)
        for row in _ENVELOPE.all(connection, {"document": document_id})
    }
    found = dict(envelope)
    for row in deliveries_of(connection, document_id):
        named = envelope[row.via]
        found[row.address] = _Recipient(row.address, row.unit_id, named.notify, named.orcpt)
    return list(found.values())


def _words(notify: str) -> frozenset[str]:
    return frozenset(word for word in notify.split(",") if word)


def _wanted(records: list[Record], recipients: list[_Recipient]) -> list[Record]:
    """The records that the sender wants by mail (RFC 3461, 4.1).

    Who said nothing gets all: that is what a post office is for. NEVER, or a list without the kind
    of event, stops the mail; the record stands all the same.
    """
    wishes = {recipient.address: recipient.notify for recipient in recipients}
    kept = []
    for record in records:
        notify = wishes.get(record.recipient, frozenset())
        word = "FAILURE" if record.event.negative else "SUCCESS"
        if not notify or word in notify:
            kept.append(record)
    return kept


def _name(directory: Directory, recipient: _Recipient, language: str) -> str:
    name = unit_name(directory, recipient.unit_id, language)
    if name:
        return name
    target = directory.resolve(Address.parse(recipient.address))
    if target and target.group:
        return target.group.title
    return unit_name(directory, target.unit.id, language) if target and target.unit else ""


def _sentence(row: Row[Any], language: str) -> str:
    texts: dict[str, str] = json.loads(row.texts)
    return texts.get(language, texts.get("en", ""))


def _put(
    connection: Connection,
    *,
    mailboxes: MailboxStore,
    owner: Owner,
    content: Content,
    seen: bool,
    now: datetime,
) -> None:
    folder = cabinet.receipts(mailboxes, connection, owner, now)
    content_id = mailboxes.add_content(connection, content, now)
    flags = ["\\Seen"] if seen else []
    mailboxes.append(connection, [folder], content_id, flags=flags, now=now)
