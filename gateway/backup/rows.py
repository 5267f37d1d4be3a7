"""The database as chunks of rows: the same form from SQLite and from PostgreSQL, and into both.

A logical copy, because it is read in one snapshot without blocking a writer, needs no server's own
program, is checked while it is read, and can be put back into either database. SQLite's own copy
would start again with each write of another process; `pg_dump` files go into PostgreSQL alone.

A chunk is a gzip file of JSON lines: first table, columns and types, then one array for each row in
the order of the primary key. Where a chunk ends is decided by its last key, so that rows put in
elsewhere change few others: what did not change is the same piece as in the last backup.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, Table, func, select, tuple_

from gateway.backup.manifest import Chunk
from gateway.backup.shelf import Damaged, Piece, Shelf
from gateway.errors import CommandError
from gateway.store.schema import metadata

MODULES = (
    "gateway.directory.tables",
    "gateway.evidence.tables",
    "gateway.exchange.mailroom",
    "gateway.exchange.tables",
    "gateway.reminders.tables",
    "gateway.seals.tables",
    "gateway.store.tables",
)
# Rows of these are never changed, only added and perhaps removed; so a range of keys with as many
# rows as before has the same rows, and is not read again. The named column tells two rows apart
# where SQLite may give a removed number again, or where the column is filled in once, later.
FINAL: dict[str, str] = {
    "evidence_records": "",
    "log_nodes": "",
    "checkpoints": "",
    "envelope_recipients": "",
    "document_texts": "",
    "refusals": "",
    "seal_uses": "",
    "mailbox_contents": "created",
    "log_entries": "number",
}
_MARKS = 1_000_003  # what a mark counts up to, so that a sum of them stays small
_ROWS, _MOST_ROWS, _MOST_OCTETS = 512, 8192, 1 << 20
_TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "bool": sa.Boolean,
    "int": sa.BigInteger,
    "float": sa.Float,
    "bytes": sa.LargeBinary,
    "text": sa.Text,
}


def all_tables() -> MetaData:
    """Every package's tables."""
    for module in MODULES:
        import_module(module)
    return metadata


