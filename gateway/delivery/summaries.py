"""Summaries: one live list for each document of who has signed, and whom to telephone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.delivery.letters import Bureau, language_of, telephone, unit_name
from gateway.delivery.outbox import Finish, Piece
from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.clock import milliseconds, moment
from gateway.domain.document import DeliveryState
from gateway.domain.ids import new_id
from gateway.evidence.summary import Row as Line
from gateway.evidence.summary import SummaryFacts, render_summary
from gateway.exchange import cabinet
from gateway.exchange.documents import deliveries_of
from gateway.exchange.tables import documents, envelope_recipients
from mailboxes.content import Content
from mailboxes.store import MailboxStore

KIND = "summary"


class Summaries:
    """The outbox handler for summaries."""

    def __init__(self, bureau: Bureau) -> None:
        self._bureau = bureau

    async def handle(self, piece: Piece) -> Finish | None:
        """Render the list as it stands; the unit of work puts it in the place of the last one."""
        document, rows, silent = await self._bureau.database.read(
            lambda c: _gather(c, piece.document_id)
        )
        directory = await self._bureau.directory.current()
        owner = directory.owner_of(Address.parse(document.mail_from))
        if owner is None or not rows or silent:
            return None
        now = self._bureau.clock.now()
        content = await asyncio.to_thread(self._render, document, rows, directory, owner, now)
        return partial(
            _replace, mailboxes=self._bureau.mailboxes, owner=owner, content=content, now=now
        )

    def _render(
        self,
        document: Row[Any],
        rows: Sequence[Row[Any]],
        directory: Directory,
        owner: Owner,
        now: datetime,
    ) -> Content:
        bureau, language = self._bureau, language_of(owner)
        lines = tuple(
            Line(
                unit=unit_name(directory, row.unit_id, language)
                if row.owner.startswith("unit:")
                else row.address,
                state=DeliveryState(row.state),
                signed_by=row.signed_by,
                signed_at=None if row.signed_at is None else moment(row.signed_at),
                telephone=telephone(directory, row.unit_id),
                returned_by=row.returned_by,
                returned_at=None if row.returned_at is None else moment(row.returned_at),
                reason=row.returned_reason,
            )
            for row in rows
        )
        facts = SummaryFacts(
            summary_id=new_id(milliseconds(now), os.urandom(10)),
            document_id=document.id,
            office=bureau.office(language),
            domain=bureau.domain,
            to=document.mail_from,
            now=now,
            sent_at=moment(document.received_at),
            deadline=None if document.deadline is None else moment(document.deadline),
            rows=lines,
            title=document.title,
            number=document.number,
            message_id=document.message_id,
        )
        octets = render_summary(facts, language, bureau.signer, bureau.templates)
        return Content.of_octets(octets, key=document.id, kind=KIND)


def _gather(connection: Connection, document_id: str) -> tuple[Row[Any], list[Row[Any]], bool]:
    document = connection.execute(select(documents).where(documents.c.id == document_id)).one()
    wishes = connection.execute(
        select(envelope_recipients.c.notify).where(envelope_recipients.c.document_id == document_id)
    ).scalars()
    silent = all(notify == "NEVER" for notify in wishes)
    return document, deliveries_of(connection, document_id), silent


def _replace(
    connection: Connection,
    *,
    mailboxes: MailboxStore,
    owner: Owner,
    content: Content,
    now: datetime,
) -> None:
    """Put the new summary into the INBOX and take the older one of the same document out."""
    for found in mailboxes.find_by_key(connection, content.key):
        if found.message.kind == KIND and found.owner == owner.key:
            mailboxes.expunge(connection, found.message.folder_id, [found.message.id], now=now)
    inbox = cabinet.inboxes(mailboxes, connection, [owner], now)[owner.key]
    content_id = mailboxes.add_content(connection, content, now)
    mailboxes.append(connection, [inbox], content_id, now=now)
