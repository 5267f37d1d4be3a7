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
import binascii
import gzip
import json
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, Table, func, select, tuple_

from gateway.backup.manifest import Chunk
from gateway.backup.shelf import Damaged, Piece, Shelf
from gateway.store.schema import metadata
from mailboxes.search_tables import DERIVED, is_token_table

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
# rows as before has the same rows, and is not read again. SQLite gives a number again once all
# above it are removed; the column that is named for it tells the two rows apart.
FINAL: dict[str, str] = {
    "evidence_records": "",
    "log_nodes": "",
    "checkpoints": "",
    "envelope_recipients": "",
    "document_texts": "",
    "unread_attachments": "",
    "refusals": "",
    "seal_uses": "",
    "mailbox_contents": "created",
}
# The same, but for a column that is filled in once, later: a chunk without a gap is final.
FILLED = {"log_entries": "number"}
_MARKS = 1_000_003  # what a mark counts up to, so that a sum of them stays small
_THREADS = 4  # that compress and write chunks
_AHEAD = 8  # chunks that wait for them
_ROWS, _MOST_ROWS, _MOST_OCTETS = 512, 8192, 1 << 20


def all_tables() -> MetaData:
    """Every package's tables."""
    for module in MODULES:
        import_module(module)
    return metadata


def kept_tables() -> list[Table]:
    """The tables that a backup has, referred ones first: not what can be made again from them."""
    return [table for table in all_tables().sorted_tables if not table.info.get(DERIVED, False)]


def unknown(connection: Connection) -> list[str]:
    """Tables in the database that are none of ours: they are in no backup."""
    known = {*all_tables().tables, "alembic_version"}
    there = set(sa.inspect(connection).get_table_names()) - known
    return sorted(name for name in there if not is_token_table(name))


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
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="chunk") as pool:
        writer = _Writer(connection, table, shelf, told, pool)
        if (table.name not in FINAL and table.name not in FILLED) or not before:
            return tuple(writer.chunks(None, None))
        return tuple(_renew(writer, before))


def _renew(writer: _Writer, before: Sequence[Chunk]) -> Iterator[Chunk]:
    """The chunks of before where nothing has changed, new ones in the other places."""
    unchanged = _unchanged(writer, before)
    after: tuple[Any, ...] | None = None
    for number, chunk in enumerate(before):
        if number in unchanged:
            writer.told(chunk.rows)
            yield chunk
        else:
            yield from writer.chunks(after, chunk.last)
        after = chunk.last
    yield from writer.chunks(after, None)


def _unchanged(writer: _Writer, before: Sequence[Chunk]) -> set[int]:
    """Which chunks have the same rows. From the end, since one that has its marks proves more.

    A row of it that is still there has kept every number below from being given again.
    """
    found: set[int] = set()
    proved = not writer.marked
    for number in range(len(before) - 1, -1, -1):
        chunk = before[number]
        after = before[number - 1].last if number else None
        if not proved:
            same = writer.count(after, chunk.last, marks=True) == (chunk.rows, chunk.mark)
            proved = same and chunk.rows > 0
        else:
            same = writer.count(after, chunk.last)[0] == chunk.rows
        if same and not (writer.filled and chunk.mark):
            found.add(number)
    return found


class _Writer:
    """Reads one table and lets threads compress and write."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        shelf: Shelf,
        told: Callable[[int], None],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._connection = connection
        self._table = table
        self._shelf = shelf
        self.told = told
        self._pool = pool
        self._form = form(table)
        self._key = list(table.primary_key.columns)
        self._binary = [n for n, kind in enumerate(self._form.types) if kind == "bytes"]
        self._places = [self._form.columns.index(column.name) for column in self._key]
        self.marked = bool(FINAL.get(table.name))
        self.filled = table.name in FILLED
        mark = FINAL.get(table.name) or FILLED.get(table.name, "")
        self._mark = table.c[mark] if mark else None
        self._mark_place = self._form.columns.index(mark) if mark else -1

    def count(
        self, after: tuple[Any, ...] | None, last: tuple[Any, ...], *, marks: bool = False
    ) -> tuple[int, int]:
        """How many rows there are between two keys, and the sum of their marks if asked for."""
        mark: sa.ColumnElement[Any] = sa.literal(0)
        if marks and self._mark is not None:
            mark = func.coalesce(func.sum(self._mark % _MARKS), 0)
        query = select(func.count(), mark).select_from(self._table).where(*self._range(after, last))
        row = self._connection.execute(query).one()
        return int(row[0]), int(row[1])

    def chunks(
        self, after: tuple[Any, ...] | None, last: tuple[Any, ...] | None
    ) -> Iterator[Chunk]:
        """The rows between two keys."""
        waiting: deque[Future[Chunk]] = deque()
        for lines, key, mark in self._portions(after, last):
            waiting.append(self._pool.submit(self._keep, lines, key, mark))
            if len(waiting) > _AHEAD:
                yield self._taken(waiting.popleft())
        while waiting:
            yield self._taken(waiting.popleft())

    def _taken(self, waiting: Future[Chunk]) -> Chunk:
        chunk = waiting.result()
        self.told(chunk.rows)
        return chunk

    def _portions(
        self, after: tuple[Any, ...] | None, last: tuple[Any, ...] | None
    ) -> Iterator[tuple[list[bytes], tuple[Any, ...], int]]:
        query = select(self._table).where(*self._range(after, last)).order_by(*self._key)
        rows = self._connection.execution_options(stream_results=True, yield_per=1000).execute(
            query
        )
        lines: list[bytes] = []
        octets = mark = 0
        key: tuple[Any, ...] = ()
        for row in rows:
            values = list(row)
            for place in self._binary:
                if values[place] is not None:
                    values[place] = _text(values[place])
            line = _json(values)
            lines.append(line)
            octets += len(line)
            key = tuple(row[place] for place in self._places)
            if self._mark_place >= 0:
                mark += self._mark_of(row[self._mark_place])
            if _ends(key, len(lines), octets):
                yield lines, key, mark
                lines, octets, mark = [], 0, 0
        if lines:
            yield lines, key, mark

    def _mark_of(self, value: int | None) -> int:
        if self.filled:
            return int(value is None)
        return 0 if value is None else value % _MARKS

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
                        row[place] = _octets(row[place])
        if len(rows) != expected or any(len(row) != len(found.columns) for row in rows):
            raise ValueError("another number of rows")
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise Damaged(f"{shelf.piece_path(piece)}: is not a chunk of rows: {error}") from None
    return found, rows


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


def _text(value: bytes | memoryview) -> str:
    """Octets in JSON: a mail of seven bits as it is, behind a sign that no base64 begins with."""
    octets = bytes(value)
    return "=" + octets.decode("ascii") if octets.isascii() else _base64(octets)


def _octets(text: str) -> bytes:
    return text[1:].encode("ascii") if text.startswith("=") else base64.b64decode(text)


def _base64(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode("ascii")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode() + b"\n"
