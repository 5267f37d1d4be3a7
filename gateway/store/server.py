"""The server behind the database: whether it is there, and whether an office can live on it."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import CommandError, StoreUnavailable, StoreUnusable
from gateway.store import postgres

OLDEST = 13  # of PostgreSQL, as its makers still mended it when this was written
_AGAIN_SECONDS = 1.0
_FACTS = text(
    "SELECT current_setting('server_version_num')::int AS number,"
    " current_setting('server_version') AS version,"
    " current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby"
)


def require_usable(engine: Engine) -> None:
    """Whether an office can be kept there; SQLite always can.

    Raises StoreUnavailable with the server's sentence if it cannot be reached or lets us not in,
    StoreUnusable for one that is too old, writes no Chinese, or is a standby.
    """
    if engine.dialect.name != "postgresql":
        return
    try:
        with engine.connect() as connection:
            facts = connection.execute(_FACTS).one()
    except DBAPIError as error:
        sentence = postgres.sentence_of(error)
        raise StoreUnavailable(f"state.database: the database cannot be used: {sentence}") from None
    if facts.number < OLDEST * 10_000:
        raise StoreUnusable(
            f"state.database: PostgreSQL {facts.version} is too old; {OLDEST} or newer is needed"
        )
    if facts.encoding != "UTF8":
        raise StoreUnusable(
            f"state.database: the database's encoding is {facts.encoding}; make one with "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
    if facts.standby:
        raise StoreUnusable(
            "state.database: this server is a standby, which cannot be written; name the primary"
        )


def wait_for(engine: Engine, seconds: float, tell: Callable[[str], None]) -> None:
    """The same, but wait for a server that is not there yet, as after the start of a machine.

    `tell` is called once, with what is wrong. Raises what `require_usable` raises.
    """
    deadline, told = time.monotonic() + seconds, False
    while True:
        try:
            return require_usable(engine)
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                raise
            if not told:
                tell(error.public)
            told = True
        time.sleep(_AGAIN_SECONDS)


def require_empty(engine: Engine) -> None:
    """Whether nothing is in the database; raises CommandError, and what `require_usable` raises."""
    require_usable(engine)
    found = inspect(engine).get_table_names()
    if found:
        raise CommandError(
            f"the database has tables already ({', '.join(sorted(found)[:3])} ...); an office "
            "needs an empty one of its own; drop it if a founding was cut off there"
        )


def empty(engine: Engine) -> None:
    """Remove every table, for a founding that failed."""
    found = MetaData()
    found.reflect(engine)
    found.drop_all(engine)
