"""What waits, what came today, and what the office remembers: figures that cost the same with a
million documents as with a hundred, since each is asked of an index that holds little else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal_column, select

from gateway.delivery.backlog import measure
from gateway.directory.tables import units
from gateway.domain.clock import milliseconds, moment
from gateway.domain.document import MessageClass
from gateway.domain.ids import new_id
from gateway.evidence.tables import log_entries
from gateway.exchange.tables import deliveries, documents, outbox, refusals
from gateway.reminders.reminder import ReminderState
from gateway.reminders.tables import reminders

_NAMED = 5  # units at most, on one line

# As the partial index has it, word by word: with a parameter it would not be used.
_OPEN = and_(
    deliveries.c.state == literal_column("'consigned'"), deliveries.c.deadline.is_not(None)
)
_WAITING = (ReminderState.QUEUED, ReminderState.HANDING_OVER, ReminderState.STOPPING)


@dataclass(frozen=True, slots=True)
class Oldest:
    """The document that has waited longest for a signature."""

    id: str
    number: str  # 文号, or empty
    urgency: str
    received: datetime
    deadline: datetime
    owners: tuple[str, ...]  # some of the mailboxes that have not signed: unit:water
    missing: int  # how many have not


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What is delivered, is to be signed for, and is not."""

    deliveries: int = 0
    documents: int = 0
    overdue: int = 0  # deliveries whose deadline has passed
    overdue_at: Mapping[str, int] | None = None  # by code of the unit, the most first
    oldest: Oldest | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """What is still to go out."""

    letters: int  # receipts, summaries and alerts that are due, or were tried in vain
    failing: int  # of these: tried in vain for long
    planned: int  # summaries whose time has not come
    reminders: int
    reminders_failed: int  # today
    records: int  # evidence that no checkpoint covers yet


def count_unsigned(connection: Connection, now: datetime) -> Unsigned:
    """What is open, and the oldest of it."""
    row = connection.execute(open_query(now)).one()
    if not row[0]:
        return Unsigned()
    return Unsigned(
        row[0], row[1], row[2], _overdue_at(connection, now), _oldest(connection, row[3])
    )


def open_query(now: datetime) -> Any:
    """Deliveries, documents, deliveries that are overdue, the oldest document."""
    late = deliveries.c.deadline < milliseconds(now)
    return select(
        func.count(),
        func.count(deliveries.c.document_id.distinct()),
        func.count().filter(late),
        func.min(deliveries.c.document_id),
    ).where(_OPEN)


def overdue_query(now: datetime) -> Select[Any]:
    """Units that have let deadlines pass, and how many."""
    number = func.count()
    return (
        select(units.c.code, number)
        .select_from(deliveries.join(units, units.c.id == deliveries.c.unit_id))
        .where(_OPEN, deliveries.c.deadline < milliseconds(now))
        .group_by(units.c.code)
        .order_by(number.desc(), units.c.code)
        .limit(_NAMED)
    )


def _overdue_at(connection: Connection, now: datetime) -> Mapping[str, int]:
    return {row.code: row[1] for row in connection.execute(overdue_query(now))}


def _oldest(connection: Connection, document_id: str) -> Oldest | None:
    row = connection.execute(select(documents).where(documents.c.id == document_id)).first()
    mine = (deliveries.c.document_id == document_id, _OPEN)
    missing = connection.scalar(select(func.count()).select_from(deliveries).where(*mine)) or 0
    found = connection.scalars(select(deliveries.c.owner).where(*mine).limit(_NAMED))
    if row is None or row.deadline is None:
        return None
    return Oldest(
        id=row.id,
        number=row.number,
        urgency=row.urgency,
        received=moment(row.received_at),
        deadline=moment(row.deadline),
        owners=tuple(sorted(found)),
        missing=missing,
    )


def count_queue(connection: Connection, now: datetime, today: datetime) -> Queue:
    """What waits to go out; `today` is the moment at which the day began."""
    backlog = measure(connection, now)
    later = select(func.count()).where(
        outbox.c.due_at > milliseconds(now), outbox.c.failing_since.is_(None)
    )
    waiting, failed = (connection.scalar(query) or 0 for query in reminder_queries(today))
    return Queue(
        letters=backlog.waiting,
        failing=backlog.stubborn,
        planned=connection.scalar(later) or 0,
        reminders=waiting,
        reminders_failed=failed,
        records=connection.scalar(unsealed_query()) or 0,
    )


def reminder_queries(today: datetime) -> tuple[Select[Any], Select[Any]]:
    """How many reminders wait, and how many of today's have failed."""
    state, due = reminders.c.state, reminders.c.due_at
    return (
        select(func.count()).select_from(reminders).where(state.in_(_WAITING)),
        select(func.count())
        .select_from(reminders)
        .where(state == ReminderState.FAILED, due >= milliseconds(today)),
    )


def unsealed_query() -> Select[Any]:
    """How many records have no number in the log."""
    return select(func.count()).select_from(log_entries).where(log_entries.c.number.is_(None))


def count_today(connection: Connection, today: datetime) -> dict[str, int]:
    """Accepted since the day began, by class, and `refused`."""
    accepted, refused = today_queries(today)
    found = {row[0]: row[1] for row in connection.execute(accepted)}
    counts = {one.value: found.get(one.value, 0) for one in MessageClass}
    return {**counts, "refused": connection.scalar(refused) or 0}


def today_queries(today: datetime) -> tuple[Select[Any], Select[Any]]:
    """Ids begin with their time, so a day is a range of the primary key."""

    def since(column: ColumnElement[str]) -> ColumnElement[bool]:
        return column >= new_id(milliseconds(today), bytes(10))

    accepted = (
        select(documents.c.message_class, func.count())
        .where(since(documents.c.id))
        .group_by(documents.c.message_class)
    )
    return accepted, select(func.count()).select_from(refusals).where(since(refusals.c.id))
