"""The verbs on rows of reminders; each runs inside the caller's transaction and may run twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.domain.clock import milliseconds, moment
from gateway.domain.document import Urgency
from gateway.domain.event import Event, Reason
from gateway.exchange.documents import hold
from gateway.reminders.notifier import Fate, HandedOver, Report
from gateway.reminders.numbers import masked
from gateway.reminders.reminder import TRANSITIONS, Reminder, ReminderOutcome, ReminderState
from gateway.reminders.tables import reminders
from mailboxes.prepared import Prepared

Record = Callable[[Connection, Sequence[ReminderOutcome]], None]


@dataclass(frozen=True, slots=True)
class Scribe:
    """Who writes an outcome: through which carrier, when, and how it becomes evidence."""

    notifier: str
    at: datetime
    record: Record


_ADD = Prepared(insert(reminders))
_SOME = Prepared(
    select(reminders).where(reminders.c.id.in_(bindparam("some", expanding=True))), some="some"
)
_STATES = Prepared(
    select(reminders.c.id, reminders.c.state).where(
        reminders.c.id.in_(bindparam("some", expanding=True))
    ),
    some="some",
)

REPORT_DAYS = 3
"""Days after which no report of a carrier is expected any more (its validity has ended)."""
_LEASED = (ReminderState.HANDING_OVER, ReminderState.STOPPING)
_IS_DUE = or_(
    and_(reminders.c.state == ReminderState.QUEUED, reminders.c.due_at <= bindparam("now")),
    and_(reminders.c.state.in_(_LEASED), reminders.c.lease_until <= bindparam("now")),
)
_ANY_DUE = Prepared(select(reminders.c.id).where(_IS_DUE).limit(1))
_DUE = Prepared(
    select(reminders)
    .where(_IS_DUE)
    .order_by(reminders.c.due_at, reminders.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_TAKE = Prepared(
    update(reminders)
    .where(reminders.c.id == bindparam("reminder"))
    .values(state=bindparam("after"), attempts=bindparam("tries"), lease_until=bindparam("until"))
)
_WAITING = Prepared(
    select(reminders.c.id)
    .where(
        reminders.c.state == ReminderState.HANDED_OVER,
        reminders.c.notifier == bindparam("carrier"),
        reminders.c.handed_over_at >= bindparam("since"),
    )
    .order_by(reminders.c.handed_over_at.desc(), reminders.c.id)
    .limit(bindparam("most", type_=Integer))
)


def add(connection: Connection, planned: Sequence[Reminder]) -> None:
    """Keep new reminders."""
    if planned:
        _ADD.run_each(connection, [_values(one) for one in planned])


def settle(connection: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
    """Cancel what is queued for these deliveries, and stop what is being handed over.

    What was tried before may be with the carrier although the try seemed to fail, so it is not
    cancelled but stopping: the worker asks the carrier first.
    """
    queued = reminders.c.state == ReminderState.QUEUED
    for start in range(0, len(delivery_ids), 500):
        mine = reminders.c.delivery_id.in_(delivery_ids[start : start + 500])
        connection.execute(
            update(reminders)
            .where(mine, queued, reminders.c.attempts == 0)
            .values(state=ReminderState.CANCELLED)
        )
        connection.execute(
            update(reminders)
            .where(mine, queued)
            .values(state=ReminderState.STOPPING, lease_until=milliseconds(now))
        )
        connection.execute(
            update(reminders)
            .where(mine, reminders.c.state == ReminderState.HANDING_OVER)
            .values(state=ReminderState.STOPPING)
        )


def lease(connection: Connection, now: datetime, *, seconds: float, limit: int) -> list[Reminder]:
    """Take what is due, and what a crashed worker has left when its lease is over.

    The rows are the caller's until `seconds` from now; each take counts as an attempt.
    """
    rows = _DUE.all(connection, {"now": milliseconds(now), "most": limit})
    until = milliseconds(now + timedelta(seconds=seconds))
    taken = []
    for row in rows:
        state = ReminderState(row.state)
        if state is ReminderState.QUEUED:
            state = ReminderState.HANDING_OVER
        taken.append(_reminder(row, state=state, attempts=row.attempts + 1))
    _TAKE.run_each(
        connection,
        [
            {"reminder": one.id, "after": one.state, "tries": one.attempts, "until": until}
            for one in taken
        ],
    )
    return taken


def has_due(connection: Connection, now: datetime) -> bool:
    """Whether `lease` would find something; a cheap look that takes no write lock."""
    return _ANY_DUE.first(connection, {"now": milliseconds(now)}) is not None


def states_of(connection: Connection, ids: Sequence[str]) -> dict[str, ReminderState]:
    """The states of these reminders as they stand now; those that are gone are left out."""
    rows = _STATES.all(connection, {"some": ids}) if ids else ()
    return {row.id: ReminderState(row.state) for row in rows}


def hand_over(
    connection: Connection, handed: Sequence[tuple[Reminder, HandedOver]], scribe: Scribe
) -> list[bool]:
    """The carrier has them: states and evidence together. False where that was already known."""
    _hold_all(connection, [one.document_id for one, _ in handed])
    entered = [
        _change(
            connection,
            one.id,
            ReminderState.HANDED_OVER,
            handed_over_at=milliseconds(scribe.at),
            lease_until=None,
            notifier=scribe.notifier,
            reference=answer.reference,
            last_error="",
        )
        for one, answer in handed
    ]
    news = zip(handed, entered, strict=True)
    outcomes = [_outcome(one, scribe, answer.reference) for (one, answer), new in news if new]
    if outcomes:
        scribe.record(connection, outcomes)
    return entered


def fail(
    connection: Connection, one: Reminder, reason: Reason, detail: str, scribe: Scribe
) -> bool:
    """It will not be sent: state and evidence together. False if that was already known."""
    hold(connection, one.document_id)
    if not _change(
        connection,
        one.id,
        ReminderState.FAILED,
        lease_until=None,
        notifier=scribe.notifier,
        last_error=detail,
    ):
        return False
    scribe.record(connection, [_outcome(one, scribe, one.reference, reason, detail)])
    return True


def put_back(connection: Connection, one: Reminder, due: datetime, error: str) -> bool:
    """The carrier did not take it: wait until `due`. False if it was settled meanwhile; then it
    stays leased, and is found or cancelled when the lease is over."""
    return _change(
        connection,
        one.id,
        ReminderState.QUEUED,
        due_at=milliseconds(due),
        lease_until=None,
        last_error=error,
    )


def cancel(connection: Connection, one: Reminder) -> bool:
    """It was settled while leased, and the carrier does not have it."""
    return _change(connection, one.id, ReminderState.CANCELLED, lease_until=None)


def waiting(connection: Connection, notifier: str, now: datetime, limit: int) -> list[str]:
    """Ids that this carrier has and has not reported on, the newest first."""
    since = milliseconds(now - timedelta(days=REPORT_DAYS))
    return _WAITING.scalars(connection, {"carrier": notifier, "since": since, "most": limit})


def report(connection: Connection, reports: Sequence[Report], scribe: Scribe) -> list[Report]:
    """Keep what the carrier says; a failure becomes evidence. Those that were news."""
    news: list[Report] = []
    failed: list[ReminderOutcome] = []
    ids = [one.reminder_id for one in reports]
    rows = {row.id: row for row in _SOME.all(connection, {"some": ids})} if ids else {}
    _hold_all(connection, [row.document_id for row in rows.values()])
    for one in reports:
        row = rows.get(one.reminder_id)
        if row is None:
            continue
        after = ReminderState.SENT if one.fate is Fate.SENT else ReminderState.FAILED
        if not _change(
            connection,
            one.reminder_id,
            after,
            reported_at=milliseconds(scribe.at),
            last_error=one.detail,
        ):
            continue
        news.append(one)
        if one.fate is Fate.FAILED:
            detail = one.detail or "the carrier could not send the message"
            reason = Reason.RECIPIENT_UNREACHABLE
            failed.append(_outcome(_reminder(row), scribe, row.reference, reason, detail))
    if failed:
        scribe.record(connection, failed)
    return news


def of_document(connection: Connection, document_id: str) -> list[Reminder]:
    """All reminders of a document, by rung and delivery."""
    rows = connection.execute(
        select(reminders)
        .where(reminders.c.document_id == document_id)
        .order_by(reminders.c.step, reminders.c.delivery_id)
    )
    return [_reminder(row) for row in rows]


def unreported(connection: Connection, notifier: str, before: datetime) -> int:
    """How many reminders this carrier has had since before then without a word on them."""
    value = connection.scalar(
        select(func.count())
        .select_from(reminders)
        .where(
            reminders.c.state == ReminderState.HANDED_OVER,
            reminders.c.notifier == notifier,
            reminders.c.handed_over_at < milliseconds(before),
            reminders.c.handed_over_at >= milliseconds(before - timedelta(days=REPORT_DAYS)),
        )
    )
    return int(value or 0)


def count(connection: Connection) -> dict[ReminderState, int]:
    """How many reminders are in each state."""
    rows = connection.execute(select(reminders.c.state, func.count()).group_by(reminders.c.state))
    found = {ReminderState(state): number for state, number in rows}
    return {state: found.get(state, 0) for state in ReminderState}


def _hold_all(connection: Connection, document_ids: Iterable[str]) -> None:
    for document_id in sorted(
        set(document_ids)
    ):  # in one order, so that no two wait for each other
        hold(connection, document_id)


def _change(
    connection: Connection, reminder_id: str, after: ReminderState, **values: object
) -> bool:
    """Change the state if the table of transitions allows it."""
    statement = _changing(after, tuple(values))
    return statement.run(connection, {"reminder": reminder_id, **values}) == 1


@cache
def _changing(after: ReminderState, columns: tuple[str, ...]) -> Prepared:
    allowed = [before for before, targets in TRANSITIONS.items() if after in targets]
    return Prepared(
        update(reminders)
        .where(reminders.c.id == bindparam("reminder"), reminders.c.state.in_(allowed))
        .values(state=after, **{name: bindparam(name) for name in columns})
    )


def _outcome(
    one: Reminder,
    scribe: Scribe,
    reference: str,
    reason: Reason | None = None,
    detail: str = "",
) -> ReminderOutcome:
    return ReminderOutcome(
        reminder_id=one.id,
        document_id=one.document_id,
        delivery_id=one.delivery_id,
        unit_id=one.unit_id,
        event=Event.CONSIGNMENT_NOTIFICATION
        if reason is None
        else Event.CONSIGNMENT_NOTIFICATION_FAILURE,
        name=one.name,
        number=masked(one.number) if one.number else "",
        notifier=scribe.notifier,
        reference=reference,
        at=scribe.at,
        reason=reason,
        detail=detail,
    )


_TIMES = ("due_at", "handed_over_at", "reported_at")
_FIELDS = tuple(field.name for field in fields(Reminder))


def _values(one: Reminder) -> dict[str, object]:
    values: dict[str, Any] = {name: getattr(one, name) for name in _FIELDS}
    for name in _TIMES:
        values[name] = None if values[name] is None else milliseconds(values[name])
    return {**values, "lease_until": None}


def _reminder(row: Row[Any], **changes: object) -> Reminder:
    values = {**row._asdict(), **changes}
    del values["lease_until"]
    for name in _TIMES:
        values[name] = None if values[name] is None else moment(values[name])
    values["state"] = ReminderState(values["state"])
    values["urgency"] = Urgency(values["urgency"])
    return Reminder(**values)
