"""SQLite's writer: what is short is done in the event loop, which waits for nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from tests.unit.store.conftest import note, offered, one_batch, texts

pytestmark = pytest.mark.one_database("SQLite's writer")


async def turns_until(done: Awaitable[object]) -> int:
    """How often the event loop came round meanwhile."""
    task, turns = asyncio.ensure_future(done), 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    await task
    return turns


async def test_a_unit_is_done_in_the_event_loop_and_a_long_one_is_not(database: Database) -> None:
    def where(_connection: Connection) -> threading.Thread:
        return threading.current_thread()

    here = threading.current_thread()
    assert await database.write(where) is here
    assert await database.write(where, long=True) is not here


async def test_the_loop_goes_on_while_another_process_writes(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.15, lambda: (other.execute("COMMIT"), other.close()))
    timer.start()
    assert await turns_until(database.write(note("a"))) > 3
    timer.join()
    # The next one takes the lock at once again, or not at all.
    assert await database.write(note("b")) == "b"
    assert await database.read(texts) == ["a", "b"]


async def test_the_loop_goes_on_while_a_long_unit_runs(database: Database) -> None:
    let_go = threading.Event()

    def slow(connection: Connection) -> str:
        assert let_go.wait(10)
        return note("slow")(connection)

    asyncio.get_running_loop().call_later(0.1, let_go.set)
    assert await turns_until(database.write(slow, long=True)) > 3
    assert await database.read(texts) == ["slow"]


async def test_other_work_comes_between_the_units_of_a_long_batch(database: Database) -> None:
    seen: list[str] = []

    def busy(connection: Connection) -> None:
        threading.Event().wait(0.01)  # longer than a slice
        seen.append("unit")

    async with one_batch(database):
        units = [offered(database, busy) for _ in range(3)]
    while not all(unit.done() for unit in units):
        seen.append("other")
        await asyncio.sleep(0)
    first, last = seen.index("unit"), len(seen) - 1 - seen[::-1].index("unit")
    assert "other" in seen[first:last]


async def test_a_lock_that_is_not_given_up_fails_the_batch_and_not_the_next(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(10):
        both = await asyncio.gather(
            *(database.write(note(word)) for word in "ab"), return_exceptions=True
        )
    assert [type(one) for one in both] == [StoreUnavailable] * 2
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(note("a")) == "a"


async def test_two_event_loops_in_turn_may_use_one_database(url: str) -> None:
    database = Database(url)
    database.start()
    for word in ("a", "b"):
        await asyncio.to_thread(asyncio.run, database.write(note(word)))
    assert await database.read(texts) == ["a", "b"]
    await database.close()
