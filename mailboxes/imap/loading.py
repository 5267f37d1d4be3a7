"""Reads what FETCH needs of contents: their columns, and octets where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, case, func, select

from mailboxes.content import OpenBlob, Source
from mailboxes.encode import from_json
from mailboxes.prepared import Prepared
from mailboxes.structure import Part
from mailboxes.tables import Tables
from mailboxes.view import View

_SMALL = 16_384  # octets that are read with their row


@dataclass
class Loaded:
    """One content. Its octets are read only where they are asked for."""

    row: Row[Any]
    open_blob: OpenBlob
    conn: Connection  # good as long as the reading in which it was loaded
    table: Table

    @cached_property
    def structure(self) -> Part:
        """With offsets into the octets."""
        return from_json(self.row.structure)

    @cached_property
    def source(self) -> Source:
        """Where the octets come from."""
        row = self.row
        if not row.blob:
            return Source(octets=self._inline(0, row.size))
        cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
        return Source(blob=row.blob, view=View(bytes(row.prefix), row.size_original, cuts))

    @cached_property
    def header(self) -> bytes:
        """The header with its empty line."""
        if self.row.header is not None:
            return bytes(self.row.header)
        return self.octets(0, self.structure.body_start)

    @cached_property
    def whole(self) -> bytes:
        """All octets."""
        return self.source.read(self.open_blob, 0, self.row.size)

    def octets(self, start: int, length: int) -> bytes:
        """Some of the octets."""
        if "whole" in self.__dict__:
            return self.whole[start : start + length]
        if not self.row.blob and "source" not in self.__dict__:
            return self._inline(start, length)
        return self.source.read(self.open_blob, start, length)

    def pieces(self, start: int, length: int, piece: int) -> Iterator[bytes]:
        """The same in pieces, for what is long; they may be taken after the reading."""
        if not self.row.blob:
            found = self.octets(start, length)
            return (found[offset : offset + piece] for offset in range(0, len(found), piece))
        view = self.source.view
        assert view is not None  # noqa: S101  # a blob is read through a view
        return view.span(lambda: self.open_blob(self.row.blob), start, length)

    def _inline(self, start: int, length: int) -> bytes:
        """Octets that are in the row; those of a large one only now."""
        if self.row.octets is not None:
            return bytes(self.row.octets[start : start + length])
        table = self.table
        cut = select(func.substr(table.c.octets, start + 1, max(length, 0)))
        return bytes(self.conn.execute(cut.where(table.c.id == self.row.id)).scalar_one())


def object_id_of(digest: str) -> str:
    """EMAILID: the same for the same octets, and for no others."""
    return f"M{digest[:40]}"


class Loader:
    """Reads contents by their ids."""

    def __init__(self, tables: Tables, open_blob: OpenBlob) -> None:
        self._open_blob = open_blob
        self._table = table = tables.contents
        some = table.c.id.in_(bindparam("some", expanding=True))
        self._shape = Prepared(
            select(table.c.id, table.c.envelope, table.c.bodystructure).where(some), some="some"
        )
        self._head = Prepared(
            select(
                table.c.id, table.c.envelope, table.c.bodystructure, table.c.structure,
                table.c.header, table.c.blob, table.c.prefix, table.c.size_original, table.c.cuts,
                case((table.c.size <= _SMALL, table.c.octets)).label("octets"), table.c.size,
                table.c.digest,
            ).where(some),
            some="some",
        )  # fmt: skip

    def of_object(self, conn: Connection, object_id: str) -> set[int]:
        """The ids of the contents with that EMAILID (RFC 8474)."""
        if not object_id.startswith("M"):
            return set()
        digest = object_id[1:]
        low, high = digest, digest + "g"
        table = self._table
        query = select(table.c.id, table.c.digest).where(
            table.c.digest >= low, table.c.digest < high
        )
        return {row.id for row in conn.execute(query) if object_id_of(row.digest) == object_id}

    def load(self, conn: Connection, ids: Sequence[int], *, octets: bool) -> dict[int, Loaded]:
        """The contents by id; without `octets` only what ENVELOPE and BODYSTRUCTURE need."""
        statement = self._head if octets else self._shape
        found: dict[int, Loaded] = {}
        for start in range(0, len(ids), 256):
            some = list(ids[start : start + 256])
            some += [some[-1]] * (-len(some) % 16)  # few lengths, so few statements to keep
            for row in statement.all(conn, {"some": some}):
                found[row.id] = Loaded(row, self._open_blob, conn, self._table)
        return found
