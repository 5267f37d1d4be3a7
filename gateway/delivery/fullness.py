"""Whoever reads a mailbox that is nearly full gets a letter about it, at most one in a week.

The outbox remembers who was told: after each letter a piece waits for the next look, and as long as
it waits, no other is left for that mailbox.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection

from gateway.delivery.letters import Bureau, language_of
from gateway.delivery.outbox import Finish, Piece
from gateway.directory.model import Owner
from gateway.domain.clock import Clock, milliseconds
from gateway.domain.ids import new_id
from gateway.evidence.fullness import FullnessFacts, render_fullness
from gateway.exchange import cabinet, outbox
from gateway.exchange.fullness import NEARLY, TREE
from gateway.store.database import Database
from mailboxes.content import Content
from mailboxes.store import MailboxStore
from mailboxes.tree import Fill

log = structlog.stdlib.get_logger("yizhan.fullness")

KIND = "fullness"
AGAIN = timedelta(days=7)
EVERY_SECONDS = 300.0
LOOK_SECONDS = 5.0


class FullnessWatch:
    """Looks for mailboxes that fill up, and leaves a letter to be written for each."""

    def __init__(
        self,
        database: Database,
        limit: int,
        clock: Clock,
        elected: Callable[[], bool],
        left: Callable[[], None],
    ) -> None:
        """`limit`: octets of a mailbox without one of its own, 0: none; `left` is told that there
        are letters to be written."""
        self._database = database
        self._limit = limit
        self._clock = clock
        self._elected = elected
        self._left = left

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            while not self._elected():  # another node looks; it may die
                await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.turn()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # looked at again soon
                log.error("fullness-not-looked-at", cause=str(error))
            await self._clock.sleep(EVERY_SECONDS)

    async def turn(self) -> int:
        """How many letters are to be written now."""
        untold = await self._database.read(self._untold)
        if not untold:
            return 0
        left = await self._database.write(self._leave, "fullness")
        if left:
            self._left()
        return left

    def _untold(self, connection: Connection) -> list[str]:
        full = TREE.fullest(connection, self._limit, NEARLY)
        kind = outbox.Kind.FULLNESS
        return [one.owner for one in full if not outbox.waits(connection, kind, one.owner)]

    def _leave(self, connection: Connection) -> int:
        untold = self._untold(connection)
        for owner in untold:
            outbox.leave(connection, outbox.Kind.FULLNESS, owner, {}, self._clock.now())
        return len(untold)


class FullnessLetters:
    """The outbox handler for those letters."""

    def __init__(self, bureau: Bureau, limit: int) -> None:
        """`limit` as for the watch."""
        self._bureau = bureau
        self._limit = limit

    async def handle(self, piece: Piece) -> Finish | None:
        """Render the letter; the unit of work puts it into the INBOX, and plans the next look.

        None where there is room again, or nobody to read it.
        """
        bureau = self._bureau
        full = await bureau.database.read(lambda c: TREE.fullest(c, self._limit, NEARLY))
        fill = next((one for one in full if one.owner == piece.document_id), None)
        directory = await bureau.directory.current()
        owner = next((one for one in directory.owners() if one.key == piece.document_id), None)
        if fill is None or owner is None:
            return None
        now = bureau.clock.now()
        content = await asyncio.to_thread(self._render, fill, owner, now)
        return partial(_put, mailboxes=bureau.mailboxes, owner=owner, content=content, now=now)

    def _render(self, fill: Fill, owner: Owner, now: datetime) -> Content:
        bureau, language = self._bureau, language_of(owner)
        facts = FullnessFacts(
            letter_id=new_id(milliseconds(now), os.urandom(10)),
            office=bureau.office(language),
            domain=bureau.domain,
            to=f"{owner.code}@{bureau.domain}",
            now=now,
            octets=fill.octets,
            limit=fill.limit,
        )
        octets = render_fullness(facts, language, bureau.signer, bureau.templates)
        return Content.of_octets(octets, key=owner.key, kind=KIND)


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
    mailboxes.append(connection, [inbox], content_id, flags=["\\Flagged"], now=now)
    outbox.leave(connection, outbox.Kind.FULLNESS, owner.key, {}, now + AGAIN)
