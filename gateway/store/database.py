"""The database: writer threads whose commits have reached the disk; `readings` reads.

A unit of work is a function of a connection. It touches nothing but the database, never swallows an
error of the database, and may be run twice. The promise of `await write(...)` is that the commit
has reached the disk; else it raises StoreUnavailable if nothing was written, or CommitUnknown if
that cannot be known.

SQLite has one writer, which takes all that wait (up to `batch`), runs each in a savepoint inside
one BEGIN IMMEDIATE, and commits once. A unit that raises loses only its savepoint; if the
transaction itself breaks, every unit of the batch fails. PostgreSQL groups commits by itself, so
there each of several writers runs one unit in one transaction: none waits for another's locks, and
the loser of a deadlock alone is run again (see `store.postgres`).

Own code because no library has a group commit with savepoints over SQLAlchemy Core: aiosqlite under
it measured 200 to 720 commits a second, this 84,000 inserts a second.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, RootTransaction, exc, select

from gateway.errors import CommitUnknown, StoreError, StoreUnavailable
from gateway.store import postgres, sqlite
from gateway.store.engine import make_engine, tell
from gateway.store.fault import reach
from gateway.store.readings import Readings, unavailable
from gateway.store.turnstile import Turnstile

T = TypeVar("T")
Work = Callable[[Connection], T]

# Result codes after which SQLite may have ended the transaction by itself (its manual, section
# "Response To Errors Within A Transaction"): then nothing of the batch can be saved.
_FATAL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}
# A COMMIT that ends so has not written its commit frame; after any other error nobody can say.
_NOT_COMMITTED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT}


PROBE_SECONDS = 6.0
_PROBE = select(1)


@dataclass(slots=True)
class _Unit:
    work: Work[Any]
    done: Future[Any]
    kind: str
    result: Any = None
    error: BaseException | None = None


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
        alone = self.near = url.startswith("sqlite")
        writers = 1 if alone else writers
        # Each reader may keep a connection, and the event loop one.
        self.engine = make_engine(url, connections=readers + writers + 1, patience=patience)
        self._writer = self.engine.execution_options(yizhan_write=True)
        self._batch = batch if alone else 1
        self._waiting: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._run = self._run_batches if alone else self._run_units
        self._writers = writers
        self._counting = threading.Lock()
        self._readings = Readings(self.engine, readers)
        self._failed = ""
        file = self.engine.url.database
        self._turnstile = Path(file) if shared and alone and file else None
        self._turn, self._give_back = _no_turn()  # of the one writer thread
        self.commits = 0
        self.units = 0

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
        return self._waiting.qsize()

    def start(self) -> None:
        """Start the writer threads."""
        if self._turnstile is not None:
            turnstile = Turnstile(self._turnstile)
            self._turn, self._give_back = turnstile.passed, turnstile.close
        self._threads = [
            threading.Thread(target=self._run, name="writer", daemon=True)
            for _ in range(self._writers)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the threads and close the connections."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._waiting.put(None)
        for thread in threads:
            thread.join()
        self._give_back()
        self._turn, self._give_back = _no_turn()
        self._readings.stop()
        self.engine.dispose()

    async def write(self, work: Work[T], kind: str = "") -> T:
        """Run a unit of work; on return its commit has reached the disk.

        `kind` is its name among the points at which tests kill the daemon (`store.fault`).

        Raises what the work raised (its changes are gone), StoreUnavailable if nothing of the
        batch was written, CommitUnknown if that cannot be known. If the waiting task is cancelled,
        a unit that the writer has not begun is left out; one that it has begun is committed.
        """
        return cast(T, await asyncio.wrap_future(self._submit(work, kind)))

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
            return self._alone(in_turn, "")
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise unavailable("the database cannot be written", error) from error

    def read_now(self, work: Work[T]) -> T:
        """`read` for a command: in this thread."""
        return self._readings.read_now(work)

    def _alone(self, work: Work[T], kind: str) -> T:
        """Run a unit in a transaction of its own, again if it lost to another one."""

        def attempt() -> T:
            with self._writer.connect() as connection:
                transaction = connection.begin()
                result = work(connection)
                reach("before-commit", kind)
                self._finish(connection, transaction)
                reach("after-commit", kind)
                return result

        if self._turnstile is None:
            return postgres.patiently(attempt)
        with closing(Turnstile(self._turnstile)) as turnstile, turnstile.passed():
            return attempt()

    def _submit(self, work: Work[T], kind: str = "") -> Future[T]:
        unit = _Unit(work, Future(), kind)
        if not self._threads or self._failed:
            unit.done.set_exception(self._closed())
        else:
            self._waiting.put(unit)
        return unit.done

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable("the database takes no writes", cause=self._failed or "stopped")

    def _run_units(self) -> None:
        """A writer of PostgreSQL: one unit after the other, each in a transaction of its own."""
        while (unit := self._waiting.get()) is not None:
            if not unit.done.set_running_or_notify_cancel():
                continue  # its waiter has gone
            try:
                result = self._alone(unit.work, unit.kind)
            except exc.DBAPIError as error:
                if postgres.is_ours(error):  # a broken constraint, a wrong statement
                    unit.done.set_exception(error)
                else:
                    unit.done.set_exception(unavailable("the database cannot be written", error))
            except exc.TimeoutError as error:
                unit.done.set_exception(unavailable("the database cannot be written", error))
            except BaseException as error:  # noqa: BLE001  # it belongs to the caller, who gets it
                unit.done.set_exception(error)
            else:
                with self._counting:
                    self.commits += 1
                    self.units += 1
                unit.done.set_result(result)

    def _run_batches(self) -> None:
        """The writer of SQLite."""
        while batch := self._take():
            # A unit whose waiter has gone is left out; the others can no longer be cancelled, so
            # that setting their results cannot fail and take this thread with it.
            wanted = [unit for unit in batch if unit.done.set_running_or_notify_cancel()]
            if self._failed:
                _fail(wanted, self._closed())
            elif wanted:
                self._commit(wanted)

    def _take(self) -> list[_Unit]:
        """The next batch, as soon as anything waits; empty when the thread is to end."""
        first = self._waiting.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < self._batch:
            try:
                unit = self._waiting.get_nowait()
            except queue.Empty:
                break
            if unit is None:
                self._waiting.put(None)  # for the next call
                break
            batch.append(unit)
        return batch

    def _commit(self, batch: list[_Unit]) -> None:
        kinds = [unit.kind for unit in batch]
        try:
            with self._turn(), self._writer.connect() as connection:
                transaction = connection.begin()
                for unit in batch:
                    _run_in_savepoint(connection, unit)
                reach("before-commit", *kinds)
                self._finish(connection, transaction)
                reach("after-commit", *kinds)
        except StoreError as error:
            _fail(batch, error)
        except BaseException as error:  # noqa: BLE001  # the thread must live; each waiter is told
            _fail(batch, StoreUnavailable("the database cannot be written", cause=str(error)))
        else:
            self.commits += 1
            self.units += len(batch)
            for unit in batch:
                if unit.error is not None:
                    unit.done.set_exception(unit.error)
                else:
                    unit.done.set_result(unit.result)

    def _finish(self, connection: Connection, transaction: RootTransaction) -> None:
        """Commit. Raises StoreUnavailable if it surely has not happened, else CommitUnknown."""
        try:
            transaction.commit()
        except exc.DBAPIError as error:
            if postgres.has_lost(error):
                raise  # and is run again
            cause = str(error.orig)
            lost = error.connection_invalidated
            # A COMMIT that failed may leave the transaction open, and with it the lock, though
            # SQLAlchemy takes it for closed: the connection must not come back from the pool.
            connection.invalidate()
            if _code(error) in _NOT_COMMITTED or postgres.is_undone(error):
                raise StoreUnavailable("the database cannot be written", cause=cause) from error
            if not lost and connection.dialect.name == "sqlite":
                # After a failed fsync the pages may be gone though a later fsync says they are
                # not: never try again, take no more mail, and let the health page say so.
                self._failed = cause
            raise CommitUnknown("the commit is in doubt", cause=cause) from error


def _no_turn() -> tuple[Callable[[], AbstractContextManager[None]], Callable[[], None]]:
    return nullcontext, lambda: None


def _nothing(_connection: Connection) -> None:
    """A unit of work that only shows that units of work are done."""


def _run_in_savepoint(connection: Connection, unit: _Unit) -> None:
    tell(connection, "SAVEPOINT unit")
    try:
        unit.result = unit.work(connection)
        tell(connection, "RELEASE SAVEPOINT unit")
    except BaseException as error:  # it belongs to the caller, who gets it
        if _has_ended(connection, error):
            raise
        tell(connection, "ROLLBACK TO SAVEPOINT unit")
        tell(connection, "RELEASE SAVEPOINT unit")
        unit.error = error


def _has_ended(connection: Connection, error: BaseException) -> bool:
    """Whether the error has taken the whole transaction with it, or may have."""
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    return not driver.in_transaction or _code(error) in _FATAL


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code behind an error, if there is one."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _fail(batch: list[_Unit], error: StoreError) -> None:
    for unit in batch:
        own = type(error)(error.public, cause=error.cause)  # one for each waiter's traceback
        own.__cause__ = error
        unit.done.set_exception(own)
