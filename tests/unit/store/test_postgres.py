"""What is PostgreSQL's own: who loses is run again, and a server that goes away comes back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, exc, insert, select, text, update

from gateway.errors import CommandError, CommitUnknown, StoreUnavailable, StoreUnusable
from gateway.store import migrate, postgres, server
from gateway.store.database import Database
from gateway.store.engine import make_engine
from tests.databases import POSTGRESQL, Databases
from tests.postgres import KEYED, Cluster
from tests.unit.store.conftest import make_notes, note, notes, offered, texts

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.one_database("PostgreSQL's own", kind=POSTGRESQL)


_END_OTHERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class DriverError(Exception):
    def __init__(self, **values: str) -> None:
        super().__init__("the server says")
        self.__dict__.update(values)


class Told:
    """A connection that notes what it is told to execute."""

    def __init__(self, dialect: str) -> None:
        self.dialect = SimpleNamespace(name=dialect)
        self.told: list[tuple[str, Any]] = []

    def execute(self, statement: Any, values: Any) -> None:
        self.told.append((str(statement), values["key"]))


def complain(state: str) -> Callable[[Connection], None]:
    """A unit of work that the server ends with that SQLSTATE."""
    block = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
    return lambda connection: connection.execute(text(block))  # type: ignore[return-value]


def end_connection(url: str, connection: Connection) -> None:
    """What the server's administrator can do to a connection of ours."""
    number = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    engine = make_engine(url)
    with engine.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
    engine.dispose()


@pytest.mark.parametrize(
    ("state", "undone", "ours"),
    [
        ("40001", True, False),
        ("40P01", True, False),
        ("23505", True, True),
        ("42P01", False, True),
        ("58030", False, False),
        ("57P01", False, False),
        ("53100", False, False),
        ("", False, False),
    ],
)
def test_only_what_the_server_rolled_back_is_known_not_to_be_committed(
    state: str, undone: bool, ours: bool
) -> None:
    error = exc.DBAPIError("COMMIT", None, DriverError(sqlstate=state))
    assert (postgres.is_undone(error), postgres.is_ours(error)) == (undone, ours)


def test_one_matter_is_one_lock_and_another_matter_another() -> None:
    connection: Any = Told("postgresql")
    for matter in (("a", b"bc"), ("a", b"bc"), ("ab", b"c")):
        postgres.take_turn(connection, *matter)
    first, again, other = connection.told
    assert "pg_advisory_xact_lock" in first[0]
    assert first == again
    assert first[1] != other[1]
    assert -(2**63) <= other[1] < 2**63


def test_a_single_writer_needs_no_lock() -> None:
    connection: Any = Told("sqlite")
    postgres.take_turn(connection, "a")
    assert connection.told == []


async def test_readers_see_one_snapshot_and_commits_wait_for_the_disk(database: Database) -> None:
    def settings(connection: Connection) -> list[str]:
        names = ("synchronous_commit", "transaction_isolation")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]

    assert await database.read(settings) == ["on", "repeatable read"]
    assert await database.write(settings) == ["on", "read committed"]


