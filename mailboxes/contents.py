"""Contents by their own id, apart from the messages that show them: header fields and octets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, func, select

from mailboxes.content import OpenBlob, Source
from mailboxes.decode import decode_text
from mailboxes.encode import from_json
from mailboxes.scan import scan_fields
from mailboxes.tables import Tables
from mailboxes.view import View

_HEADER = 1 << 20  # octets; what of a header stands behind them is not looked at (`scan`)


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
        table = self._table
        # Not the octets: that many inline contents at once may be more than there is memory for.
        lean: list[Any] = [column for column in table.columns if column is not table.c.octets]
        start = func.substr(table.c.octets, 1, _HEADER, type_=LargeBinary)
        query = select(*lean, start.label("start")).where(table.c.id.in_(ids))
        for row in conn.execute(query).all():
            yield ContentRow(row.id, row.key, row.kind, row.blob, row.created, self._header(row))

    def octets(self, conn: Connection, content_id: int) -> bytes | None:
        """All octets of a content; None if it is gone. Raises as `rows`."""
        row = conn.execute(select(self._table).where(self._table.c.id == content_id)).first()
        if row is None:
            return None
        return b"".join(_view(row).pieces(self._open_blob)) if row.blob else bytes(row.octets)

    def _header(self, row: Any) -> bytes:
        if row.header:
            return bytes(row.header)
        end = from_json(row.structure).body_start
        if not row.blob:
            return bytes(row.start)[:end]
        return _view(row).read(self._open_blob, 0, end)


def _view(row: Any) -> Source:
    cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
    return Source(blob=row.blob, view=View(bytes(row.prefix), row.size_original, cuts))
