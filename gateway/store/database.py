"""The database: a writer whose commits have reached the disk; `readings` reads.

A unit of work is a function of a connection. It touches nothing but the database, never swallows an
error of the database, and may be run twice. The promise of `await write(...)` is that the commit
has reached the disk; else it raises StoreUnavailable if nothing was written, or CommitUnknown if
that cannot be known. How that is done is the databases' own matter: `batches` for SQLite, which has
one writer, `units` for PostgreSQL, which has many.

Own code because no library has a group commit with savepoints over SQLAlchemy Core: aiosqlite under
it measured 200 to 720 commits a second, this 84,000 inserts a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy import Connection, exc, select

from gateway.errors import StoreError, StoreUnavailable
from gateway.store import postgres, sqlite
from gateway.store.batches import Batches
from gateway.store.engine import make_engine
from gateway.store.fault import reach
from gateway.store.readings import Readings, unavailable
from gateway.store.turnstile import Turnstile
from gateway.store.unit import Unit, finish
from gateway.store.units import Units

T = TypeVar("T")
Work = Callable[[Connection], T]

PROBE_SECONDS = 6.0
_PROBE = select(1)


class Database:
    """State behind two verbs, `write` and `read`; also for commands, as `write_now`, `read_now`."""

    def __init__(
        self,
        url: str,
        *,
        readers: int = 4,
        writers: int = 8,
        batch: int = 256,
        patience: float = 30.0,
        shared: bool = False,
    ) -> None:
        """`writers` are PostgreSQL's, `batch` is SQLite's; `patience`: seconds to wait for a write
        of another process; `shared`: several processes write all the time (`store.turnstile`)."""
        self.near = url.startswith("sqlite")
        writers = 1 if self.near else writers
        # Each reader may keep a connection, and the event loop one.
        self.engine = make_engine(url, connections=readers + writers + 1, patience=patience)
        self._writing = self.engine.execution_options(yizhan_write=True)
        self._writers, self._batch, self._patience = writers, batch, patience
        self._readings = Readings(self.engine, readers)
        self._failed = ""
        file = self.engine.url.database
        self._turnstile = Path(file) if shared and self.near and file else None
        self._writer: Batches | Units | None = None
        self.written: Callable[[], None] = _nobody  # called after each unit that was committed

    @property
    def failed(self) -> str:
        """Why the database takes no more writes; empty while it does."""
        return self._failed

    def fail(self, cause: str) -> None:
        """Take no more writes, because another process of this daemon must not."""
        self._failed = self._failed or cause

    @property
    def waiting(self) -> int:
        """Units of work that wait for the writer."""
        return self._writer.waiting if self._writer else 0

    @property
    def commits(self) -> int:
        """Transactions that were committed since the start."""
        return self._writer.commits if self._writer else 0

    @property
    def units(self) -> int:
        """Units of work in them."""
        return self._writer.units if self._writer else 0

    def start(self) -> None:
        """Take writes from now on."""
        if self.near:
            self._writer = Batches(
                self.engine, most=self._batch, patience=self._patience,
                turnstile=self._turnstile, fail=self.fail, refusal=self._refusal,
            )  # fmt: skip
        else:
            self._writer = Units(lambda unit: self._alone(unit.work, unit), self._writers)

    async def close(self) -> None:
        """Take no more writes, finish what waits, and close the connections."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.drain()
            writer.stop()
        self.stop()

    def stop(self) -> None:
        """`close` where no event loop runs."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.stop()
        self._readings.stop()
        self.engine.dispose()

    async def write(
        self, work: Work[T], kind: str = "", *, long: bool = False, aloud: bool = True
    ) -> T:
        """Run a unit of work; on return its commit has reached the disk.

        `kind` is its name among the points at which tests kill the daemon (`store.fault`). A `long`
        unit is one that the event loop should not wait for: it writes more than some fifty rows.
        Of one that is not `aloud` nobody is told by `written`.

        Raises what the work raised (its changes are gone), StoreUnavailable if nothing of the
        batch was written, CommitUnknown if that cannot be known. If the waiting task is cancelled,
        a unit that the writer has not begun is left out; one that it has begun is committed.
        """
        if self._writer is None or self._failed:
            raise self._closed()
        result = cast(T, await self._writer.write(Unit(work, kind, long)))
        if aloud:
            self.written()
        return result

    async def read(self, work: Work[T]) -> T:
        """Run a function over one consistent snapshot, in a reader's thread."""
        return await self._readings.read(work)

    async def glance(self, work: Work[T]) -> T:
        """`read` for a row or two by their index: on SQLite in the event loop, see `Readings`."""
        return await self._readings.glance(work)

    async def trouble(self) -> str:
        """Why the database takes no writes now, probed; empty if it does."""
        if self._failed:
            return self._failed
        if self._turnstile is not None:
            return await self._trouble_of_turns(self._turnstile)
        if self.near:
            return await asyncio.to_thread(sqlite.trouble, self.engine.url.database or "")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self.read(lambda connection: connection.execute(_PROBE).scalar())
        except TimeoutError:
            return "it does not answer"
        except StoreError as error:
            return error.cause
        return ""

    async def _trouble_of_turns(self, file: Path) -> str:
        """Ask our own writer: to ask SQLite would be to push in front of who waits."""
        if not await asyncio.to_thread(file.exists):
            return "unable to open database file"
        try:
            async with asyncio.timeout(sqlite.LOCK_SECONDS):
                await self.write(_nothing)
        except TimeoutError:
            return "database is locked"
        except StoreError as error:
            return error.cause
        return ""

    def write_now(self, work: Work[T]) -> T:
        """`write` for a command: in this thread, in a transaction of its own.

        One command at a time, whichever node it is called on: a verb of the directory or of the
        seals looks before it writes, and relies on nobody writing in between.
        """

        def in_turn(connection: Connection) -> T:
            postgres.take_turn(connection, "a command")
            return work(connection)

        try:
            return self._alone(in_turn, Unit(in_turn))
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise unavailable("the database cannot be written", error) from error

    def read_now(self, work: Work[T]) -> T:
        """`read` for a command: in this thread."""
        return self._readings.read_now(work)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """One state of the database for a command that reads for long. Raises StoreUnavailable."""
        return self._readings.snapshot()

    def _alone(self, work: Work[T], unit: Unit) -> T:
        """Run a unit in a transaction of its own, again if it lost to another one."""

        def attempt() -> T:
            with self._writing.connect() as connection:
                transaction = connection.begin()
                result = work(connection)
                reach("before-commit", unit.kind)
                finish(connection, transaction, self.fail)
                reach("after-commit", unit.kind)
                return result

        if self._turnstile is None:
            return postgres.patiently(attempt)
        with closing(Turnstile(self._turnstile)) as turnstile, turnstile.passed():
            return attempt()

    def _refusal(self) -> StoreError | None:
        return self._closed() if self._failed else None

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable("the database takes no writes", cause=self._failed or "stopped")


def _nobody() -> None:
    """Nobody wants to know."""


def _nothing(_connection: Connection) -> None:
    """A unit of work that only shows that units of work are done."""
