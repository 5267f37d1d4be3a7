"""Everything that happened to one document or refusal, in order, in plain words.

From the records of evidence, and from the rows beside them: reminders, letters of the office, work
that still waits, refusals of the same mail. Neither the title nor anything of the content is in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.directory.snapshot import Directory
from gateway.domain.clock import moment
from gateway.domain.event import Event, Reason
from gateway.evidence.notary import records_of
from gateway.evidence.record import Record
from gateway.evidence.tables import log_entries
from gateway.exchange.documents import show_document
from gateway.exchange.tables import documents, outbox, refusals
from gateway.reminders import book
from gateway.reminders.numbers import masked
from gateway.reminders.reminder import Reminder, ReminderState
from gateway.store.schema import metadata
from mailboxes.tables import make_tables

_LETTERS = ("receipt", "summary", "alert", "answer")

_SAYS: dict[Event, str] = {
    Event.SUBMISSION_ACCEPTANCE: "accepted for",
    Event.SUBMISSION_REJECTION: "refused for",
    Event.CONTENT_CONSIGNMENT: "delivered to",
    Event.CONTENT_CONSIGNMENT_FAILURE: "could not be delivered to",
    Event.CONSIGNMENT_NOTIFICATION: "the duty person was reminded, for",
    Event.CONSIGNMENT_NOTIFICATION_FAILURE: "the reminder failed, for",
    Event.CONSIGNMENT_ACCEPTANCE: "signed for by",
    Event.CONSIGNMENT_REJECTION: "returned by",
    Event.CONTENT_ACCESS_TRACKING: "opened by",
    Event.CONTENT_HANDOVER: "fetched by",
    Event.ACT_NOT_COUNTED: "moved by a program, which does not count, for",
}
_BY_PERSONS = (
    Event.CONSIGNMENT_ACCEPTANCE,
    Event.CONSIGNMENT_REJECTION,
    Event.CONTENT_ACCESS_TRACKING,
    Event.CONTENT_HANDOVER,
    Event.ACT_NOT_COUNTED,
)
_REMINDER: dict[ReminderState, str] = {
    ReminderState.QUEUED: "a reminder is due, to",
    ReminderState.HANDING_OVER: "a reminder is being handed over, to",
    ReminderState.STOPPING: "a reminder is being stopped, to",
    ReminderState.HANDED_OVER: "a reminder was handed to the carrier, to",
    ReminderState.SENT: "the carrier has sent the reminder, to",
    ReminderState.FAILED: "the reminder failed, to",
    ReminderState.CANCELLED: "the reminder was not needed any more, to",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, or is planned."""

    at: datetime
    kind: str  # evidence, reminder, letter, planned, refusal
    event: str  # the name in the record, the state of the reminder, the kind of letter
    says: str  # what happened, in words; the subject follows
    subject: str  # to whom or by whom
    detail: str = ""
    evidence: str = ""  # id of the record
    sequence: int | None = None  # of the record among the document's
    number: int | None = None  # in the log; None: not sealed yet, or no evidence


