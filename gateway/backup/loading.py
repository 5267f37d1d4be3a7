"""Puts the rows of a backup into an empty database, SQLite or PostgreSQL, whichever it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, Table, func, select

from gateway.backup.manifest import Chunk
from gateway.backup.rows import all_tables, read_chunk
from gateway.backup.shelf import Shelf
from gateway.errors import CommandError
from mailboxes.search_tables import is_token_table

_TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "bool": sa.Boolean,
    "int": sa.BigInteger,
    "float": sa.Float,
    "bytes": sa.LargeBinary,
    "text": sa.Text,
}


def load(
    connection: Connection,
    shelf: Shelf,
    tables: dict[str, tuple[Chunk, ...]],
    told: Callable[[int], None] = lambda _rows: None,
) -> None:
    """Put all rows into an empty database of the same schema, whichever program it is.

    Rows that a migration has put there give way. Raises Damaged, and CommandError for a text that
    the database cannot hold.
    """
    there = MetaData()
    there.reflect(connection, only=lambda name, _: not is_token_table(name))
    order = [table for table in there.sorted_tables if table.name in tables]
    missing = sorted(set(tables) - {table.name for table in order})
    if missing:
        raise CommandError(f"the database has no table {', '.join(missing)}")
    for table in reversed(order):
        connection.execute(table.delete())
    for table in order:
        _fill(connection, shelf, table, tables[table.name], told)


def _fill(
    connection: Connection,
    shelf: Shelf,
    table: Table,
    chunks: Iterable[Chunk],
    told: Callable[[int], None],
) -> None:
    own = [c.name for c in table.columns if any(f.column.table is table for f in c.foreign_keys)]
    [key, *_] = [column.name for column in table.primary_key.columns]
    later: list[dict[str, Any]] = []
    for chunk in chunks:
        found, rows = read_chunk(shelf, chunk)
        target = sa.table(
            table.name,
            *(sa.column(n, _TYPES[t]()) for n, t in zip(found.columns, found.types, strict=True)),
        )
        values = [dict(zip(found.columns, row, strict=True)) for row in rows]
        for row in values if own else ():
            # A row may refer to one of its own table that is not there yet.
            if any(row[name] is not None for name in own):
                later.append({f"b_{name}": row[name] for name in (key, *own)})
                row.update(dict.fromkeys(own))
        try:
            connection.execute(sa.insert(target), values)
        except (sa.exc.DataError, ValueError) as error:
            raise CommandError(
                f"a row of {table.name} cannot be put into this database", cause=str(error)
            ) from None
        told(len(rows))
    if later:
        named: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in own}
        query = sa.update(table).where(table.c[key] == sa.bindparam(f"b_{key}")).values(named)
        connection.execute(query, later)


def sequences(connection: Connection) -> dict[str, int]:
    """The highest number ever given in each table that numbers its rows: none comes back."""
    if connection.dialect.name == "sqlite":
        if not sa.inspect(connection).has_table("sqlite_sequence"):
            return {}
        rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")
        return {str(name): int(number) for name, number in rows if name in all_tables().tables}
    found: dict[str, int] = {}
    for table in _numbered(all_tables()):
        name = _sequence_of(connection, table)
        if name:
            query = sa.text(f"SELECT last_value, is_called FROM {name}")  # noqa: S608  # its own word
            last, called = connection.execute(query).one()
            found[table.name] = int(last) if called else 0
    return found


def set_sequences(connection: Connection, given: dict[str, int]) -> None:
    """Numbers go on above all that were ever given."""
    there = MetaData()
    there.reflect(connection, only=lambda name, _: not is_token_table(name))
    if connection.dialect.name == "sqlite":
        for name, number in given.items():
            if name in there.tables and "AUTOINCREMENT" in _sql_of(connection, name):
                forget = "DELETE FROM sqlite_sequence WHERE name = ?"
                connection.exec_driver_sql(forget, (name,))
                note = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
                connection.exec_driver_sql(note, (name, number))
        return
    for table in _numbered(there):
        name = _sequence_of(connection, table)
        [key] = table.primary_key.columns
        highest = connection.scalar(select(func.coalesce(func.max(key), 0))) or 0
        number = max(int(highest), given.get(table.name, 0))
        if name and number:
            connection.execute(sa.text("SELECT setval(:name, :number)").bindparams(
                name=name, number=number))  # fmt: skip


def _sql_of(connection: Connection, table: str) -> str:
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    return str(connection.exec_driver_sql(query, (table,)).scalar() or "")


def _numbered(tables: MetaData) -> list[Table]:
    return [
        table
        for table in tables.sorted_tables
        if len(table.primary_key.columns) == 1
        and isinstance(next(iter(table.primary_key.columns)).type, sa.Integer)
    ]


def _sequence_of(connection: Connection, table: Table) -> str:
    [key] = table.primary_key.columns
    query = sa.text("SELECT pg_get_serial_sequence(:table, :key)")
    named = {"table": f'"{table.name}"', "key": key.name}
    return str(connection.execute(query, named).scalar() or "")
