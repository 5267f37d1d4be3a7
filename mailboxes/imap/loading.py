"""Reads what FETCH needs of contents: the columns that are asked for, and octets where they stand.

A program that asks for a thousand headers shall not wait for a thousand structures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select

from mailboxes.content import OpenBlob, Source
from mailboxes.encode import from_json
from mailboxes.prepared import Prepared
from mailboxes.structure import Part
from mailboxes.tables import Tables
from mailboxes.view import View

_SMALL = 16_384  # octets that are read with their row
_STEP = 1_048_576  # octets that are read at once of what is streamed from a row
_LETTERS = 40  # of a digest in an object's id
_OBJECT = re.compile(rf"M[0-9a-f]{{{_LETTERS}}}")  # with fewer one would be asked for all contents

ReadAgain = Callable[[Callable[[Connection], bytes]], bytes]

ENVELOPE, BODYSTRUCTURE, DIGEST, HEADER, STRUCTURE, OCTETS = (
    frozenset({name})
    for name in ("envelope", "bodystructure", "digest", "header", "structure", "octets")
)
"""What may be asked for of a content."""


@dataclass
class Loaded:
    """One content. Its octets are read only where they are asked for."""

    row: Any  # with the columns that were asked for
    needs: frozenset[str]
    open_blob: OpenBlob
    conn: Connection  # good as long as the reading in which it was loaded
    loader: Loader

    @cached_property
    def structure(self) -> Part:
        """With offsets into the octets."""
        return from_json(self._with(STRUCTURE).structure)

    @cached_property
    def source(self) -> Source:
        """Where the octets come from."""
        row = self._with(OCTETS)
        if not row.blob:
            return Source(octets=self._inline(0, row.size))
        cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
        return Source(blob=row.blob, view=View(bytes(row.prefix), row.size_original, cuts))

    @cached_property
    def header(self) -> bytes:
        """The header with its empty line."""
        header = self._with(HEADER).header
        if header is not None:  # else it is very long
            return bytes(header)
        self._with(STRUCTURE | OCTETS)
        return self.octets(0, self.structure.body_start)

    @property
    def is_view(self) -> bool:
        """Whether the octets are those of a document's blob, seen through a view."""
        return bool(self._with(OCTETS).blob)

    @cached_property
    def whole(self) -> bytes:
        """All octets."""
        return self.source.read(self.open_blob, 0, self.row.size)

    def octets(self, start: int, length: int) -> bytes:
        """Some of the octets."""
        if "whole" in self.__dict__:
            return self.whole[start : start + length]
        if not self.is_view and "source" not in self.__dict__:
            return self._inline(start, length)
        return self.source.read(self.open_blob, start, length)

    def pieces(self, start: int, length: int, piece: int) -> Iterator[bytes]:
        """The same in pieces, for what is long; they may be taken after the reading."""
        if not self.is_view:
            if length > _STEP and "source" not in self.__dict__:
                return self.loader.steps(self.row.id, start, length, piece)
            return _cut(self.octets(start, length), piece)
        view = self.source.view
        assert view is not None  # noqa: S101  # a blob is read through a view
        blob = self._with(OCTETS).blob
        return view.span(lambda: self.open_blob(blob), start, length)

    def _inline(self, start: int, length: int) -> bytes:
        """Octets that are in the row; those of a large one only now."""
        row = self._with(OCTETS)
        if row.octets is not None:
            return bytes(row.octets[start : start + length])
        return self.loader.cut(self.conn, row.id, start, length)

    def _with(self, more: frozenset[str]) -> Any:
        """The row, read again if it lacks a column that is needed only now."""
        if not more <= self.needs:
            self.needs |= more
            self.row = self.loader.row(self.conn, self.row.id, self.needs)
        return self.row


def _cut(octets: bytes, piece: int) -> Iterator[bytes]:
    return (octets[offset : offset + piece] for offset in range(0, len(octets), piece))


def object_id_of(digest: str) -> str:
    """EMAILID: the same for the same octets, and for no others."""
    return f"M{digest[:_LETTERS]}"


class Loader:
    """Reads contents by their ids."""

    def __init__(self, tables: Tables, open_blob: OpenBlob, again: ReadAgain) -> None:
        """`again` makes another reading of the database, in the thread that calls it."""
        self._open_blob = open_blob
        self._again = again
        self._table = tables.contents
        self._statements: dict[frozenset[str], Prepared] = {}

    def _statement(self, needs: frozenset[str]) -> Prepared:
        found = self._statements.get(needs)
        if found is None:
            table = self._table
            columns: list[ColumnElement[Any]] = [table.c.id, table.c.size]
            columns += [table.c[name] for name in sorted(needs - OCTETS)]
            if needs >= OCTETS:
                small = case((table.c.size <= _SMALL, table.c.octets)).label("octets")
                columns += [
                    table.c.blob, table.c.prefix, table.c.size_original, table.c.cuts, small,
                ]  # fmt: skip
            some = table.c.id.in_(bindparam("some", expanding=True))
            found = self._statements[needs] = Prepared(select(*columns).where(some), some="some")
        return found

    def of_object(self, conn: Connection, object_id: str) -> set[int]:
        """The ids of the contents with that EMAILID (RFC 8474)."""
        if _OBJECT.fullmatch(object_id) is None:
            return set()
        low, high = object_id[1:], object_id[1:] + "g"
        table = self._table
        query = select(table.c.id, table.c.digest).where(
            table.c.digest >= low, table.c.digest < high
        )
        return {row.id for row in conn.execute(query) if object_id_of(row.digest) == object_id}

    def load(
        self, conn: Connection, ids: Sequence[int], needs: frozenset[str]
    ) -> dict[int, Loaded]:
        """The contents by id, with what is needed of them; what is needed later is read then."""
        statement = self._statement(needs)
        found: dict[int, Loaded] = {}
        for start in range(0, len(ids), 256):
            for row in statement.all(conn, {"some": ids[start : start + 256]}):
                found[row.id] = Loaded(row, needs, self._open_blob, conn, self)
        return found

    def row(self, conn: Connection, content_id: int, needs: frozenset[str]) -> Any:
        """The columns of one content. Raises LookupError if it is gone."""
        [row] = self._statement(needs).all(conn, {"some": [content_id]})
        return row

    def steps(self, content_id: int, start: int, length: int, piece: int) -> Iterator[bytes]:
        """Octets of a content that stand in its row, in pieces, and never more than a megabyte
        held for whoever takes them slowly. Raises what a reading raises, LookupError if it is gone.
        """
        for offset in range(start, start + length, _STEP):
            most = min(_STEP, start + length - offset)
            found = self._again(lambda c, at=offset, most=most: self.cut(c, content_id, at, most))  # type: ignore[misc]
            yield from _cut(found, piece)

    def cut(self, conn: Connection, content_id: int, start: int, length: int) -> bytes:
        """Some octets of a content that stand in its row. Raises LookupError if it is gone."""
        table = self._table
        cut = select(func.substr(table.c.octets, start + 1, max(length, 0)))
        found = conn.execute(cut.where(table.c.id == content_id)).scalar()
        if found is None:
            raise LookupError(f"there is no content {content_id}")
        return bytes(found)
