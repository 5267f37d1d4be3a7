"""Contents by their own id, apart from the messages that show them: header fields and octets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from mailboxes.content import OpenBlob, Source
from mailboxes.decode import decode_text
from mailboxes.encode import from_json
from mailboxes.scan import scan_fields
from mailboxes.tables import Tables
from mailboxes.view import View


@dataclass(frozen=True, slots=True)
class ContentRow:
    """A content as the search index needs it."""

    id: int
    key: str
    kind: str
    blob: str  # of a view; empty if the octets are inline
    created: int  # Unix milliseconds
    header: bytes  # with the empty line behind it

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Name and decoded value of each header field."""
        return tuple((field.name, decode_text(field.value)) for field in scan_fields(self.header))


class ContentReader:
    """Reads contents; opens a blob only where its header is not kept beside it."""

    def __init__(self, tables: Tables, open_blob: OpenBlob) -> None:
        self._table = tables.contents
        self._open_blob = open_blob

    def rows(self, conn: Connection, ids: Sequence[int]) -> Iterator[ContentRow]:
        """Those of the contents that there are. Raises what opening and reading a blob raises."""
        for row in conn.execute(select(self._table).where(self._table.c.id.in_(ids))).all():
            yield ContentRow(row.id, row.key, row.kind, row.blob, row.created, self._header(row))

    def octets(self, conn: Connection, content_id: int) -> bytes | None:
        """All octets of a content; None if it is gone. Raises as `rows`."""
        row = conn.execute(select(self._table).where(self._table.c.id == content_id)).first()
        return None if row is None else b"".join(_source(row).pieces(self._open_blob))

    def _header(self, row: Row[Any]) -> bytes:
        if row.header:
            return bytes(row.header)
        return _source(row).read(self._open_blob, 0, from_json(row.structure).body_start)


def _source(row: Row[Any]) -> Source:
    if not row.blob:
        return Source(octets=bytes(row.octets))
    cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
    return Source(blob=row.blob, view=View(bytes(row.prefix), row.size_original, cuts))
