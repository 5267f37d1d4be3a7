"""What PostgreSQL needs to keep the promises of `database`; SQLite keeps them by itself."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, bindparam, exc, func, select

# A server that was set up for speed would else say "committed" before the disk has it.
CONNECT = {"options": "-c synchronous_commit=on"}
# One snapshot for all statements of a reader; the default takes a new one for each.
SNAPSHOT = "REPEATABLE READ"

# Serialization failure and deadlock; class 23 is a constraint, checked at COMMIT.
_ROLLED_BACK = {"40001", "40P01"}
_LOCK = select(func.pg_advisory_xact_lock(bindparam("key")))


def rolled_back(error: exc.DBAPIError) -> bool:
    """Whether the server itself says that this COMMIT has written nothing."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
    return state in _ROLLED_BACK or state.startswith("23")


def take_turn(connection: Connection, *matter: str | bytes) -> None:
    """Wait until no other transaction deals with the same matter; ours has it until it ends.

    On PostgreSQL two nodes could both look for an earlier copy of one message, both find none and
    both accept it; no unique key can say "not within seven days". SQLite has a single writer, so
    there it does nothing.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"key": _key(matter)})


def _key(matter: tuple[str | bytes, ...]) -> int:
    digest = hashlib.sha256()
    for part in matter:
        octets = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return int.from_bytes(digest.digest()[:8], "big", signed=True)