async def test_the_loser_of_a_deadlock_alone_is_run_again_and_both_are_written(url: str) -> None:
    database = Database(url, writers=2)  # as patient as a daemon: a deadlock is seen after 1 s
    database.start()
    database.write_now(lambda c: c.execute(insert(notes), [{"text": "a"}, {"text": "b"}]).rowcount)
    both, ran = threading.Barrier(2), list[str]()

    def unit(*order: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            ran.append(order[0])
            for number, word in enumerate(order):
                row = notes.c.text.startswith(word)
                connection.execute(update(notes).where(row).values(text=notes.c.text + order[0]))
                if number == 0 and len(ran) <= 2:
                    both.wait(10)

        return work

    await asyncio.gather(database.write(unit("a", "b")), database.write(unit("b", "a")))
    assert sorted(len(one) for one in await database.read(texts)) == [3, 3]
    assert len(ran) >= 3  # more if the loser was quick enough to meet the same rival again
    database.stop()


async def test_who_always_loses_is_told_so_after_some_tries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TRIES", 4)
    ran = list[int]()

    def loses(connection: Connection) -> None:
        ran.append(1)
        complain("40001")(connection)

    with pytest.raises(StoreUnavailable):
        await database.write(loses)
    assert len(ran) == 4
    assert await database.write(note("a")) == "a"


@pytest.mark.parametrize("state", ["53100", "57014", "55P03", "25006"])
async def test_a_trouble_of_the_server_is_temporary_and_not_tried_again(
    state: str, database: Database
) -> None:
    ran = list[int]()

    def fails(connection: Connection) -> None:
        ran.append(1)
        complain(state)(connection)

    with pytest.raises(StoreUnavailable):
        await database.write(fails)
    assert len(ran) == 1
    assert database.failed == ""


async def test_a_row_that_another_holds_too_long_is_a_temporary_failure(
    database: Database, url: str
) -> None:
    await database.write(note("a"))
    other = make_engine(url)
    with other.begin() as connection:
        connection.execute(select(notes).with_for_update())
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await database.write(lambda c: c.execute(update(notes).values(text="b")).rowcount)
    other.dispose()


async def test_connections_that_died_in_the_pool_cost_nobody_anything(
    database: Database, url: str
) -> None:
    await asyncio.gather(*(database.write(note(str(number))) for number in range(8)))
    await asyncio.gather(*(database.read(texts) for _ in range(4)))
    engine = make_engine(url)
    with engine.begin() as connection:
        ended = connection.execute(_END_OTHERS).all()
    engine.dispose()
    assert len(ended) > 1
    assert len(await database.read(texts)) == 8
    assert await database.write(note("c")) == "c"


async def test_a_connection_lost_before_the_commit_is_run_again_on_another(
    database: Database, url: str
) -> None:
    ran = list[int]()

    def cut_off(connection: Connection) -> str:
        ran.append(1)
        if len(ran) == 1:
            end_connection(url, connection)
        return note("a")(connection)

    assert await database.write(cut_off) == "a"
    assert len(ran) == 2
    assert await database.read(texts) == ["a"]


async def test_a_connection_lost_at_the_commit_leaves_it_unknown_and_the_next_unit_goes_on(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = database.engine.dialect
    commit = dialect.do_commit

    def cut_off(connection: Any) -> None:
        monkeypatch.undo()
        number = connection.driver_connection.info.backend_pid
        engine = make_engine(url)
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
        engine.dispose()
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", cut_off)
    unit = offered(database, note("a"))
    assert isinstance(await unit, CommitUnknown)
    assert database.failed == ""
    assert await database.write(note("b")) == "b"


@pytest.fixture
def own(own_postgres: Callable[..., Cluster]) -> Cluster:
    """A server of the test's own, to be stopped."""
    return own_postgres()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_server_that_goes_away_is_told_and_used_again_when_it_is_back(
    how: signal.Signals, own: Cluster
) -> None:
    url = own.url(own.create())
    make_notes(url)
    database = Database(url, readers=2, writers=2)
    database.start()
    assert await database.write(note("a")) == "a"
    assert await database.trouble() == ""
    own.stop(how)
    for _ in range(4):  # as many as there are connections
        with pytest.raises(StoreUnavailable):
            await database.write(note("lost"))
        with pytest.raises(StoreUnavailable):
            await database.read(texts)
    assert await database.trouble()
    own.start()
    assert await database.trouble() == ""
    assert await database.write(note("b")) == "b"
    assert await database.read(texts) == ["a", "b"]
    database.stop()


# Whether an office can live there.


@pytest.fixture
def engines(postgres: Cluster) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(url: str) -> Any:
        made.append(make_engine(url))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def test_a_server_that_is_not_there_is_named_without_the_password(
    engines: Callable[..., Any],
) -> None:
    for url in (
        "postgresql+psycopg://yizhan:secret7@127.0.0.1:1/yizhan",
        "postgresql+psycopg://yizhan:secret7@/yizhan?host=/nowhere",
    ):
        with pytest.raises(StoreUnavailable, match=r"state\.database: .*failed") as caught:
            server.require_usable(engines(url))
        assert "secret7" not in f"{caught.value} {caught.value.__cause__!r}"
        assert "\n" not in caught.value.public


def test_a_wrong_password_and_a_missing_database_are_the_servers_own_sentences(
    postgres: Cluster, engines: Callable[..., Any], databases: Databases
) -> None:
    url = databases.empty()
    with postgres.connect("postgres") as connection:
        connection.execute(f"CREATE ROLE {KEYED} LOGIN PASSWORD 'right5'")
    try:
        wrong = url.replace("yizhan@", f"{KEYED}:wrong9@")
        with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
            server.require_usable(engines(wrong))
        assert "wrong9" not in str(caught.value)
        server.require_usable(engines(wrong.replace("wrong9", "right5")))
    finally:
        with postgres.connect("postgres") as connection:
            connection.execute(f"DROP ROLE {KEYED}")
    with pytest.raises(StoreUnavailable, match='"nowhere" does not exist'):
        server.require_usable(engines(postgres.url("nowhere")))


def test_a_database_that_cannot_write_chinese_is_refused(
    postgres: Cluster, engines: Callable[..., Any]
) -> None:
    with postgres.connect("postgres") as connection:
        connection.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
            + (" LOCALE_PROVIDER libc" if connection.info.server_version >= 150000 else "")
        )
    try:
        with pytest.raises(StoreUnusable, match=r"encoding is LATIN1.*ENCODING 'UTF8'"):
            server.require_usable(engines(postgres.url("latin")))
    finally:
        postgres.drop("latin")


def test_a_server_that_is_too_old_is_refused(
    databases: Databases, engines: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "OLDEST", 99)
    with pytest.raises(StoreUnusable, match="is too old; 99 or newer"):
        server.require_usable(engines(databases.empty()))


def test_a_database_in_use_is_not_taken_for_an_empty_one(
    databases: Databases, engines: Callable[..., Any]
) -> None:
    engine = engines(databases.empty())
    server.require_empty(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (a int)"))
    with pytest.raises(CommandError, match=r"tables already \(mine"):
        server.require_empty(engine)
    server.empty(engine)
    server.require_empty(engine)


def test_a_start_waits_for_a_server_that_comes_later(own: Cluster) -> None:
    engine = make_engine(own.url(own.create()))
    own.stop()
    told: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.wait_for, engine, 30, told.append)
        time.sleep(0.5)
        own.start()
        waiting.result()
    assert len(told) == 1
    own.stop()
    with pytest.raises(StoreUnavailable):
        server.wait_for(engine, 0.1, told.append)
    engine.dispose()


_UPGRADE = """
import sys
from gateway.store import migrate
from gateway.store.engine import make_engine
migrate.upgrade(make_engine(sys.argv[1]))
"""


def test_two_that_bring_the_schema_up_to_date_at_once_do_it_once(databases: Databases) -> None:
    url = databases.empty()
    engine = make_engine(url)
    with engine.begin() as connection:  # so that both are there before either begins
        postgres.take_turn(connection, "migrate")
        both = [subprocess.Popen([sys.executable, "-c", _UPGRADE, url], cwd=ROOT) for _ in range(2)]
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        deadline = time.monotonic() + 60
        while connection.execute(waiting).scalar_one() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert [one.wait(60) for one in both] == [0, 0]
    assert migrate.current(engine) == migrate.known()[-1]
    engine.dispose()
