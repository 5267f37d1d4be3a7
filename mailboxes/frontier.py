"""Which contents the index does not have yet, without looking at all of them at each search."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from mailboxes.search_tables import SearchTables
from mailboxes.tables import Tables

MOST = 1_000  # missing contents that are named; of more it is quicker to look at the folder
OVERLAP = 1_000  # ids below the highest that are looked at again where commits come out of order


class Frontier:
    """Remembers, in this process, up to where everything is indexed."""

    def __init__(self, tables: Tables, search: SearchTables) -> None:
        self._contents = tables.contents
        self._heads = search.heads
        self._whole = 0  # an indexed content: all below it are indexed too

    def missing(self, conn: Connection) -> list[int] | None:
        """The contents that are not indexed; None if there are many."""
        contents, heads = self._contents, self._heads
        whole = self._whole
        known = select(heads.c.content_id).where(heads.c.content_id == whole)
        if whole and conn.scalar(known) is None:
            whole = 0  # the index was emptied, or that content is gone
        query = (
            select(contents.c.id)
            .outerjoin(heads, heads.c.content_id == contents.c.id)
            .where(contents.c.id > whole, heads.c.content_id.is_(None))
            .order_by(contents.c.id)
            .limit(MOST + 1)
        )
        missing = list(conn.scalars(query))
        last = func.max(heads.c.content_id)
        newest = conn.scalar(select(func.max(contents.c.id))) or 0
        edge = missing[0] if missing else int(newest) + 1
        if conn.dialect.name != "sqlite":
            edge -= OVERLAP
        self._whole = int(conn.scalar(select(last).where(heads.c.content_id < edge)) or 0)
        return missing if len(missing) <= MOST else None
