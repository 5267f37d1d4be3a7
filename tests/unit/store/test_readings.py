"""Readings: what a thread or the event loop keeps is its own, and nobody else pays for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from tests.databases import SQLITE, Databases

pytestmark = pytest.mark.one_database("only SQLite is read in the event loop", kind=SQLITE)

PATIENCE = 7.0


@pytest.fixture
def database(databases: Databases) -> Database:
    return Database(databases.empty(), readers=2, patience=PATIENCE)


def _patience(connection: Connection) -> int:
    return int(connection.execute(text("PRAGMA busy_timeout")).scalar_one())


async def test_a_glance_is_made_in_the_event_loop_with_little_patience(database: Database) -> None:
    async def glance() -> tuple[int, int]:
        return await database.glance(lambda c: (threading.get_ident(), _patience(c)))

    assert await glance() == (threading.get_ident(), 500)
    where, patience = await database.read(lambda c: (threading.get_ident(), _patience(c)))
    assert where != threading.get_ident()
    assert patience == PATIENCE * 1000
    database.stop()


async def test_what_a_failed_glance_held_is_given_to_nobody(database: Database) -> None:
    """The writer would get its half second, and give up where it should wait."""
    with pytest.raises(StoreUnavailable):
        await database.glance(lambda c: c.execute(text("SELECT nothing")))
    with pytest.raises(ZeroDivisionError):
        await database.glance(lambda _c: 1 / 0)
    opened = [database.engine.connect() for _ in range(5)]
    assert {_patience(one) for one in opened} == {PATIENCE * 1000}
    for one in opened:
        one.close()
    assert await database.glance(_patience) == 500
    database.stop()


def test_any_number_of_threads_may_read_one_after_the_other(database: Database) -> None:
    """None of them keeps a connection, of which there are few."""
    together = threading.Barrier(30)

    def read() -> int:
        found = database.read_now(_patience)
        together.wait(60)  # all threads are alive, so what they kept would be kept now
        return found

    with ThreadPoolExecutor(30) as threads:
        found = {one.result(60) for one in [threads.submit(read) for _ in range(30)]}
    assert found == {PATIENCE * 1000}
    database.stop()
