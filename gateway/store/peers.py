"""The nodes on one database: exactly one is elected for what one alone must do, and each hears at
once of work that another has left.

On SQLite a node is alone, so it is always elected. On PostgreSQL a node is elected while a
connection of its own holds a session lock; the server gives the lock to another as soon as that
connection ends, and a node that cannot reach the server any more knows within seconds that it is
elected no longer. Between the two there may be moments with two who think so: what the elected do
must be safe then, only dearer (the log is sealed under a lock of its own).

News goes out by NOTIFY after the commit that it is about, never inside: the server orders all
transactions that notify one after the other. News may be lost; every worker also looks by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, text

from gateway.domain.clock import Clock, milliseconds
from gateway.errors import StoreError
from gateway.store import postgres
from gateway.store.database import Database

log = structlog.stdlib.get_logger("yizhan.peers")

CHANNEL = "yizhan"
LOOK_SECONDS = 1.0  # how often the lock is asked for, or the connection that holds it is tried
PATIENCE_SECONDS = 5.0  # for one answer of the server
PAUSE_SECONDS = 0.02  # between two notices of this node
SKEW_SECONDS = 2.0  # leases are by each node's own clock
_NOTIFY = text("SELECT pg_notify(:channel, :news)")


class News(StrEnum):
    """What another node has done."""

    RECORDS = "records"  # committed records, reminders and pieces of the outbox
    MAILBOXES = "mailboxes"  # changed mailboxes, so that clients may have something to see
    SEALED = "sealed"  # signed a checkpoint, so that receipts can go out


Heard = Callable[[News], None]


class Peers(Protocol):
    """This node among the others."""

    @property
    def elected(self) -> bool:
        """Whether this node does what one alone must do."""

    @property
    def others(self) -> bool:
        """Whether other nodes may be at work on the same database."""

    def tell(self, news: News) -> None:
        """Tell the others, soon."""

    async def run(self) -> None:
        """Be one of them until cancelled."""

    async def health(self) -> str:
        """What is wrong, for the health page; empty if nothing is."""


def open_peers(database: Database, clock: Clock, heard: Heard) -> Peers:
    """`heard` is called for the news of other nodes, and for all kinds after a lost connection."""
    if database.engine.dialect.name != "postgresql":
        return Alone()
    return Neighbours(database, clock, heard)


class Alone:
    """The only node there is."""

    elected = True
    others = False

    def tell(self, news: News) -> None:
        """There is nobody."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def health(self) -> str:
        return ""


class Neighbours:
    """A node beside others on PostgreSQL."""

    others = True

    def __init__(self, database: Database, clock: Clock, heard: Heard) -> None:
        self._database = database
        self._clock = clock
        self._heard = heard
        self._us = secrets.token_hex(8)
        self._elected = False
        self._skew = 0.0
        self._untold: set[News] = set()
        self._something = asyncio.Event()

    @property
    def elected(self) -> bool:
        return self._elected

    def tell(self, news: News) -> None:
        self._untold.add(news)
        self._something.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_connected(), name="peers-listen")
            tasks.create_task(self._keep_telling(), name="peers-tell")

    async def health(self) -> str:
        if abs(self._skew) < SKEW_SECONDS:
            return ""
        return (
            f"the clock of this node and that of the database differ by {self._skew:.0f} seconds; "
            "keep both in step with a time server"
        )

    async def _keep_telling(self) -> None:
        """One notice for many commits."""
        while True:
            await self._something.wait()
            self._something.clear()
            untold, self._untold = self._untold, set()
            words = [{"channel": CHANNEL, "news": f"{self._us} {one.value}"} for one in untold]
            try:
                await self._database.write(partial(_notify, words=words), aloud=False)
            except StoreError as error:
                log.warning("nodes-not-told", cause=error.cause)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _keep_connected(self) -> None:
        import psycopg  # noqa: PLC0415  # an office on SQLite does not need it

        while True:
            try:
                await self._live()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self._elected:
                    log.warning("election-lost", cause=postgres.sentence_of(error))
            finally:
                self._elected = False
            await asyncio.sleep(LOOK_SECONDS)

    async def _live(self) -> None:
        """One connection, from its beginning to its end. Raises what ended it."""
        import psycopg  # noqa: PLC0415

        async with asyncio.timeout(PATIENCE_SECONDS):
            connection = await psycopg.AsyncConnection.connect(
                **_parameters(self._database), autocommit=True
            )
        try:
            await _ask(connection, f"LISTEN {CHANNEL}")
            for news in News:
                self._heard(news)  # what was told while nobody listened
            while True:
                await self._look(connection)
                async for notice in connection.notifies(timeout=LOOK_SECONDS):
                    self._hear(notice.payload)
        finally:
            await connection.close()

    async def _look(self, connection: Any) -> None:
        """Ask for the lock, or whether the connection that holds it still lives."""
        [at] = await _ask(
            connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        self._skew = (milliseconds(self._clock.now()) - at) / 1000
        if not self._elected:
            key = postgres.key_of("elected")
            [self._elected] = await _ask(connection, "SELECT pg_try_advisory_lock(%s)", key)
            if self._elected:
                log.info("elected")

    def _hear(self, payload: str) -> None:
        who, _, what = payload.partition(" ")
        if who != self._us and what in list(News):
            self._heard(News(what))


async def _ask(connection: Any, question: str, *values: object) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        cursor = await connection.execute(question, values)
        return await cursor.fetchone() if cursor.description else None


def _notify(connection: Connection, words: list[dict[str, str]]) -> None:
    for one in words:
        connection.execute(_NOTIFY, one)


def _parameters(database: Database) -> dict[str, Any]:
    """What the pool's connections are made with."""
    engine = database.engine
    _, named = engine.dialect.create_connect_args(engine.url)
    return {**named, **postgres.connect_args(PATIENCE_SECONDS)}