@dataclass(frozen=True, slots=True)
class Story:
    """One document or refusal and its steps in the order of time."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)  # as `document show` has them, no title
    steps: tuple[Step, ...] = ()


def tell(connection: Connection, identifier: str, directory: Directory) -> Story | None:
    """The story of a document or refusal; None if there is none with that id."""
    facts = show_document(connection, identifier, directory)
    if facts is None:
        return None
    row = connection.execute(select(documents.c.rule).where(documents.c.id == identifier)).scalar()
    if row is not None:
        facts["rule"] = row
    facts.pop("evidence")
    facts.get("metadata", {}).pop("title", None)
    steps = [
        *_evidence(connection, identifier),
        *_reminders(connection, identifier),
        *_letters(connection, identifier),
        *_planned(connection, identifier),
        *_other_tries(connection, identifier, facts["message_id"]),
    ]
    # Stable: what happened in one transaction bears one time and keeps its order.
    return Story(identifier, facts, tuple(sorted(steps, key=lambda step: step.at)))


def _evidence(connection: Connection, identifier: str) -> Iterator[Step]:
    records = records_of(connection, identifier)
    numbers = dict(_numbers(connection, [record.id for record in records]))
    for record in records:
        data = json.loads(record.octets)
        yield Step(
            at=record.at,
            kind="evidence",
            event=record.event.value,
            says=_SAYS.get(record.event, record.event.value),
            subject=record.recipient,
            detail=_detail(record, data),
            evidence=record.id,
            sequence=record.sequence,
            number=numbers.get(record.id),
        )


def _numbers(connection: Connection, ids: list[str]) -> Iterator[tuple[str, int | None]]:
    for start in range(0, len(ids), 500):  # SQLite and PostgreSQL limit the parameters
        query = select(log_entries.c.record_id, log_entries.c.number).where(
            log_entries.c.record_id.in_(ids[start : start + 500])
        )
        for row in connection.execute(query):
            yield row.record_id, row.number


def _detail(record: Record, data: dict[str, Any]) -> str:
    """Why, or who did it and how."""
    way, actor = "", data["actor"] or {}
    reasons = []
    for one in data["reasons"]:
        if one["code"] == Reason.WAY:
            way = f"by {one['detail']}"
        else:
            reasons.append(f"{one['code']}: {one['detail']}" if one.get("detail") else one["code"])
    if record.event in _BY_PERSONS:
        who = " ".join(part for part in (actor.get("name"), actor.get("account"), way) if part)
        return "; ".join((who, *reasons))
    if reasons:
        return "; ".join(reasons)
    if record.event is Event.SUBMISSION_ACCEPTANCE and actor.get("account"):
        return f"sent by {actor['account']}"
    return ""


def _reminders(connection: Connection, identifier: str) -> Iterator[Step]:
    for one in book.of_document(connection, identifier):
        number = f" {masked(one.number)}" if one.number else ""
        yield Step(
            at=_last(one),
            kind="reminder",
            event=one.state.value,
            says=_REMINDER[one.state],
            subject=f"{one.name}{number}",
            detail=one.last_error,
            evidence="",
        )


def _last(one: Reminder) -> datetime:
    """When the reminder came to where it is; of one that waits, when it is due."""
    return one.reported_at or one.handed_over_at or one.due_at


def _letters(connection: Connection, identifier: str) -> Iterator[Step]:
    t = make_tables(metadata)
    joined = (
        t.contents.join(t.messages, t.messages.c.content_id == t.contents.c.id)
        .join(t.folders, t.folders.c.id == t.messages.c.folder_id)
        .join(t.owners, t.owners.c.id == t.folders.c.owner_id)
    )
    query = (
        select(t.contents.c.kind, t.contents.c.created, t.folders.c.name, t.owners.c.owner)
        .select_from(joined)
        .where(t.contents.c.key == identifier, t.contents.c.kind.in_(_LETTERS))
    )
    for kind, created, folder, owner in connection.execute(query):
        yield Step(moment(created), "letter", kind, f"{kind} put into {folder} of", owner)


def _planned(connection: Connection, identifier: str) -> Iterator[Step]:
    for row in connection.execute(select(outbox).where(outbox.c.document_id == identifier)):
        tried = f"tried {row.attempts} times: {row.last_error}" if row.last_error else ""
        yield Step(moment(row.due_at), "planned", row.kind, f"{row.kind} is planned", "", tried)


def _other_tries(connection: Connection, identifier: str, message_id: str) -> Iterator[Step]:
    """Refusals of a mail with the same Message-ID, before or after."""
    if not message_id:
        return
    query = select(refusals).where(refusals.c.message_id == message_id, refusals.c.id != identifier)
    for row in connection.execute(query):
        says, detail = "a mail with the same Message-ID was refused, from", f"rule {row.rule}"
        yield Step(moment(row.at), "refusal", row.id, says, row.mail_from, detail)
