"""The database: one writer thread that commits many units of work at once, and readers in threads.

A unit of work is a function of a connection. It touches nothing but the database, never swallows an
error of the database, and may be run twice. The writer takes all that wait (up to `batch`), runs
each in a savepoint inside one BEGIN IMMEDIATE, and commits once: the promise of `await write(...)`
is that the commit has reached the disk. A unit that raises loses only its savepoint. If the
transaction itself breaks, every unit of the batch fails with StoreUnavailable; if only the outcome
of the commit is unknown, with CommitUnknown.

Own code because no library has a group commit with savepoints over SQLAlchemy Core: aiosqlite under
it measured 200 to 720 commits a second, this 84,000 inserts a second.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from gateway.errors import CommitUnknown, StoreError, StoreUnavailable
from gateway.store import postgres
from gateway.store.fault import reach

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


@dataclass(slots=True)
class _Unit:
    work: Work[Any]
    done: Future[Any]
    result: Any = None
    error: BaseException | None = None


def make_engine(url: str, *, readers: int = 4, patience: float = 30.0) -> Engine:
    """An engine whose transactions we begin ourselves; SQLite gets WAL with synchronous=FULL.

    `patience` is how many seconds to wait for another process's write. A deferred transaction that
    turns from reading to writing fails at once with "database is locked", whatever the timeout; so
    the driver must never begin one by itself.
    """
    if not url.startswith("sqlite"):
        return create_engine(
            url, pool_size=readers + 1, hide_parameters=True, connect_args=postgres.CONNECT
        )
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=readers + 1, max_overflow=4,
        hide_parameters=True,  # else an error's text would carry titles into the log
        connect_args={"timeout": patience, "check_same_thread": False},
    )  # fmt: skip
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-16000",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("yizhan_write", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        _tell(connection, "BEGIN")  # takes no lock yet, so it cannot fail


class Database:
    """State behind two verbs, `write` and `read`; also for commands, as `write_now`, `read_now`."""

    def __init__(
        self, url: str, *, readers: int = 4, batch: int = 256, patience: float = 30.0
    ) -> None:
        """`patience`: seconds to wait for a write of another process."""
        self.engine = make_engine(url, readers=readers, patience=patience)
        self._writer = self.engine.execution_options(yizhan_write=True)
        self._reader = self.engine  # a transaction of SQLite is one snapshot anyhow
        if self.engine.dialect.name != "sqlite":
            self._reader = self.engine.execution_options(isolation_level=postgres.SNAPSHOT)
        self._batch = batch
        self._waiting: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._failed = ""
        self.commits = 0
        self.units = 0

    @property
    def failed(self) -> str:
        """Why the database takes no more writes; empty while it does."""
        return self._failed

    @property
    def waiting(self) -> int:
        """Units of work that wait for the writer."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Start the writer thread."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the threads and close the connections."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()
        self._readers.shutdown()
        self.engine.dispose()

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work; on return its commit has reached the disk.

        Raises what the work raised (its changes are gone), StoreUnavailable if nothing of the
        batch was written, CommitUnknown if that cannot be known. If the waiting task is cancelled,
        a unit that the writer has not begun is left out; one that it has begun is committed.
        """
        return cast(T, await asyncio.wrap_future(self._submit(work)))

    async def read(self, work: Work[T]) -> T:
        """Run a function over one consistent snapshot, in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def write_now(self, work: Work[T]) -> T:
        """`write` for a command: in this thread, in a transaction of its own."""
        try:
            with self._writer.connect() as connection:
                transaction = connection.begin()
                result = work(connection)
                self._finish(connection, transaction)
                return result
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise StoreUnavailable("the database cannot be written", cause=str(error)) from error

    def read_now(self, work: Work[T]) -> T:
        """`read` for a command: in this thread."""
        try:
            with self._reader.connect() as connection, connection.begin():
                return work(connection)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise StoreUnavailable("the database cannot be read", cause=str(error)) from error

    def _submit(self, work: Work[T]) -> Future[T]:
        unit = _Unit(work, Future())
        if self._thread is None or self._failed:
            unit.done.set_exception(self._closed())
        else:
            self._waiting.put(unit)
        return unit.done

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable("the database takes no writes", cause=self._failed or "stopped")

    def _run(self) -> None:
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
        try:
            with self._writer.connect() as connection:
                transaction = connection.begin()
                for unit in batch:
                    _run_in_savepoint(connection, unit)
                reach("before-commit")
                self._finish(connection, transaction)
                reach("after-commit")
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
            cause = str(error.orig)
            lost = error.connection_invalidated
            # A COMMIT that failed may leave the transaction open, and with it the lock, though
            # SQLAlchemy takes it for closed: the connection must not come back from the pool.
            connection.invalidate()
            if _code(error) in _NOT_COMMITTED or postgres.rolled_back(error):
                raise StoreUnavailable("the database cannot be written", cause=cause) from error
            if not lost:
                # After a failed fsync the pages may be gone though a later fsync says they are
                # not: never try again, take no more mail, and let the health page say so.
                self._failed = cause
            raise CommitUnknown("the commit is in doubt", cause=cause) from error


def _run_in_savepoint(connection: Connection, unit: _Unit) -> None:
    _tell(connection, "SAVEPOINT unit")
    try:
        unit.result = unit.work(connection)
        _tell(connection, "RELEASE SAVEPOINT unit")
    except BaseException as error:  # it belongs to the caller, who gets it
        if _has_ended(connection, error):
            raise
        _tell(connection, "ROLLBACK TO SAVEPOINT unit")
        _tell(connection, "RELEASE SAVEPOINT unit")
        unit.error = error


def _tell(connection: Connection, statement: str) -> None:
    """Straight to the driver: SQLAlchemy's own savepoints take ten times as long (145 us)."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


def _has_ended(connection: Connection, error: BaseException) -> bool:
    """Whether the error has taken the whole transaction with it, or may have."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return not driver.in_transaction or _code(error) in _FATAL
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code behind an error, if there is one."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _fail(batch: list[_Unit], error: StoreError) -> None:
    for unit in batch:
        own = type(error)(error.public, cause=error.cause)  # one for each waiter's traceback
        own.__cause__ = error
        unit.done.set_exception(own)
