"""Puts contents into the search index and takes them out; every method joins the caller's
transaction, and may be repeated.

Two that index at the same time must take turns: on SQLite they do, since there is one writer; on
PostgreSQL the caller holds a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, exists, func, insert, select, text

from mailboxes.entries import Grams, Prepared
from mailboxes.search_tables import GRAMS, SearchTables
from mailboxes.tables import Tables

_PORTION = 500  # numbers in one statement
_ASKED = 32  # tokens that are asked for at once
_COLUMNS = "title, body, title_short, body_short"
_GIVEN = ":title, :body, :title_short, :body_short"
_ADD = {
    "sqlite": text(f"INSERT INTO {GRAMS} (rowid, {_COLUMNS}) VALUES (:id, {_GIVEN})"),  # noqa: S608  # names of ours
    "postgresql": text(f"INSERT INTO {GRAMS} (id, grams) VALUES (:id, :grams)"),  # noqa: S608  # names of ours
}
_FORGET = text(
    f"INSERT INTO {GRAMS} ({GRAMS}, rowid, {_COLUMNS}) VALUES ('delete', :id, {_GIVEN})"  # noqa: S608  # names of ours
)
_FORGET_ALL = {
    "sqlite": text(f"INSERT INTO {GRAMS} ({GRAMS}) VALUES ('delete-all')"),  # noqa: S608  # names of ours
    "postgresql": text(f"DELETE FROM {GRAMS}"),  # noqa: S608  # names of ours
}
_HAS_TOKENS = text(f"SELECT rowid FROM {GRAMS} WHERE {GRAMS} MATCH :match AND rowid = :id")  # noqa: S608  # names of ours
_GRAMS_OF = text(f"SELECT grams FROM {GRAMS} WHERE id = :id")  # noqa: S608  # names of ours
_KNOWN = {
    "sqlite": text(f"SELECT rowid FROM {GRAMS}"),  # noqa: S608  # names of ours
    "postgresql": text(f"SELECT id FROM {GRAMS}"),  # noqa: S608  # names of ours
}


class IndexWriter:
    """The writing side of the index."""

    def __init__(self, tables: Tables, search: SearchTables) -> None:
        self._tables = tables
        self._search = search

    def unindexed(
        self, conn: Connection, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[int]:
        """Contents between two ids (exclusive) that the index does not have, the newest first."""
        contents, heads = self._tables.contents, self._search.heads
        query = (
            select(contents.c.id)
            .outerjoin(heads, heads.c.content_id == contents.c.id)
            .where(heads.c.content_id.is_(None), contents.c.id > after)
            .order_by(contents.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(contents.c.id < before)
        return list(conn.scalars(query))

    def count_unindexed(self, conn: Connection) -> int:
        """How many contents the index does not have."""
        contents, heads = self._tables.contents, self._search.heads
        every = conn.scalar(select(func.count()).select_from(contents)) or 0
        return int(every) - int(conn.scalar(select(func.count()).select_from(heads)) or 0)

    def newest_content(self, conn: Connection) -> int:
        """The highest id of a content; 0 if there is none."""
        return int(conn.scalar(select(func.max(self._tables.contents.c.id))) or 0)

    def known_blobs(self, conn: Connection, blobs: Sequence[str]) -> set[str]:
        """Those of the blobs whose texts the index has."""
        table = self._search.texts
        query = select(table.c.blob).where(table.c.blob.in_(blobs))
        return {str(blob) for blob in conn.scalars(query)}

    def add(self, conn: Connection, entries: Sequence[Prepared]) -> int:
        """Put contents in; how many were. One that is gone or is there already is left out.

        So is one whose blob's texts were thought to be known, and are not: it is read again.
        """
        contents, heads = self._tables.contents, self._search.heads
        ids = [one.entry.content_id for one in entries]
        living = set(conn.scalars(select(contents.c.id).where(contents.c.id.in_(ids))))
        there = set(conn.scalars(select(heads.c.content_id).where(heads.c.content_id.in_(ids))))
        added = 0
        for one in entries:
            if one.entry.content_id not in living or one.entry.content_id in there:
                continue
            text_id = self._text_of(conn, one)
            if text_id is None:
                continue
            conn.execute(
                insert(heads).values(
                    content_id=one.entry.content_id, text_id=text_id, head=one.head.text,
                    **one.head.named,
                )
            )  # fmt: skip
            added += 1
        return added

    def texts_of(self, conn: Connection, content_ids: Sequence[int]) -> list[int]:
        """The texts of those contents."""
        heads = self._search.heads
        found: set[int] = set()
        for start in range(0, len(content_ids), _PORTION):
            some = content_ids[start : start + _PORTION]
            query = select(heads.c.text_id).where(heads.c.content_id.in_(some))
            found.update(conn.scalars(query))
        return sorted(found)

    def lonely(self, conn: Connection, *, limit: int = 1000) -> list[int]:
        """Texts that no content has any more. Looks at all of them."""
        return list(conn.scalars(self._lonely().limit(limit)))

    def sweep(self, conn: Connection, text_ids: Sequence[int]) -> int:
        """Forget those of the texts that no content has any more; how many."""
        texts = self._search.texts
        gone: list[int] = []
        for start in range(0, len(text_ids), _PORTION):
            some = text_ids[start : start + _PORTION]
            gone += conn.scalars(self._lonely().where(texts.c.id.in_(some)))
        self.forget(conn, gone)
        return len(gone)

    def forget(self, conn: Connection, text_ids: Sequence[int]) -> None:
        """Take texts out, with the contents that have them: what still exists is indexed again."""
        texts, heads = self._search.texts, self._search.heads
        for start in range(0, len(text_ids), _PORTION):
            some = text_ids[start : start + _PORTION]
            if conn.dialect.name == "sqlite":
                # FTS5 keeps no copy: it is given the tokens that it was given before.
                for row in conn.execute(select(texts).where(texts.c.id.in_(some))).all():
                    conn.execute(_FORGET, _columns(row.id, Grams.of(row.title, row.body)))
            conn.execute(delete(heads).where(heads.c.text_id.in_(some)))
            conn.execute(delete(texts).where(texts.c.id.in_(some)))

    def clear(self, conn: Connection) -> None:
        """Forget everything: it is indexed again. For an index that has been damaged."""
        conn.execute(_FORGET_ALL[conn.dialect.name])
        conn.execute(delete(self._search.heads))
        conn.execute(delete(self._search.texts))

    def disagreement(self, conn: Connection) -> tuple[list[int], list[int]]:
        """Texts that have no tokens, and tokens that have no text, by id."""
        tokens = set(conn.scalars(_KNOWN[conn.dialect.name]))
        texts = set(conn.scalars(select(self._search.texts.c.id)))
        return sorted(texts - tokens), sorted(tokens - texts)

    def has_tokens(self, conn: Connection, text_id: int, grams: Grams) -> bool:
        """Whether a text's tokens are those; on SQLite the first of them are asked for."""
        if conn.dialect.name != "sqlite":
            kept = conn.scalar(_GRAMS_OF, {"id": text_id})
            return sorted(kept or ()) == grams.all
        if not grams.body:
            return True
        sought = f'body : "{" ".join(grams.body[:_ASKED])}"'
        return conn.scalar(_HAS_TOKENS, {"id": text_id, "match": sought}) is not None

    def _lonely(self) -> Select[tuple[int]]:
        texts, heads = self._search.texts, self._search.heads
        return select(texts.c.id).where(~exists().where(heads.c.text_id == texts.c.id))

    def _text_of(self, conn: Connection, one: Prepared) -> int | None:
        """The id of the entry's text, which is put in if it is not there."""
        texts, contents = self._search.texts, self._tables.contents
        entry = one.entry
        text_id: int | None = entry.content_id
        if entry.blob:
            known: int | None = conn.scalar(select(texts.c.id).where(texts.c.blob == entry.blob))
            if known is not None:
                return known
            # The first of its contents: so the texts are in the order in which they came.
            text_id = conn.scalar(
                select(func.min(contents.c.id)).where(
                    contents.c.key == entry.key, contents.c.blob == entry.blob
                )
            )
        if one.body is None or one.grams is None or text_id is None:
            return None
        # SQLite gives the highest number again, once its content is gone.
        if self._row(conn, text_id) is not None:
            self.forget(conn, [text_id])
        conn.execute(
            insert(texts).values(
                id=text_id, blob=entry.blob or None, key=entry.key, kind=entry.kind,
                created=entry.created, title=one.title, body=one.body, state=entry.state.value,
                reason=entry.reason,
            )
        )  # fmt: skip
        if conn.dialect.name == "sqlite":
            conn.execute(_ADD["sqlite"], _columns(text_id, one.grams))
        else:
            conn.execute(_ADD["postgresql"], {"id": text_id, "grams": one.grams.all})
        return text_id

    def _row(self, conn: Connection, text_id: int) -> Row[Any] | None:
        table = self._search.texts
        return conn.execute(select(table.c.id).where(table.c.id == text_id)).first()


def _columns(text_id: int, grams: Grams) -> dict[str, object]:
    return {
        "id": text_id,
        "title": " ".join(grams.title),
        "body": " ".join(grams.body),
        "title_short": " ".join(grams.title_short),
        "body_short": " ".join(grams.body_short),
    }
