"""The database: one writer thread that commits many units of work at once, and readers in threads.

A unit of work is a function of a connection. It touches nothing but the database and may be run
twice. The writer takes all that wait (up to `batch`), runs each in a savepoint inside one BEGIN
IMMEDIATE, and commits once: the promise of `await write(...)` is that the commit has reached the
disk. A unit that raises loses only its savepoint. If the transaction itself breaks, every unit of
the batch fails with StoreUnavailable; if only the outcome of the commit is unknown, with
CommitUnknown.

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

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from gateway.errors import CommitUnknown, StoreError, StoreUnavailable, YizhanError
from gateway.store.fault import reach

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(slots=True)
class _Unit:
    work: Work[Any]
    done: Future[Any]
    result: Any = None
    error: BaseException | None = None


def make_engine(url: str, *, readers: int = 4) -> Engine:
    """An engine whose transactions we begin ourselves; SQLite gets WAL with synchronous=FULL.

    A deferred transaction that turns from reading to writing fails at once with "database is
    locked", whatever the timeout; so the driver must never begin one by itself.
    """
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=readers + 1, hide_parameters=True)
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=readers + 1, max_overflow=4,
        hide_parameters=True,  # else an error's text would carry titles into the log
        connect_args={"timeout": 30, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000",
        "cache_size=-16000", "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("yizhan_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


class Database:
    """State behind two verbs, `write` and `read`; also for commands, as `write_now`, `read_now`."""

    def __init__(self, url: str, *, readers: int = 4, batch: int = 256) -> None:
        self.engine = make_engine(url, readers=readers)
        self._writer = self.engine.execution_options(yizhan_write=True)
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
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
        self._readers.shutdown()
        self.engine.dispose()

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work; on return its commit has reached the disk.

        Raises what the work raised (its changes are gone), StoreUnavailable if nothing of the
        batch was written, CommitUnknown if that cannot be known.
        """
        return cast(T, await asyncio.wrap_future(self._submit(work)))

    async def read(self, work: Work[T]) -> T:
        """Run a function over one consistent snapshot, in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self.read_now, work
        )

    def write_now(self, work: Work[T]) -> T:
        """`write` for a command: in this thread, in a transaction of its own."""
        try:
            with self._writer.begin() as connection:
                return work(connection)
        except exc.DBAPIError as error:
            raise StoreUnavailable("the database cannot be written", cause=str(error)) from error

    def read_now(self, work: Work[T]) -> T:
        """`read` for a command: in this thread."""
        try:
            with self.engine.connect() as connection, connection.begin():
                return work(connection)
        except exc.DBAPIError as error:
            raise StoreUnavailable("the database cannot be read", cause=str(error)) from error

    def _submit(self, work: Work[T]) -> Future[T]:
        unit = _Unit(work, Future())
        if self._thread is None or self._failed:
            unit.done.set_exception(
                StoreUnavailable("the database takes no writes", cause=self._failed or "stopped")
            )
        else:
            self._waiting.put(unit)
        return unit.done

    def _run(self) -> None:
        stopping = False
        while not stopping:
            first = self._waiting.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < self._batch:
                try:
                    unit = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if unit is None:
                    stopping = True
                    break
                batch.append(unit)
            self._commit(batch)

    def _commit(self, batch: list[_Unit]) -> None:
        try:
            with self._writer.connect() as connection:
                transaction = connection.begin()
                try:
                    for unit in batch:
                        _run_in_savepoint(connection, unit)
                except BaseException:
                    transaction.rollback()
                    raise
                reach("before-commit")
                self._finish(transaction.commit)
                reach("after-commit")
        except StoreError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  # the thread must live; each waiter is told
            _fail(batch, StoreUnavailable("the database cannot be written", cause=str(error)))
        else:
            self.commits += 1
            self.units += len(batch)
            for unit in batch:
                if unit.error is not None:
                    unit.done.set_exception(unit.error)
                else:
                    unit.done.set_result(unit.result)

    def _finish(self, commit: Callable[[], None]) -> None:
        try:
            commit()
        except exc.OperationalError as error:
            cause = str(error.orig)
            if "locked" in cause or "full" in cause:
                raise StoreUnavailable("the database cannot be written", cause=cause) from error
            # After a failed fsync the pages may be gone though a later fsync says they are not:
            # never try again, take no more mail, and let the health page say so.
            self._failed = cause
            raise CommitUnknown("the commit is in doubt", cause=cause) from error
        except exc.DBAPIError as error:
            raise CommitUnknown("the commit is in doubt", cause=str(error.orig)) from error


def _run_in_savepoint(connection: Connection, unit: _Unit) -> None:
    savepoint = connection.begin_nested()
    try:
        unit.result = unit.work(connection)
        savepoint.commit()
    except exc.DBAPIError as error:
        if error.connection_invalidated or not connection.in_transaction():
            raise
        if isinstance(error, exc.OperationalError):
            raise  # disk full, I/O: SQLite has ended the whole transaction
        savepoint.rollback()
        unit.error = error
    except Exception as error:  # noqa: BLE001  # it belongs to the caller, who gets it
        savepoint.rollback()
        unit.error = error


def _fail(batch: list[_Unit], error: YizhanError) -> None:
    for unit in batch:
        unit.done.set_exception(error)
