"""A COMMIT of SQLite that fails: who waits is told whether it may have happened, and it is never
retried. PostgreSQL's are in test_postgres.
"""

from __future__ import annotations

import resource
import sqlite3
from typing import Any

import pytest

from gateway.errors import CommitUnknown, StoreUnavailable
from gateway.store.database import Database
from tests.unit.store.conftest import note, offered, one_batch, texts

pytestmark = pytest.mark.one_database("the errors of SQLite's COMMIT")


async def test_an_io_error_at_the_commit_leaves_its_outcome_unknown_and_stops_the_writes(
    database: Database,
) -> None:
    await database.write(note("before"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with one_batch(database):
        first, second = offered(database, note("a")), offered(database, note("b" * 50_000))
        # A real failure of write(2): no file of this process may grow any more.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        results = [await first, await second]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {type(result) for result in results} == {CommitUnknown}
    assert "I/O" in database.failed
    with pytest.raises(StoreUnavailable):
        await database.write(note("later"))
    assert await database.read(texts) == ["before"]


@pytest.mark.parametrize(
    ("cause", "error", "failed"),
    [
        (sqlite3.OperationalError("disk I/O error"), CommitUnknown, "disk I/O error"),
        (sqlite3.DatabaseError("malformed"), CommitUnknown, "malformed"),
        ("SQLITE_FULL", StoreUnavailable, ""),
        ("SQLITE_BUSY", StoreUnavailable, ""),
    ],
)
async def test_a_commit_that_fails_is_told_to_every_waiter(
    cause: Exception | str,
    error: type[Exception],
    failed: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if isinstance(cause, str):
        given, cause = cause, sqlite3.OperationalError(cause)
        cause.sqlite_errorcode = getattr(sqlite3, given)

    def fail(_connection: object) -> None:
        raise cause

    async with one_batch(database):
        pass
    async with one_batch(database):
        units = [offered(database, note("a")), offered(database, note("b"))]
        engine = database.engine
        real = engine.dialect.do_commit
        calls: list[int] = []

        def second_fails(connection: Any) -> None:
            calls.append(1)
            if len(calls) == 1:  # that of the unit that holds the writer
                real(connection)
            else:
                fail(connection)

        monkeypatch.setattr(engine.dialect, "do_commit", second_fails)
    for unit in units:
        assert isinstance(await unit, error)
    assert database.failed == failed
    monkeypatch.undo()
    assert await database.read(texts) == []
    if not failed:
        assert await database.write(note("again")) == "again"


async def test_after_a_failed_commit_what_waits_is_not_tried(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    ran: list[str] = []
    monkeypatch.setattr(database.engine.dialect, "do_commit", fail)
    with pytest.raises(CommitUnknown):
        async with one_batch(database):
            waits = offered(database, lambda _c: ran.append("ran"))
    assert isinstance(await waits, StoreUnavailable)
    assert ran == []
