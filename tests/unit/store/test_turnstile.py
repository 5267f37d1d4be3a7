"""Processes that write one SQLite file go in one after the other, and none meets SQLite's lock."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.database import Database

pytestmark = pytest.mark.one_database("the file lock is SQLite's")

WRITER = """
import asyncio, sys
from gateway.store.database import Database

async def write(url, who):
    database = Database(url, readers=1, patience=0, shared=True)
    database.start()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(300):
        await database.write(lambda c: c.exec_driver_sql("INSERT INTO t VALUES (?)", (who,)))
    database.stop()

asyncio.run(write(sys.argv[1], sys.argv[2]))
"""
HOLDER = """
import sys, time
from pathlib import Path
from gateway.store.turnstile import Turnstile

with Turnstile(Path(sys.argv[1])).passed():
    print("inside", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "yizhan.db"
    database = Database(f"sqlite:///{path}", readers=1)
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE t (who TEXT)"))
    database.stop()
    return path


@pytest.fixture
def shared(file: Path) -> Iterator[Database]:
    """A database that fails at once if it meets SQLite's own lock."""
    database = Database(f"sqlite:///{file}", readers=1, patience=0, shared=True)
    database.start()
    yield database
    database.stop()


def start(program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is inside."""
    with start(HOLDER, str(file)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        yield process
        process.kill()


def insert(who: str) -> Callable[..., object]:
    return lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES (?)", (who,))


def test_processes_that_write_all_the_time_never_find_the_database_locked(
    file: Path, shared: Database
) -> None:
    writers = [start(WRITER, f"sqlite:///{file}", who) for who in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for _ in range(50):  # and commands beside them
        shared.write_now(insert("three"))
    for writer in writers:
        with writer:
            assert writer.wait(60) == 0
    query = "SELECT who, count(*) FROM t GROUP BY who ORDER BY who"
    found = shared.read_now(lambda c: [tuple(row) for row in c.exec_driver_sql(query)])
    assert found == [("one", 300), ("three", 50), ("two", 300)]


async def test_who_waits_comes_in_when_the_process_inside_dies(
    shared: Database, holder: subprocess.Popen[str]
) -> None:
    writing = asyncio.create_task(shared.write(insert("me")))
    for _ in range(30):  # the loop does not wait with it
        await asyncio.sleep(0.01)
    assert not writing.done()
    holder.kill()
    async with asyncio.timeout(10):
        await writing


async def test_the_health_page_hears_of_a_process_that_does_not_come_out(
    shared: Database, holder: subprocess.Popen[str]
) -> None:
    assert await shared.trouble() == "database is locked"
    holder.kill()
    holder.wait()
    assert await shared.trouble() == ""


def test_the_health_page_hears_of_a_file_that_is_gone(file: Path, shared: Database) -> None:
    file.rename(file.with_name("elsewhere"))
    assert asyncio.run(shared.trouble()) == "unable to open database file"


async def test_after_another_process_has_failed_nothing_more_is_written(shared: Database) -> None:
    await shared.write(insert("before"))
    shared.fail("disk I/O error")
    shared.fail("a later cause")
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        await shared.write(insert("after"))
    assert await shared.trouble() == "disk I/O error"


def test_a_database_of_one_process_has_no_file_for_turns(file: Path) -> None:
    assert not Path(f"{file}-turn").exists()
