"""Brings an office's database to the schema of this program, and keeps what it was before.

The migrations are one transaction, so a failure changes nothing. The copy is for the other case:
the new version starts, but the old one must come back. An older program refuses a newer schema
(`migrate.require_known`), so it needs the database as it was.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog
from sqlalchemy import Engine

from gateway.errors import ConfigurationError
from gateway.store import durable, migrate

log = structlog.stdlib.get_logger("yizhan.store")

_ROOM = 1.1  # of the database's size; what has come into the write-ahead log meanwhile


def bring_up_to_date(engine: Engine) -> None:
    """Migrate if there is anything to migrate; the log says from where to where, and what is kept.

    Raises ConfigurationError if there is no room for the copy, StoreUnusable for a newer schema.
    """
    migrate.require_known(engine)
    earlier, newest = migrate.current(engine), migrate.known()[-1]
    if earlier in ("", newest):
        migrate.upgrade(engine)
        return
    kept = keep(engine, earlier)
    log.warning(
        "upgrade-begun", schema=earlier, to=newest,
        kept=str(kept) if kept else "nothing; to go back bring the backup before it",
    )  # fmt: skip
    migrate.upgrade(engine)
    log.info("upgrade-done", schema=newest)


def keep(engine: Engine, schema: str) -> Path | None:
    """Copy an SQLite database to `<name>-schema-<schema>.db` beside it; returns the copy's path.

    Copies of earlier upgrades go. A database of a server is not copied: None.
    Raises ConfigurationError if there is no room.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    database = Path(engine.url.database)
    needed = int(database.stat().st_size * _ROOM)
    free = shutil.disk_usage(database.parent).free
    if free < needed:
        raise ConfigurationError(
            f"{database.parent}: the database is copied before it is brought up to date, which "
            f"needs {needed / 1e6:.0f} MB, but only {free / 1e6:.0f} MB are free; make room, then "
            "start again"
        )
    target = database.with_name(f"{database.stem}-schema-{schema}.db")
    new = target.with_name(f".{target.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(new)) as copy:
        source.backup(copy)
    durable.sync(new)
    new.rename(target)
    durable.sync(target.parent)
    for older in database.parent.glob(f"{database.stem}-schema-*.db"):
        if older != target:
            older.unlink()
    return target
