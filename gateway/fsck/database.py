"""The database file itself: SQLite's own checks of its pages, indexes and references."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.fsck.codes import Code
from gateway.fsck.fault import Findings

_MOST = 100  # lines; after the first the rest says little more


def check_database(connection: Connection, found: Findings, *, quick: bool) -> None:
    """Ask SQLite; PostgreSQL holds its references itself, and checks its pages by checksums."""
    if connection.dialect.name != "sqlite":
        return
    pragma = "quick_check" if quick else "integrity_check"
    for place, line in enumerate(connection.exec_driver_sql(f"PRAGMA {pragma}({_MOST})").scalars()):
        if line != "ok":
            found.add(Code.DATABASE_DAMAGED, place + 1, f"the database is damaged: {line}")
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST)
    for table, row, parent, _ in broken:
        found.add(
            Code.DATABASE_REFERENCE, f"{table} {row}",
            f"row {row} of the table {table} refers to a row of {parent} that is not there",
        )  # fmt: skip
