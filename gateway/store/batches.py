"""The writer of SQLite: takes all that wait, runs each in a savepoint, and commits once.

Units of work run in the event loop: one of an ordinary document takes less than a millisecond, and
in a thread of its own it would fight the loop for the interpreter's lock at each statement (400
times a document were measured, a fifth of its cost). What waits for the disk, or for another
process, waits in one thread: the turn, the lock, the commit. Long units run there, too.

A unit that raises loses only its savepoint; if the transaction itself breaks, every unit of the
batch fails.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, RootTransaction, exc

from gateway.errors import CommitUnknown, StoreError, StoreUnavailable
from gateway.store.engine import tell
from gateway.store.fault import reach
from gateway.store.turnstile import Turnstile
from gateway.store.unit import Fail, Unit, code, finish, tell_all

T = TypeVar("T")

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
_SLICE = 0.004  # seconds after which the loop does something else before the next unit
_CANNOT = "the database cannot be written"

Asked = tuple[Unit, "asyncio.Future[Any]"]
Outcome = tuple[Any, BaseException | None]  # the result of a unit, or its error


class Batches:
    """One SQLite file's writer, of one event loop at a time."""

    def __init__(
        self,
        engine: Engine,
        *,
        most: int,
        patience: float,
        turnstile: Path | None,
        fail: Fail,
        refusal: Callable[[], StoreError | None],
    ) -> None:
        """`most` units in a commit; `patience`: seconds to wait for another process's lock;
        `turnstile`: the file, where several processes write all the time; `fail` is called where
        nothing may be written any more, `refusal` says why that is so."""
        self._engine = engine.execution_options(yizhan_write=True)
        self._most = most
        self._patience = patience
        self._turnstile = Turnstile(turnstile) if turnstile is not None else None
        self._fail = fail
        self._refusal = refusal
        self._asked: list[Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._connection: Connection | None = None
        self.commits = 0
        self.units = 0

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return len(self._asked)

    async def write(self, unit: Unit) -> Any:
        """Its result, once its commit has reached the disk."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((unit, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await done

    async def drain(self) -> None:
        """Finish what waits."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def stop(self) -> None:
        """Wait for the disk, and let go of the file."""
        self._thread.shutdown()
        self._drop()
        if self._turnstile is not None:
            self._turnstile.close()

    async def _work(self) -> None:
        while self._asked:
            await asyncio.sleep(0)  # whoever is ready now comes with them
            asked, self._asked = self._asked[: self._most], self._asked[self._most :]
            # One whose waiter has gone is left out; one that is begun is committed.
            batch = [(unit, done) for unit, done in asked if not done.done()]
            if (refusal := self._refusal()) is not None:
                tell_all([done for _, done in batch], refusal)
            elif batch:
                await self._commit(batch)

    async def _commit(self, batch: list[Asked]) -> None:
        try:
            async with self._turn():
                outcomes = await self._transact([unit for unit, _ in batch])
        except StoreError as error:
            tell_all(_listening(batch), error)
        except asyncio.CancelledError:  # with the loop; the thread may still be at work
            tell_all(_listening(batch), CommitUnknown(_CANNOT, cause="stopped"))
            raise
        except BaseException as error:  # noqa: BLE001  # each waiter is told, and the next served
            tell_all(_listening(batch), StoreUnavailable(_CANNOT, cause=str(error)))
        else:
            self.commits += 1
            self.units += len(batch)
            for (_, done), (result, lost) in zip(batch, outcomes, strict=True):
                if done.done():
                    continue
                if lost is not None:
                    done.set_exception(lost)
                else:
                    done.set_result(result)

    async def _transact(self, units: list[Unit]) -> list[Outcome]:
        try:
            connection, transaction = await self._begin()
            outcomes = await self._run(connection, units)
            await self._wait(lambda: self._end(connection, transaction, units))
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._drop()  # before the next process comes in
            raise
        return outcomes

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Our turn among the processes that write."""
        turnstile = self._turnstile
        if turnstile is None:
            yield
            return
        if not turnstile.enter(wait=False):
            await self._wait(turnstile.enter)
        try:
            yield
        finally:
            turnstile.leave()

    async def _begin(self) -> tuple[Connection, RootTransaction]:
        if self._connection is None:
            self._connection = self._engine.connect()
            tell(self._connection, "PRAGMA busy_timeout = 0")
        connection = self._connection
        try:
            return connection, connection.begin()
        except exc.OperationalError as error:
            if code(error) != sqlite3.SQLITE_BUSY:
                raise
        return connection, await self._wait(lambda: _begin_patiently(connection, self._patience))

    async def _run(self, connection: Connection, units: list[Unit]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        outcomes: list[Outcome] = []
        begun = loop.time()
        for unit in units:
            if unit.long:
                one = unit.work
                outcomes.append(await self._wait(lambda one=one: _in_savepoint(connection, one)))  # type: ignore[misc]
                begun = loop.time()
                continue
            outcomes.append(_in_savepoint(connection, unit.work))
            if loop.time() - begun > _SLICE:
                await asyncio.sleep(0)
                begun = loop.time()
        return outcomes

    def _end(self, connection: Connection, transaction: RootTransaction, units: list[Unit]) -> None:
        kinds = [unit.kind for unit in units]
        reach("before-commit", *kinds)
        finish(connection, transaction, self._fail)
        reach("after-commit", *kinds)

    async def _wait(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _drop(self) -> None:
        """Whatever state the connection is in: nobody gets it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _listening(batch: list[Asked]) -> list[asyncio.Future[Any]]:
    return [done for _, done in batch if not done.done()]


def _begin_patiently(connection: Connection, seconds: float) -> RootTransaction:
    tell(connection, f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    transaction = connection.begin()
    tell(connection, "PRAGMA busy_timeout = 0")
    return transaction


def _in_savepoint(connection: Connection, work: Callable[[Connection], Any]) -> Outcome:
    tell(connection, "SAVEPOINT unit")
    try:
        result = work(connection)
        tell(connection, "RELEASE SAVEPOINT unit")
    except BaseException as error:  # it belongs to the caller, who gets it
        if _has_ended(connection, error):
            raise
        tell(connection, "ROLLBACK TO SAVEPOINT unit")
        tell(connection, "RELEASE SAVEPOINT unit")
        return None, error
    return result, None


def _has_ended(connection: Connection, error: BaseException) -> bool:
    """Whether the error has taken the whole transaction with it, or may have."""
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    return not driver.in_transaction or code(error) in _FATAL
