"""What PostgreSQL needs to keep the promises of `database`; SQLite keeps them by itself."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, exc, func, select
from sqlalchemy.engine import ExceptionContext

T = TypeVar("T")

# One snapshot for all statements of a reader; the default takes a new one for each.
SNAPSHOT = "REPEATABLE READ"

TRIES = 10  # of one unit of work; each waits a little longer for its rivals to finish
_CONNECT_SECONDS = 5
_LOSER = {"40001", "40P01"}  # serialization failure and deadlock: the others have gone on
# Faults of the statement or the data, which belong to the unit of work. All others belong to the
# server or the way to it, and pass: no room, no connection, shutting down, a lock held too long.
_OWN = ("21", "22", "23", "42", "0A", "P0")
_LOCK = select(func.pg_advisory_xact_lock(bindparam("key")))


def connect_args(patience: float) -> dict[str, Any]:
    """How to connect. `patience`: seconds to wait for a row that another transaction holds."""
    options = {
        # A server that was set up for speed would else say "committed" before the disk has it.
        "synchronous_commit": "on",
        "lock_timeout": round(patience * 1000),
        # A node whose machine has gone must not keep its rows and locks for two hours.
        "tcp_keepalives_idle": 5,
        "tcp_keepalives_interval": 2,
        "tcp_keepalives_count": 3,
    }
    return {
        "options": " ".join(f"-c {key}={value}" for key, value in options.items()),
        "application_name": "yizhan",
        "connect_timeout": _CONNECT_SECONDS,
        # A server whose machine has gone says nothing: without these a read would wait for hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


def state_of(error: BaseException) -> str:
    """The SQLSTATE behind an error; empty if the server did not say one."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def sentence_of(error: BaseException) -> str:
    """What the server or its client library says, in one line, without values or passwords."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return " ".join(line.strip() for line in lines)


def has_lost(error: exc.DBAPIError) -> bool:
    """Whether the transaction was undone for the sake of another one: run it again."""
    return state_of(error) in _LOSER


def is_undone(error: exc.DBAPIError) -> bool:
    """Whether the server itself says that this COMMIT has written nothing (23: a constraint)."""
    return has_lost(error) or state_of(error).startswith("23")


def is_ours(error: exc.DBAPIError) -> bool:
    """Whether the unit of work is at fault, and not the server."""
    return state_of(error).startswith(_OWN)


def patiently(attempt: Callable[[], T]) -> T:
    """Run a transaction; again if it lost to another, once more if its connection was dead.

    A connection from the pool dies unnoticed when the server is restarted. What an attempt raises
    of SQLAlchemy's own must mean that nothing was written.
    """
    for number in range(1, TRIES + 1):
        try:
            return attempt()
        except exc.DBAPIError as error:
            stale = error.connection_invalidated and number == 1
            if number == TRIES or not (stale or has_lost(error)):
                raise
        time.sleep(random.uniform(0, 0.005 * 2 ** min(number, 6)))  # noqa: S311  # only spreads
    raise AssertionError("unreachable")


def keep_values_out(context: ExceptionContext) -> None:
    """Cut an error's text down to the server's own sentence: its detail quotes keys and rows."""
    diagnosis = getattr(context.original_exception, "diag", None)
    sentence = getattr(diagnosis, "message_primary", None)
    if sentence is None:
        return
    context.original_exception.args = (sentence,)
    if context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (sentence,)


def take_turn(connection: Connection, *matter: str | bytes) -> None:
    """Wait until no other transaction deals with the same matter; ours has it until it ends.

    On PostgreSQL two nodes could both look for an earlier copy of one message, both find none and
    both accept it; no unique key can say "not within seven days". SQLite has a single writer, so
    there it does nothing.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"key": key_of(*matter)})


def key_of(*matter: str | bytes) -> int:
    """The matter as the number that an advisory lock takes."""
    digest = hashlib.sha256()
    for part in matter:
        octets = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return int.from_bytes(digest.digest()[:8], "big", signed=True)
