"""Full-text search: for substrings, in headers, bodies and attachments, as IMAP defines it.

The index names candidates, the kept text decides: a content is found if and only if its folded text
contains the folded words (`tokens.fold`). Contents that the index does not have yet are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

from sqlalchemy import Connection, select, text

from mailboxes.asking import CANDIDATES, IN_BODY, has, is_exact, match, one_of
from mailboxes.entries import NAMED, Entry, Head, body_of, head_has
from mailboxes.frontier import Frontier
from mailboxes.newest import Hit, in_folders, newest_query
from mailboxes.search_tables import SearchTables
from mailboxes.tables import Tables
from mailboxes.tokens import Needle, needle

__all__ = ["Hit", "Place", "ReadEntries", "SearchIndex"]

ReadEntries = Callable[[Connection, Sequence[int]], Iterable[Entry]]
_PORTION = 500
_FEW = 2_000  # candidates that are looked up one by one; more are found in the folder

_IN_FOLDER = (
    "SELECT DISTINCT m.content_id FROM mailbox_messages m "
    "JOIN mailbox_heads h ON h.content_id = m.content_id"
)


class Place(StrEnum):
    """Where something is sought."""

    HEADER = "header"
    BODY = "body"  # attachments are of the body
    TEXT = "text"  # either


class SearchIndex:
    """The reading side of the index."""

    def __init__(self, tables: Tables, search: SearchTables, read: ReadEntries) -> None:
        """`read` gives the entries of contents that are not indexed yet."""
        self._tables = tables
        self._search = search
        self._read = read
        self._frontier = Frontier(tables, search)

    def matching(
        self, conn: Connection, folder_id: int, place: Place, needle_text: str, field: str = ""
    ) -> set[int]:
        """Content ids of the folder's messages whose `place` contains the text.

        Of a header `field` names the field; empty: any. An empty text is in everything, and in
        every message that has such a field at all.
        """
        wanted, field = needle(needle_text), field.lower()
        found: set[int] = set()
        if place is not Place.BODY:
            only = field if place is Place.HEADER else ""
            found |= self._by_head(conn, folder_id, wanted.text, only)
        if place is not Place.HEADER:
            found |= self._by_body(conn, folder_id, wanted)
        for entry in self._read_unindexed(conn, folder_id):
            if _entry_has(entry, place, wanted.text, field):
                found.add(entry.content_id)
        return found

    def newest(
        self,
        conn: Connection,
        words: Sequence[str],
        *,
        owners: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        limit: int = 20,
        before: int | None = None,
    ) -> list[Hit]:
        """The newest texts whose title or body contains each of the words, at most `limit`.

        `owners`: only what lies in one of their mailboxes; `kinds`: of the contents; `before`: only
        those that came before that hit. What is not indexed yet is not found.
        """
        wanted = [needle(word) for word in words]
        asked = newest_query(conn, wanted, before=before, kinds=kinds)
        if owners is not None:
            asked.add(*in_folders(self._folders(conn, owners)))
        return asked.hits(conn, limit)

    def body(self, conn: Connection, hit_id: int) -> str:
        """The folded body of a hit; empty if it is gone."""
        table = self._search.texts
        return str(conn.scalar(select(table.c.body).where(table.c.id == hit_id)) or "")

    def _folders(self, conn: Connection, names: Sequence[str]) -> list[int]:
        folders, owners = self._tables.folders, self._tables.owners
        query = select(folders.c.id).join(owners, owners.c.id == folders.c.owner_id)
        return list(conn.scalars(query.where(owners.c.owner.in_(names))))

    def _by_head(self, conn: Connection, folder_id: int, sought: str, field: str) -> set[int]:
        values: dict[str, object] = {"folder": folder_id, "sought": sought}
        if field in NAMED:
            column = f'h."{field}"'
            where = has(conn, column, "sought") if sought else f"{column} IS NOT NULL"
            return self._in_folder(conn, where, values)
        where = has(conn, "h.head", "sought") if sought else "1 = 1"
        if not field:
            return self._in_folder(conn, where, values)
        values["name"] = f"\n{field}: "
        where = f"{where} AND {has(conn, 'h.head', 'name')}"
        query = _IN_FOLDER.replace("m.content_id FROM", "m.content_id, h.head FROM")
        rows = conn.execute(text(f"{query} WHERE m.folder_id = :folder AND {where}"), values)
        return {row.content_id for row in rows if head_has(row.head, sought, field)}

    def _by_body(self, conn: Connection, folder_id: int, wanted: Needle) -> set[int]:
        values: dict[str, object] = {"folder": folder_id}
        where, join = [], ""
        if wanted.text and not is_exact(conn, wanted):
            join = " JOIN mailbox_texts t ON t.id = h.text_id"
            where.append(has(conn, "t.body", "sought"))
            values["sought"] = wanted.text
        if wanted.unindexed:
            return self._in_folder(conn, " AND ".join(where) or "1 = 1", values, join)
        matched = {"match": match(conn, [wanted], IN_BODY)}
        candidates = CANDIDATES[conn.dialect.name]
        few = list(conn.scalars(text(f"{candidates} LIMIT {_FEW + 1}"), matched))
        if len(few) > _FEW:
            where.append(f"h.text_id IN ({candidates})")
            return self._in_folder(conn, " AND ".join(where), values | matched, join)
        found: set[int] = set()
        for some in _portions(few):
            condition, given = one_of("h.text_id", "text", some)
            # The plus keeps SQLite from reading the whole folder for a few candidates.
            query = f"{_IN_FOLDER}{join} WHERE +m.folder_id = :folder AND {condition}"
            found.update(conn.scalars(text(" AND ".join([query, *where])), {**values, **given}))
        return found

    def _in_folder(
        self, conn: Connection, where: str, values: dict[str, object], join: str = ""
    ) -> set[int]:
        query = f"{_IN_FOLDER}{join} WHERE m.folder_id = :folder AND {where}"
        return set(conn.scalars(text(query), values))

    def _read_unindexed(self, conn: Connection, folder_id: int) -> Iterable[Entry]:
        messages, heads = self._tables.messages, self._search.heads
        query = select(messages.c.content_id).where(messages.c.folder_id == folder_id).distinct()
        missing = self._frontier.missing(conn)
        if missing is None:
            query = query.outerjoin(heads, heads.c.content_id == messages.c.content_id)
            ids = list(conn.scalars(query.where(heads.c.content_id.is_(None))))
        else:
            ids = [
                one
                for some in _portions(missing)
                for one in conn.scalars(query.where(messages.c.content_id.in_(some)))
            ]
        for some in _portions(ids):
            yield from self._read(conn, some)


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION))


def _entry_has(entry: Entry, place: Place, sought: str, field: str) -> bool:
    """What the index would say of an entry, read from the entry itself."""
    if place is not Place.BODY:
        head = Head.of(entry.fields)
        if place is Place.HEADER and not sought:
            return not field or any(name.lower() == field for name, _ in entry.fields)
        if head.has(sought, field if place is Place.HEADER else ""):
            return True
    if place is Place.HEADER or entry.texts is None:
        return False
    return sought in body_of(entry.texts)
