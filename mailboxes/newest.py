"""The newest texts that contain all words: the index is read from its end, and no further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from mailboxes.asking import ANYWHERE, CANDIDATES, has, is_exact, is_sqlite, match, one_of
from mailboxes.rows import moment
from mailboxes.search_tables import GRAMS
from mailboxes.tokens import Needle

_TEXTS = "mailbox_texts t"
_WINDOW = 1_000  # ids at the end, whose texts are read
_COLUMNS = "t.id, t.key, t.kind, t.created, t.title, t.state, t.reason"
# The order of SQLite's join is as written: it is the index that leads.
_JOINED = f"{GRAMS} g CROSS JOIN {_TEXTS}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A text that contains all words."""

    id: int  # the greater, the newer; give it as `before` to go on
    key: str  # of the content, e.g. a document's id
    kind: str  # of the content
    created: datetime  # when the content came, UTC
    title: str  # folded
    state: str  # see `entries.State`
    reason: str  # what of it cannot be searched, and why


@dataclass(slots=True)
class Asked:
    """A question that is being put together."""

    source: str
    order: str
    where: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, condition: str, values: dict[str, Any]) -> None:
        """One condition more."""
        self.where.append(condition)
        self.values.update(values)

    def hits(self, conn: Connection, limit: int) -> list[Hit]:
        """The answers, the newest first."""
        if is_sqlite(conn) or "match" not in self.values:
            return self._asked(conn, limit)
        # PostgreSQL guesses badly whether a word is frequent: for a rare one it would read all
        # texts from the end. So only the end is read; then the index names the candidates.
        last = f"t.id > (SELECT max(id) FROM mailbox_texts) - {_WINDOW}"  # noqa: S608  # names of ours
        hits = self._asked(conn, limit, last)
        return hits if len(hits) == limit else self._asked(conn, limit, rare=True)

    def _asked(self, conn: Connection, limit: int, *more: str, rare: bool = False) -> list[Hit]:
        where = " AND ".join([*self.where, *more]) or "1 = 1"
        candidates, source = "", self.source
        if rare:
            candidates = f"WITH c AS MATERIALIZED ({CANDIDATES['postgresql']}) "
            source = f"{self.source} JOIN c ON c.id = t.id"
        query = text(
            f"{candidates}SELECT {_COLUMNS} FROM {source} WHERE {where} "  # noqa: S608  # names of ours
            f"ORDER BY {self.order} DESC LIMIT :limit"
        )
        return [
            Hit(row.id, row.key, row.kind, moment(row.created), row.title, row.state, row.reason)
            for row in conn.execute(query, {**self.values, "limit": limit})
        ]


def newest_query(
    conn: Connection,
    wanted: Sequence[Needle],
    *,
    before: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Asked:
    """The question for texts whose title or body contains each of the needles."""
    asked = Asked(_TEXTS, "t.id")
    indexed = [one for one in wanted if not one.unindexed]
    if indexed:
        asked.values["match"] = match(conn, indexed, ANYWHERE)
        if is_sqlite(conn):
            asked.source, asked.order = _JOINED, "g.rowid"
            asked.where.append(f"{GRAMS} MATCH :match AND t.id = g.rowid")
    for number, one in enumerate(wanted):
        if one.text and not is_exact(conn, one):
            name = f"word_{number}"
            either = f"({has(conn, 't.body', name)} OR {has(conn, 't.title', name)})"
            asked.add(either, {name: one.text})
    if before is not None:
        asked.add(f"{asked.order} < :before", {"before": before})
    if kinds is not None:
        asked.add(*one_of("t.kind", "kind", kinds))
    return asked


def in_folders(folder_ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """The condition that a message of one of the folders shows the text, and its values."""
    condition, values = one_of("m.folder_id", "folder", folder_ids)
    shown = (
        "EXISTS (SELECT 1 FROM mailbox_heads h "
        "JOIN mailbox_messages m ON m.content_id = h.content_id WHERE h.text_id = t.id AND "
    )
    return f"{shown}{condition})", values
