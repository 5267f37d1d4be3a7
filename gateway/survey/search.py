"""Which documents and refusals a word names: an id, the id of a piece of evidence, a Message-ID, a
文号, a number of the evidence log.

Each kind is looked up by an index. A word may name several: a 文号 is given again, a mail is sent
again after a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, literal_column, select

from gateway.domain.clock import moment
from gateway.domain.ids import is_id
from gateway.evidence.tables import evidence_records, log_entries
from gateway.exchange.tables import documents, refusals
from gateway.reminders.tables import reminders

MOST = 50
_LOG_NUMBER = re.compile(r"#\d{1,18}")
_BEGINNING = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{7,24}")
_BRACKETS = str.maketrans(dict.fromkeys("[（(【［", "〔") | dict.fromkeys("]）)】］", "〕"))


@dataclass(frozen=True, slots=True)
class Match:
    """A document or refusal that the word names."""

    id: str
    by: str  # document, refusal, evidence, reminder, log-number, message-id, number
    at: datetime
    sender: str
    number: str  # 文号, or empty
    refused: bool


def find_matches(connection: Connection, word: str) -> list[Match]:
    """At most 50, the newest first; each once, by the first way in which it was found."""
    found: dict[str, Match] = {}
    for by, identifiers in _identifiers(connection, word.strip()):
        for one in identifiers:
            match = _describe(connection, one, by)
            if match is not None:
                found.setdefault(one, match)
    return sorted(found.values(), key=lambda match: match.id, reverse=True)


def _identifiers(connection: Connection, word: str) -> Iterator[tuple[str, list[str]]]:
    """Ways to take the word, and the documents or refusals that each leads to."""

    def those(query: Select[Any]) -> list[str]:
        return list(connection.scalars(query.limit(MOST)))

    def equal(
        table: Table, column: Column[str], text: str, *more: ColumnElement[bool]
    ) -> list[str]:
        query = select(table.c.id).where(column == text, *more)
        return those(query.order_by(table.c.id.desc()))

    if is_id(word):
        yield "document", [word]
        of_record = select(evidence_records.c.document_id).where(evidence_records.c.id == word)
        yield "evidence", those(of_record)
        of_reminder = select(reminders.c.document_id).where(reminders.c.id == word)
        yield "reminder", those(of_reminder)
        return
    if _BEGINNING.fullmatch(word):
        for table in (documents, refusals):
            column, last = table.c.id, word.ljust(26, "z")
            yield "document", those(select(column).where(column >= word, column <= last))
    if _LOG_NUMBER.fullmatch(word):
        entry = log_entries.join(evidence_records, evidence_records.c.id == log_entries.c.record_id)
        at = log_entries.c.number == int(word[1:])
        yield (
            "log-number",
            those(select(evidence_records.c.document_id).select_from(entry).where(at)),
        )
    if "@" in word:
        text = f"<{word.strip('<>')}>"
        for table in (documents, refusals):
            yield "message-id", equal(table, table.c.message_id, text)
        return
    has_one = documents.c.number != literal_column("''")  # as the partial index has it
    yield "number", equal(documents, documents.c.number, normal_number(word), has_one)


def normal_number(word: str) -> str:
    """A 文号 in the form in which it is kept: 和水发〔2026〕13号."""
    text = "".join(word.split()).translate(_BRACKETS)
    return text if text.endswith("号") else f"{text}号"


def _describe(connection: Connection, identifier: str, by: str) -> Match | None:
    row = connection.execute(select(documents).where(documents.c.id == identifier)).first()
    if row is not None:
        at = moment(row.received_at)
        return Match(identifier, by, at, row.mail_from, row.number, refused=False)
    row = connection.execute(select(refusals).where(refusals.c.id == identifier)).first()
    if row is not None:
        by = "refusal" if by == "document" else by
        return Match(identifier, by, moment(row.at), row.mail_from, "", refused=True)
    return None
