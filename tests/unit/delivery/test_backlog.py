"""The outbox remembers how much waits and what keeps failing, for metrics and health page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from gateway.delivery.outbox import Finish, OutboxWorker, Piece
from gateway.domain.clock import FakeClock
from gateway.exchange.outbox import Kind, leave
from gateway.store.database import Database
from tests.databases import Databases
from tests.databases import opened as with_tables

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


class Trouble(Exception):
    """What a handler meets while `broken`."""


class Handler:
    """A handler that fails while it is broken."""

    broken = False

    async def handle(self, _piece: Piece) -> Finish | None:
        if self.broken:
            raise Trouble("the card was pulled out")
        return None


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    opened = with_tables(databases, readers=2)
    opened.start()
    yield opened
    opened.stop()


async def running(worker: OutboxWorker, until: Callable[[], Awaitable[bool]]) -> None:
    """Let the worker run until that is so."""
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(10):
            while not await until():  # noqa: ASYNC110  # the backlog has no event
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_piece_that_fails_for_minutes_is_told_until_it_is_done(database: Database) -> None:
    clock, handler = FakeClock(NOW), Handler()
    worker = OutboxWorker(database, {Kind.RECEIPT: handler.handle}, clock, poll_seconds=0.01)
    database.write_now(lambda c: leave(c, Kind.RECEIPT, "d1", {}, NOW))
    database.write_now(lambda c: leave(c, Kind.SUMMARY, "d1", {}, NOW + timedelta(days=3)))
    assert worker.backlog.waiting == 0
    handler.broken = True

    async def failed() -> bool:
        return worker.backlog.failing_since is not None

    await running(worker, failed)
    assert worker.backlog.waiting == 1, "what is planned for later does not wait"
    assert await worker.health() == "", "a short trouble is not told"

    clock.advance(301)

    async def told() -> bool:
        return bool(await worker.health())

    await running(worker, told)
    sentence = await worker.health()
    assert sentence.startswith("1 piece has failed for up to 5 minutes")
    assert "card" not in sentence

    handler.broken = False
    clock.advance(3600)

    async def well() -> bool:
        return not await worker.health()

    await running(worker, well)
    assert worker.backlog.waiting == 0


async def test_a_restart_does_not_forget_since_when_a_piece_fails(database: Database) -> None:
    clock, handler = FakeClock(NOW), Handler()
    handler.broken = True
    database.write_now(lambda c: leave(c, Kind.RECEIPT, "d1", {}, NOW))
    first = OutboxWorker(database, {Kind.RECEIPT: handler.handle}, clock, poll_seconds=0.01)
    while not first.backlog.failing_since:
        await first.turn()
        await first._measure()
    clock.advance(600)
    second = OutboxWorker(database, {Kind.RECEIPT: handler.handle}, clock, poll_seconds=0.01)

    async def told() -> bool:
        return bool(await second.health())

    await running(second, told)
    assert second.backlog.failing_since == NOW
