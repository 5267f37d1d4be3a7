"""Documents that contain words: in the title, the body or an attachment, the newest first.

Whoever asks is written down in the log of changes, with the words: an operator may read what a unit
has got, but not unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.directory import changes
from gateway.directory.snapshot import Directory
from gateway.domain.clock import rfc3339
from gateway.exchange.mailroom import DOCUMENT, open_index, search_tables, tables
from gateway.exchange.tables import document_texts, documents
from mailboxes.excerpts import Excerpt, excerpt
from mailboxes.search import Hit, SearchIndex

_SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Found:
    """A document that contains all words."""

    hit: Hit
    number: str  # 文号, or empty
    sender: str  # unit code
    title: Excerpt
    text: Excerpt | None  # of the body or an attachment; None: only the title has them

    @property
    def data(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "id": self.hit.key,
            "received": rfc3339(self.hit.created),
            "unit": self.sender,
            "number": self.number,
            "title": self.title.data,
            "text": None if self.text is None else self.text.data,
            "searched": {"state": self.hit.state, "reason": self.hit.reason},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and how much could not be looked at."""

    found: list[Found]
    unindexed: int  # messages that the index does not have yet


def find_words(
    connection: Connection, words: Sequence[str], directory: Directory, *, unit: str, limit: int
) -> Answer:
    """At most `limit` documents with all words; of that unit's mailboxes, empty: of all."""
    owners = None
    if unit:
        found = directory.unit(unit)
        behind = None if found is None else found.id
        owners = [owner.key for owner in directory.owners() if owner.unit_id == behind]
    index = SearchIndex(tables, search_tables, lambda _connection, _ids: ())
    hits = index.newest(connection, words, owners=owners, kinds=[DOCUMENT], limit=limit)
    shown = _shown(connection, hits, words, directory)
    return Answer(shown, open_index().count_unindexed(connection))


def write_down(
    connection: Connection, words: Sequence[str], *, unit: str, hits: int, actor: str, now: datetime
) -> None:
    """Say in the log of changes who has searched for what, and where."""
    changes.record(
        connection, "search", "documents", unit or "all",
        before=None, after={"words": list(words), "hits": hits}, actor=actor, now=now,
    )  # fmt: skip


def _shown(
    connection: Connection, hits: Sequence[Hit], words: Sequence[str], directory: Directory
) -> list[Found]:
    ids = [hit.key for hit in hits]
    rows = connection.execute(
        select(documents.c.id, documents.c.number, documents.c.unit_id).where(
            documents.c.id.in_(ids)
        )
    )
    known = {row.id: row for row in rows}
    texts: dict[str, list[tuple[str, str]]] = {}
    query = select(document_texts).where(document_texts.c.document_id.in_(ids))
    for row in connection.execute(query.order_by(document_texts.c.ordinal)):
        texts.setdefault(row.document_id, []).append((row.place, row.text))
    shown = []
    for hit in hits:
        document = known.get(hit.key)
        sender = None if document is None else directory.unit_by_id(document.unit_id)
        places = texts.get(hit.key, [])
        subject = next((text for place, text in places if place == _SUBJECT), hit.title)
        shown.append(
            Found(
                hit,
                "" if document is None else document.number,
                "" if sender is None else sender.code,
                excerpt(subject, words, around=60),
                _best([text for place, text in places if place != _SUBJECT], words),
            )
        )
    return shown


def _best(texts: Sequence[str], words: Sequence[str]) -> Excerpt | None:
    """The piece that shows most of the words; None if no text has any."""
    found = [one for one in (excerpt(text, words) for text in texts) if one.marks]
    return max(found, key=lambda one: len(one.marks), default=None)
