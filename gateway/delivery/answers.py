"""Answers: who came second, or whose program has acted, is told so."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.delivery.letters import Bureau, language_of
from gateway.delivery.outbox import Finish, Piece
from gateway.directory.model import Owner
from gateway.domain.clock import milliseconds
from gateway.domain.ids import new_id
from gateway.evidence.answer import AnswerFacts, render_answer
from gateway.exchange import cabinet
from gateway.exchange.tables import documents
from mailboxes.content import Content
from mailboxes.store import MailboxStore

KIND = "answer"


class Answers:
    """The outbox handler for answers."""

    def __init__(self, bureau: Bureau) -> None:
        self._bureau = bureau

    async def handle(self, piece: Piece) -> Finish | None:
        """Render the letter; the unit of work puts it into the account's INBOX.

        None where the account or its mailbox is gone.
        """
        document = await self._bureau.database.read(
            lambda c: c.execute(select(documents).where(documents.c.id == piece.document_id)).one()
        )
        directory = await self._bureau.directory.current()
        account = directory.account(piece.payload["login"])
        owner = None if account is None else directory.account_owner(account)
        if account is None or owner is None:
            return None
        language = directory.language_of(account) or language_of(owner)
        now = self._bureau.clock.now()
        content = await asyncio.to_thread(
            self._render, piece.payload["said"], document, owner, language, now
        )
        return partial(
            _put, mailboxes=self._bureau.mailboxes, owner=owner, content=content, now=now
        )

    def _render(
        self, said: dict[str, str], document: Row[Any], owner: Owner, language: str, now: datetime
    ) -> Content:
        bureau = self._bureau
        facts = AnswerFacts(
            answer_id=new_id(milliseconds(now), os.urandom(10)),
            document_id=document.id,
            office=bureau.office(language),
            domain=bureau.domain,
            to=f"{owner.code}@{bureau.domain}",
            now=now,
            said=said.get(language) or said["en"],
            title=document.title,
            number=document.number,
            message_id=document.message_id,
        )
        octets = render_answer(facts, language, bureau.signer, bureau.templates)
        return Content.of_octets(octets, key=document.id, kind=KIND)


def _put(
    connection: Connection,
    *,
    mailboxes: MailboxStore,
    owner: Owner,
    content: Content,
    now: datetime,
) -> None:
    inbox = cabinet.inboxes(mailboxes, connection, [owner], now)[owner.key]
    content_id = mailboxes.add_content(connection, content, now)
    mailboxes.append(connection, [inbox], content_id, now=now)
