"""A unit of work, and what its COMMIT may end in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, RootTransaction, exc

from gateway.errors import CommitUnknown, StoreError, StoreUnavailable
from gateway.store import postgres

Work = Callable[[Connection], Any]
Fail = Callable[[str], None]

# A COMMIT that ends so has not written its commit frame; after any other error nobody can say.
_NOT_COMMITTED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT}


class Waiter(Protocol):
    """Who is told: a future of the event loop, or of a thread."""

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


@dataclass(slots=True)
class Unit:
    """One unit of work."""

    work: Work
    kind: str = ""  # its name among the points at which tests kill the daemon
    long: bool = False  # not to be done in the event loop


def finish(connection: Connection, transaction: RootTransaction, fail: Fail) -> None:
    """Commit. Raises StoreUnavailable if it surely has not happened, else CommitUnknown.

    `fail` is called where nothing may be written any more.
    """
    try:
        transaction.commit()
    except exc.DBAPIError as error:
        if postgres.has_lost(error):
            raise  # and is run again
        cause = str(error.orig)
        lost = error.connection_invalidated
        # A COMMIT that failed may leave the transaction open, and with it the lock, though
        # SQLAlchemy takes it for closed: nobody may use the connection again.
        connection.invalidate()
        if code(error) in _NOT_COMMITTED or postgres.is_undone(error):
            raise StoreUnavailable("the database cannot be written", cause=cause) from error
        if not lost and connection.dialect.name == "sqlite":
            # After a failed fsync the pages may be gone though a later fsync says they are
            # not: never try again, take no more mail, and let the health page say so.
            fail(cause)
        raise CommitUnknown("the commit is in doubt", cause=cause) from error


def code(error: BaseException) -> int | None:
    """SQLite's primary result code behind an error, if there is one."""
    found = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return found & 0xFF if isinstance(found, int) else None


def tell_all(waiters: Iterable[Waiter], error: StoreError) -> None:
    """Tell each of them, with an error of its own for its traceback."""
    for waiter in waiters:
        own = type(error)(error.public, cause=error.cause)
        own.__cause__ = error
        waiter.set_exception(own)