def unknown(connection: Connection) -> list[str]:
    """Tables in the database that are none of ours: they are in no backup."""
    known = {*all_tables().tables, "alembic_version"}
    return sorted(set(sa.inspect(connection).get_table_names()) - known)


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of a table, as a chunk names them."""

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]

    def line(self) -> bytes:
        """The first line of a chunk."""
        return _json({"table": self.table, "columns": self.columns, "types": self.types})


def form(table: Table) -> Form:
    """The form of one of our tables."""
    return Form(
        table.name,
        tuple(column.name for column in table.columns),
        tuple(_type_of(column) for column in table.columns),
    )


def dump(
    connection: Connection,
    table: Table,
    shelf: Shelf,
    before: Sequence[Chunk] = (),
    told: Callable[[int], None] = lambda _rows: None,
) -> tuple[Chunk, ...]:
    """All rows of a table as chunks on the shelf; `before` are those of the last backup.

    `told` is called with the number of rows of each chunk. One snapshot is the caller's matter.
    """
    writer = _Writer(connection, table, shelf, told)
    if table.name not in FINAL or not before:
        return tuple(writer.chunks(None, None))
    found: list[Chunk] = []
    after: tuple[Any, ...] | None = None
    for chunk in before:
        if writer.count(after, chunk.last) == (chunk.rows, chunk.mark):
            told(chunk.rows)
            found.append(chunk)
        else:
            found.extend(writer.chunks(after, chunk.last))
        after = chunk.last
    found.extend(writer.chunks(after, None))
    return tuple(found)


class _Writer:
    def __init__(
        self, connection: Connection, table: Table, shelf: Shelf, told: Callable[[int], None]
    ) -> None:
        self._connection = connection
        self._table = table
        self._shelf = shelf
        self._told = told
        self._form = form(table)
        self._key = list(table.primary_key.columns)
        self._places = [self._form.columns.index(column.name) for column in self._key]
        mark = FINAL.get(table.name, "")
        self._mark = table.c[mark] if mark else None
        self._mark_place = self._form.columns.index(mark) if mark else -1

    def count(self, after: tuple[Any, ...] | None, last: tuple[Any, ...]) -> tuple[int, int]:
        """How many rows there are between two keys, and the sum of their marks."""
        mark: sa.ColumnElement[Any] = sa.literal(0)
        if self._mark is not None:
            one = (func.coalesce(self._mark, -1) + 1) % _MARKS
            mark = func.coalesce(func.sum(one), 0)
        query = select(func.count(), mark).select_from(self._table).where(*self._range(after, last))
        row = self._connection.execute(query).one()
        return int(row[0]), int(row[1])

    def chunks(
        self, after: tuple[Any, ...] | None, last: tuple[Any, ...] | None
    ) -> Iterator[Chunk]:
        """The rows between two keys."""
        query = select(self._table).where(*self._range(after, last)).order_by(*self._key)
        rows = self._connection.execution_options(stream_results=True, yield_per=1000).execute(
            query
        )
        lines: list[bytes] = []
        octets = mark = 0
        key: tuple[Any, ...] = ()
        for row in rows:
            line = _json([_plain(value) for value in row])
            lines.append(line)
            octets += len(line)
            key = tuple(row[place] for place in self._places)
            if self._mark_place >= 0:
                value = row[self._mark_place]
                mark += 0 if value is None else (value + 1) % _MARKS
            if _ends(key, len(lines), octets):
                yield self._keep(lines, key, mark)
                lines, octets, mark = [], 0, 0
        if lines:
            yield self._keep(lines, key, mark)

    def _range(
        self, after: tuple[Any, ...] | None, last: tuple[Any, ...] | None
    ) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        if after is not None:
            found.append(self._tuple() > self._values(after))
        if last is not None:
            found.append(self._tuple() <= self._values(last))
        return found

    def _tuple(self) -> Any:
        return self._key[0] if len(self._key) == 1 else tuple_(*self._key)

    def _values(self, key: tuple[Any, ...]) -> Any:
        return key[0] if len(self._key) == 1 else tuple_(*key)

    def _keep(self, lines: Sequence[bytes], key: tuple[Any, ...], mark: int) -> Chunk:
        # The same rows must be the same octets: no time in the head, and always the same level.
        packed = gzip.compress(self._form.line() + b"".join(lines), compresslevel=1, mtime=0)
        piece = self._shelf.put(packed)
        self._told(len(lines))
        return Chunk(piece.sha256, piece.size, len(lines), key, mark)


def _ends(key: tuple[Any, ...], rows: int, octets: int) -> bool:
    """Whether a chunk ends with that key: by chance, but always the same chance."""
    if rows >= _MOST_ROWS or octets >= _MOST_OCTETS:
        return True
    return rows >= _ROWS // 4 and zlib.crc32(repr(key).encode()) % _ROWS == 0


def read_chunk(shelf: Shelf, chunk: Chunk) -> tuple[Form, list[list[Any]]]:
    """The rows of a chunk, binary values as octets. Raises Damaged."""
    octets = shelf.get(chunk.piece)
    return unpack(octets, chunk.rows, chunk.piece, shelf)


def unpack(
    octets: bytes, expected: int, piece: Piece, shelf: Shelf
) -> tuple[Form, list[list[Any]]]:
    """The same from octets that were read. Raises Damaged."""
    try:
        lines = gzip.decompress(octets).splitlines()
        head = json.loads(lines[0])
        found = Form(str(head["table"]), tuple(head["columns"]), tuple(head["types"]))
        rows = [json.loads(line) for line in lines[1:]]
        for place, kind in enumerate(found.types):
            if kind == "bytes":
                for row in rows:
                    if row[place] is not None:
                        row[place] = base64.b64decode(row[place])
        if len(rows) != expected or any(len(row) != len(found.columns) for row in rows):
            raise ValueError("another number of rows")
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise Damaged(f"{shelf.piece_path(piece)}: is not a chunk of rows: {error}") from None
    return found, rows


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
    there.reflect(connection)
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
    there.reflect(connection)
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


def _type_of(column: sa.Column[Any]) -> str:
    kind = column.type
    for name, classes in (
        ("bool", (sa.Boolean,)),
        ("int", (sa.Integer,)),
        ("float", (sa.Float,)),
        ("bytes", (sa.LargeBinary,)),
        ("text", (sa.String,)),
    ):
        if isinstance(kind, classes):
            return name
    raise TypeError(f"{column} has a type that no backup can hold yet")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
