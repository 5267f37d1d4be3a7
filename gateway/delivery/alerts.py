"""Alerts: the security officer (保密员) is told of a marking, without the marked content."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.delivery.letters import Bureau, language_of, unit_name
from gateway.delivery.outbox import Finish, Piece
from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.domain.clock import milliseconds, moment
from gateway.domain.ids import new_id
from gateway.evidence.alert import AlertFacts, render_alert
from gateway.exchange import cabinet
from gateway.exchange.tables import refusals
from mailboxes.content import Content
from mailboxes.store import MailboxStore


class Alerts:
    """The outbox handler for alerts."""

    def __init__(self, bureau: Bureau) -> None:
        self._bureau = bureau

    async def handle(self, piece: Piece) -> Finish | None:
        """Render one letter for each officer; the unit of work puts them into their INBOXes.

        Raises LookupError while there is nobody to tell: a marking must not go unnoticed, so the
        alert stays in the outbox and the health page speaks of it.
        """
        refusal = await self._bureau.database.read(
            lambda c: c.execute(select(refusals).where(refusals.c.id == piece.document_id)).one()
        )
        directory = await self._bureau.directory.current()
        officers = self._officers(directory)
        if not officers:
            raise LookupError("there is neither a security officer nor an operator to tell")
        now = self._bureau.clock.now()
        letters = [
            (owner, await asyncio.to_thread(self._render, refusal, directory, owner, now))
            for owner in officers
        ]
        return partial(_put, mailboxes=self._bureau.mailboxes, letters=letters, now=now)

    def _officers(self, directory: Directory) -> list[Owner]:
        chosen = directory.account(self._bureau.security_officer)
        accounts = [chosen] if chosen and chosen.active else directory.operators()
        owners = (directory.account_owner(account) for account in accounts)
        return [owner for owner in owners if owner is not None]

    def _render(
        self, refusal: Row[Any], directory: Directory, owner: Owner, now: datetime
    ) -> Content:
        bureau, language = self._bureau, language_of(owner)
        account = directory.account_by_id(refusal.account_id)
        facts = AlertFacts(
            alert_id=new_id(milliseconds(now), os.urandom(10)),
            refusal_id=refusal.id,
            office=bureau.office(language),
            domain=bureau.domain,
            to=f"{owner.code}@{bureau.domain}",
            now=now,
            refused_at=moment(refusal.at),
            unit=unit_name(directory, refusal.unit_id, language),
            account=account.login if account else "",
            sender=refusal.mail_from,
            reasons=tuple(reason["code"] for reason in json.loads(refusal.reasons)),
        )
        octets = render_alert(facts, language, bureau.signer, bureau.templates)
        return Content.of_octets(octets, key=refusal.id, kind="alert")


def _put(
    connection: Connection,
    *,
    mailboxes: MailboxStore,
    letters: list[tuple[Owner, Content]],
    now: datetime,
) -> None:
    inboxes = cabinet.inboxes(mailboxes, connection, [owner for owner, _ in letters], now)
    for owner, content in letters:
        content_id = mailboxes.add_content(connection, content, now)
        mailboxes.append(connection, [inboxes[owner.key]], content_id, flags=["\\Flagged"], now=now)
