"""A real database: what a unit of work may rely on, and what it cannot break."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, exc, func, insert, select, text

from gateway.errors import StoreUnavailable
from gateway.store.database import Database
from tests.unit.store.conftest import note, notes, offered, one_batch, texts

ROOT = Path(__file__).resolve().parents[3]
sqlite_alone = pytest.mark.one_database("SQLite's own way; PostgreSQL's is in test_postgres")


async def test_what_was_written_is_there_for_another_connection(
    database: Database, url: str
) -> None:
    assert await database.write(note("a")) == "a"
    other = Database(url)
    assert other.read_now(texts) == ["a"]
    other.stop()


@sqlite_alone
async def test_the_file_is_in_wal_mode_and_each_commit_is_synced(database: Database) -> None:
    def pragmas(connection: Connection) -> tuple[object, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names)

    full = 2
    assert await database.read(pragmas) == ("wal", full, 1)
    assert await database.write(pragmas) == ("wal", full, 1)


async def test_a_unit_that_raises_loses_only_its_own_changes(database: Database) -> None:
    def bad(connection: Connection) -> None:
        note("lost")(connection)
        raise LookupError("not like this")

    async with one_batch(database):
        first, second, third = (offered(database, work) for work in (note("a"), bad, note("b")))
    assert await first == "a"
    assert isinstance(await second, LookupError)
    assert await third == "b"
    assert await database.read(texts) == ["a", "b"]


async def test_a_broken_constraint_is_the_units_own_error(database: Database) -> None:
    async with one_batch(database):
        first, second, third = (offered(database, note(word)) for word in ("a", "a", "b"))
    outcomes = [await first, await second]  # of several writers either may be first
    assert "a" in outcomes
    assert [type(one) for one in outcomes if one != "a"] == [exc.IntegrityError]
    assert await third == "b"
    assert await database.read(texts) == ["a", "b"]


async def test_a_wrong_statement_is_the_units_own_error(database: Database) -> None:
    def wrong(connection: Connection) -> None:
        note("lost")(connection)
        connection.execute(text("SELECT * FROM nowhere"))

    async with one_batch(database):
        first, second, third = (offered(database, work) for work in (note("a"), wrong, note("b")))
    assert await first == "a"
    assert isinstance(await second, exc.DBAPIError)
    assert await third == "b"
    assert await database.read(texts) == ["a", "b"]


@sqlite_alone
async def test_units_run_in_real_savepoints_of_one_immediate_transaction(
    database: Database,
) -> None:
    said: list[str] = []

    def trace(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(said.append)

    def bad(connection: Connection) -> None:
        note("lost")(connection)
        raise LookupError

    await database.write(trace)
    async with one_batch(database):
        units = [offered(database, work) for work in (note("a"), bad)]
        del said[:]
    await asyncio.gather(*units)
    del said[: said.index("COMMIT") + 1]  # of the unit that held the writer
    heard = [re.sub(r"\b(INSERT) .*", r"\1", statement) for statement in said]
    assert heard == [
        "BEGIN IMMEDIATE",
        "SAVEPOINT unit",
        "INSERT",
        "RELEASE SAVEPOINT unit",
        "SAVEPOINT unit",
        "INSERT",
        "ROLLBACK TO SAVEPOINT unit",
        "RELEASE SAVEPOINT unit",
        "COMMIT",
    ]


async def test_a_thousand_writes_at_once_share_few_commits(
    database: Database, database_kind: str
) -> None:
    before = database.commits
    words = [f"{number:04}" for number in range(1000)]
    assert await asyncio.gather(*(database.write(note(word)) for word in words)) == words
    assert await database.read(texts) == words
    if database_kind == "sqlite":  # PostgreSQL groups them below us
        assert database.commits - before < 50
    assert database.waiting == 0


@sqlite_alone
async def test_no_commit_takes_more_units_than_a_batch(url: str) -> None:
    database = Database(url, batch=10)
    database.start()
    async with one_batch(database):
        written = [offered(database, note(str(number))) for number in range(25)]
    await asyncio.gather(*written)
    assert database.commits == 1 + 3  # one of them that of the unit that held the writer
    assert database.units == 26
    database.stop()


@sqlite_alone
async def test_a_full_disk_fails_every_unit_of_the_batch_and_writes_nothing(
    database: Database,
) -> None:
    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
        connection.execute(insert(notes).values(text="x" * 100_000))

    async with one_batch(database):
        units = [offered(database, work) for work in (note("a"), fill, note("b"))]
    for unit in units:
        assert isinstance(await unit, StoreUnavailable)
    assert await database.read(texts) == []
    assert database.failed == ""


@sqlite_alone
async def test_after_a_full_disk_the_writer_goes_on_when_there_is_room(database: Database) -> None:
    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=3")
        connection.execute(insert(notes).values(text="x" * 100_000))

    with pytest.raises(StoreUnavailable):
        await database.write(fill)
    await database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000").scalar())
    assert await database.write(note("again")) == "again"


@sqlite_alone
async def test_a_database_locked_by_another_process_is_a_temporary_failure(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await database.write(note("a"))
    with pytest.raises(StoreUnavailable):
        database.write_now(note("a"))
    assert await database.read(texts) == []  # readers do not wait for a writer
    other.execute("COMMIT")
    other.close()
    assert await database.write(note("a")) == "a"
    assert database.failed == ""


@sqlite_alone
async def test_a_short_lock_of_another_process_is_waited_out(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "t.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.1, lambda: (other.execute("COMMIT"), other.close())).start()
    assert await database.write(note("a")) == "a"


async def test_a_waiter_that_is_cancelled_does_not_stop_the_writer(url: str) -> None:
    database = Database(url, writers=1)  # or another would begin the second
    database.start()
    begun, let_go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert let_go.wait(10)
        note("begun")(connection)

    first = asyncio.create_task(database.write(slow, long=True))
    assert await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(database.write(note("not begun")))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    assert await asyncio.gather(first, second, return_exceptions=True)
    let_go.set()
    assert await database.write(note("after")) == "after"
    assert await database.read(texts) == ["after", "begun"]
    database.stop()


async def test_a_unit_that_ends_the_thread_only_ends_itself(database: Database) -> None:
    def leave(_connection: Connection) -> None:
        raise SystemExit(3)

    async with one_batch(database):
        first, second = offered(database, leave), offered(database, note("a"))
    assert isinstance(await first, SystemExit)
    assert await second == "a"
    assert await database.write(note("b")) == "b"


async def test_stopping_finishes_what_waits_and_refuses_what_comes_later(url: str) -> None:
    database = Database(url)
    database.start()
    async with one_batch(database):
        units = [offered(database, note(str(number))) for number in range(20)]
    await database.close()
    assert await asyncio.gather(*units) == [str(number) for number in range(20)]
    with pytest.raises(StoreUnavailable):
        await database.write(note("late"))


async def test_a_reader_sees_one_snapshot_while_others_write(database: Database) -> None:
    await database.write(note("a"))
    begun, go_on = threading.Event(), threading.Event()

    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        first = texts(connection)
        begun.set()
        assert go_on.wait(10)
        return first, texts(connection)

    reading = asyncio.create_task(database.read(twice))
    assert await asyncio.to_thread(begun.wait, 10)
    await database.write(note("b"))
    go_on.set()
    assert await reading == (["a"], ["a"])
    assert await database.read(texts) == ["a", "b"]


async def test_an_error_of_a_reader_is_its_own_and_leaves_no_lock(database: Database) -> None:
    def bad(_connection: Connection) -> None:
        raise KeyError("x")

    for _ in range(20):  # more than there are connections
        with pytest.raises(KeyError):
            await database.read(bad)
        with pytest.raises(StoreUnavailable):
            await database.read(lambda c: c.execute(text("SELECT * FROM nowhere")))
    await database.write(note("a"))
    assert await database.read(texts) == ["a"]


def test_a_command_that_raises_writes_nothing(database: Database) -> None:
    def bad(connection: Connection) -> None:
        note("lost")(connection)
        raise LookupError

    with pytest.raises(LookupError):
        database.write_now(bad)
    assert database.write_now(note("a")) == "a"
    assert database.read_now(texts) == ["a"]


def test_an_error_text_never_carries_the_values(database: Database) -> None:
    database.write_now(note("机密的标题"))
    with pytest.raises(StoreUnavailable) as caught:
        database.write_now(note("机密的标题"))
    assert "机密" not in str(caught.value)
    assert "机密" not in str(caught.value.__cause__)


_OTHER = """
import sys
from gateway.store.database import Database
from tests.unit.store.conftest import note
database = Database(sys.argv[1])
for number in range(100):
    database.write_now(note(f"{sys.argv[2]} {number}"))
database.stop()
"""


async def test_a_daemon_and_commands_write_side_by_side(
    url: str,
) -> None:
    database = Database(url)
    database.start()
    others = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _OTHER, url, name, cwd=ROOT)
        for name in ("first", "second")
    ]
    number = 0
    while any(other.returncode is None for other in others):
        await asyncio.gather(*(database.write(note(f"own {number + k}")) for k in range(10)))
        number += 10
        await asyncio.sleep(0.01)
    assert [other.returncode for other in others] == [0, 0]
    count = await database.read(
        lambda c: c.execute(select(func.count()).select_from(notes)).scalar()
    )
    assert count == 200 + number
    database.stop()
