"""Nodes on one database: one is elected, another takes over, and each hears of the others' work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from gateway.domain.clock import FakeClock, SystemClock
from gateway.store import peers
from gateway.store.database import Database
from gateway.store.peers import News, Peers, open_peers
from tests.databases import POSTGRESQL
from tests.postgres import Cluster

_END_LOCKS = text(
    "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks l JOIN pg_database d"
    " ON d.oid = l.database WHERE locktype = 'advisory' AND d.datname = current_database()"
    " AND l.pid <> pg_backend_pid()"
)
on_postgresql = pytest.mark.one_database("nodes share PostgreSQL", kind=POSTGRESQL)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LOOK_SECONDS", 0.1)


@asynccontextmanager
async def node(
    url: str, heard: Callable[[News], None] = lambda _news: None
) -> AsyncIterator[Peers]:
    """One node at work."""
    database = Database(url, readers=1, writers=1)
    database.start()
    one = open_peers(database, SystemClock(), heard)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        database.stop()


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # a lock of the server has no event
            await asyncio.sleep(0.01)


@pytest.mark.one_database("SQLite has one daemon")
async def test_alone_a_node_is_elected_from_the_start(url: str) -> None:
    async with node(url) as one:
        assert (one.elected, one.others) == (True, False)
        one.tell(News.RECORDS)
        assert await one.health() == ""


@on_postgresql
async def test_one_of_two_is_elected_and_the_other_takes_over_when_it_ends(url: str) -> None:
    async with node(url) as second:
        async with node(url) as first:
            await until(lambda: first.elected or second.elected)
            await asyncio.sleep(0.5)
            assert first.elected != second.elected
        await until(lambda: second.elected)
        assert not first.elected


@on_postgresql
async def test_who_loses_the_connection_is_elected_no_longer_until_it_has_the_lock_again(
    url: str,
) -> None:
    database = Database(url, readers=1)
    async with node(url) as one:
        await until(lambda: one.elected)
        for _ in range(3):
            await asyncio.to_thread(database.write_now, lambda c: len(c.execute(_END_LOCKS).all()))
            await until(lambda: not one.elected)
            await until(lambda: one.elected)
    database.stop()


@on_postgresql
async def test_news_reaches_the_other_at_once_and_not_oneself(url: str) -> None:
    first_heard: list[News] = []
    second_heard: list[News] = []
    async with node(url, first_heard.append) as first, node(url, second_heard.append) as second:
        # At the connection each takes it that there is news: nobody knows what was missed.
        await until(lambda: len(first_heard) == len(second_heard) == len(News))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        first.tell(News.SEALED)
        await until(lambda: second_heard[len(News) :] == [News.SEALED])
        assert loop.time() - begun < 1
        second.tell(News.RECORDS)
        await until(lambda: first_heard[len(News) :] == [News.RECORDS])
        await asyncio.sleep(0.3)
        assert len(first_heard) == len(second_heard) == len(News) + 1


@on_postgresql
async def test_many_commits_at_once_are_one_notice(url: str) -> None:
    heard: list[News] = []
    async with node(url) as first, node(url, heard.append):
        await until(lambda: len(heard) == len(News))
        for _ in range(1000):
            first.tell(News.RECORDS)
        await until(lambda: len(heard) > len(News))
        await asyncio.sleep(0.3)
        assert len(heard) <= len(News) + 2


@on_postgresql
async def test_while_the_server_is_away_nobody_is_elected_and_afterwards_one_is(
    own_postgres: Callable[..., Cluster],
) -> None:
    cluster = own_postgres()
    url = cluster.url(cluster.create())
    heard: list[News] = []
    async with node(url, heard.append) as one:
        await until(lambda: one.elected)
        await asyncio.to_thread(cluster.stop)
        await until(lambda: not one.elected)
        one.tell(News.RECORDS)
        heard.clear()
        await asyncio.to_thread(cluster.start)
        await until(lambda: one.elected)
        assert heard == list(News)  # whatever was missed meanwhile


@on_postgresql
async def test_a_clock_that_differs_from_the_servers_is_told(url: str) -> None:
    database = Database(url, readers=1, writers=1)
    clock = FakeClock(datetime(2026, 3, 2, tzinfo=UTC))
    one = open_peers(database, clock, lambda _news: None)
    task = asyncio.create_task(one.run())
    await until(lambda: one.elected)
    assert "keep both in step" in await one.health()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    database.stop()
