"""Reads one consistent snapshot at a time: in threads, in a command, or, where cheap, at once.

On SQLite a row or two by their index are found in less time than a thread is woken, so `glance`
reads in the event loop. Readers of a WAL never wait for the writer. Should a foreign program lock
the whole file all the same, the loop waits half a second at most, and the client gets a 451.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine, exc

from gateway.errors import StoreUnavailable
from gateway.store import postgres
from gateway.store.engine import tell

T = TypeVar("T")
Work = Callable[[Connection], T]

_LOOP_PATIENCE = 500  # milliseconds that a reading in the event loop waits for a lock


class Readings:
    """The reading side of one database."""

    def __init__(self, engine: Engine, readers: int) -> None:
        """`readers` threads, on PostgreSQL each with a connection while it reads."""
        self.near = engine.dialect.name == "sqlite"
        self._engine = engine  # a transaction of SQLite is one snapshot anyhow
        if not self.near:
            self._engine = engine.execution_options(isolation_level=postgres.SNAPSHOT)
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._mine = threading.local()
        self._kept: list[Connection] = []

    def stop(self) -> None:
        """Finish what is being read, and give the connections back."""
        self._threads.shutdown()
        while self._kept:
            self._kept.pop().close()

    async def read(self, work: Work[T]) -> T:
        """In a reader's thread. Raises StoreUnavailable, as do the others."""
        read = partial(self._keeping, work) if self.near else partial(self.read_now, work)
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def glance(self, work: Work[T]) -> T:
        """A row or two by their index: on SQLite here and now, else as `read`."""
        if not self.near:
            return await self.read(work)
        return self._keeping(work, patience=_LOOP_PATIENCE)

    def read_now(self, work: Work[T]) -> T:
        """In this thread, with a connection from the pool."""

        def attempt() -> T:
            with self._snapshot() as connection:
                return work(connection)

        try:
            return postgres.patiently(attempt)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise unavailable("the database cannot be read", error) from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One state of the database for as long as it takes, for who writes out what is read.

        Raises StoreUnavailable.
        """
        try:
            with self._snapshot() as connection:
                yield connection
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise unavailable("the database cannot be read", error) from error

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def _keeping(self, work: Work[T], patience: int | None = None) -> T:
        """In the connection that this thread keeps: to take one from the pool and give it back
        costs more than most readings. Only readers and the event loop keep one."""
        try:
            connection: Connection | None = getattr(self._mine, "connection", None)
            if connection is None:
                connection = self._engine.connect()
                if patience is not None:
                    tell(connection, f"PRAGMA busy_timeout = {patience}")
                self._mine.connection = connection
                self._kept.append(connection)
            try:
                with connection.begin():
                    return work(connection)
            except BaseException:
                # Whatever state it is in, and however little patience it has: nobody gets it again.
                self._kept.remove(connection)
                self._mine.connection = None
                connection.invalidate()
                connection.close()
                raise
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise unavailable("the database cannot be read", error) from error


def unavailable(sentence: str, error: Exception) -> StoreUnavailable:
    """The error of our tree for one of the driver's."""
    return StoreUnavailable(sentence, cause=postgres.sentence_of(error))
