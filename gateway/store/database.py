"""The database: writer threads whose commits have reached the disk, and readers in threads.

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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, exc, select
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from gateway.errors import CommitUnknown, ConfigurationError, StoreError, StoreUnavailable
from gateway.store import postgres, sqlite
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


PROBE_SECONDS = 6.0
_PROBE = select(1)


@dataclass(slots=True)
class _Unit:
    work: Work[Any]
    done: Future[Any]
    kind: str
    result: Any = None
    error: BaseException | None = None


def make_engine(url: str, *, connections: int = 5, patience: float = 30.0) -> Engine:
    """An engine whose transactions we begin ourselves; SQLite gets WAL with synchronous=FULL.

    `patience` is how many seconds to wait for another process's write. A deferred transaction that
    turns from reading to writing fails at once with "database is locked", whatever the timeout; so
    the driver must never begin one by itself.
    """
    if not url.startswith("sqlite"):
        try:
            engine = create_engine(
                url, pool_size=connections, max_overflow=4, hide_parameters=True,
                connect_args=postgres.connect_args(patience),
            )  # fmt: skip
        except (exc.ArgumentError, ValueError):  # whose text may have the password
            raise ConfigurationError(
                "state.database: not a database URL such as "
                "postgresql+psycopg://yizhan@db.heping.test/yizhan"
            ) from None
        event.listen(engine, "handle_error", postgres.keep_values_out)
        return engine
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=connections, max_overflow=4,
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
        self,
        url: str,
        *,
        readers: int = 4,
        writers: int = 8,
        batch: int = 256,
        patience: float = 30.0,
    ) -> None:
        """`writers` are PostgreSQL's, `batch` is SQLite's; `patience`: seconds to wait for a write
        of another process."""
        alone = url.startswith("sqlite")
        writers = 1 if alone else writers
        self.engine = make_engine(url, connections=readers + writers, patience=patience)
        self._writer = self.engine.execution_options(yizhan_write=True)
        self._reader = self.engine  # a transaction of SQLite is one snapshot anyhow
        if not alone:
            self._reader = self.engine.execution_options(isolation_level=postgres.SNAPSHOT)
        self._batch = batch if alone else 1
        self._waiting: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._run = self._run_batches if alone else self._run_units
        self._writers = writers
        self._counting = threading.Lock()
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
        """Start the writer threads."""
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
        self._readers.shutdown()
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
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    async def trouble(self) -> str:
        """Why the database takes no writes now, probed; empty if it does."""
        if self._failed:
            return self._failed
        if self.engine.dialect.name == "sqlite":
            return await asyncio.to_thread(sqlite.trouble, self.engine.url.database or "")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self.read(lambda connection: connection.execute(_PROBE).scalar())
        except TimeoutError:
            return "it does not answer"
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
            raise _unavailable("the database cannot be written", error) from error

    def read_now(self, work: Work[T]) -> T:
        """`read` for a command: in this thread."""

        def attempt() -> T:
            with self._reader.connect() as connection, connection.begin():
                return work(connection)

        try:
            return postgres.patiently(attempt)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise _unavailable("the database cannot be read", error) from error

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

        return postgres.patiently(attempt)

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
                    unit.done.set_exception(_unavailable("the database cannot be written", error))
            except exc.TimeoutError as error:
                unit.done.set_exception(_unavailable("the database cannot be written", error))
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
            with self._writer.connect() as connection:
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
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    return not driver.in_transaction or _code(error) in _FATAL


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code behind an error, if there is one."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _unavailable(sentence: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(sentence, cause=postgres.sentence_of(error))


def _fail(batch: list[_Unit], error: StoreError) -> None:
    for unit in batch:
        own = type(error)(error.public, cause=error.cause)  # one for each waiter's traceback
        own.__cause__ = error
        unit.done.set_exception(own)
