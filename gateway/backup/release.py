"""Ends the hold after a restore: shows what would go out, drops reminders, lets the rest go.

Receipts and summaries go into mailboxes here, which came back as they were at the backup: each is
missing there and goes out once. A reminder may have reached its person before the machine was lost;
nobody here can know, so the operator decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, update

from gateway.domain.clock import milliseconds
from gateway.domain.event import Event, Reason
from gateway.errors import CommandError
from gateway.evidence.notary import Notary
from gateway.evidence.record import Actor, Statement
from gateway.exchange.tables import outbox
from gateway.reminders.reminder import ReminderState
from gateway.reminders.tables import reminders
from gateway.store.facts import Fact, Known, forget, recall
from gateway.store.tables import store_identity

_WAITING = (ReminderState.QUEUED, ReminderState.HANDING_OVER, ReminderState.STOPPING)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would go out at once, and what later."""

    outbox: dict[str, int]  # due, by kind
    outbox_later: int
    reminders: int  # due
    reminders_later: int
    oldest: int | None  # due time of the oldest reminder, Unix milliseconds
    dropped: int  # of `reminders` and `reminders_later`: before the time that was asked about


def held(connection: Connection) -> Known:
    """The hold. Raises CommandError if nothing is held."""
    found = recall(connection, Fact.HELD)
    if found is None:
        raise CommandError("nothing is held: the post office works as usual")
    return found


def look(connection: Connection, now: datetime, before: datetime | None = None) -> Waiting:
    """What waits; `before`: reminders due earlier would be dropped."""
    at = milliseconds(now)
    kinds = connection.execute(
        select(outbox.c.kind, func.count()).where(outbox.c.due_at <= at).group_by(outbox.c.kind)
    )
    later = select(func.count()).select_from(outbox).where(outbox.c.due_at > at)
    waits = reminders.c.state.in_(_WAITING)
    counted = connection.execute(
        select(
            func.count().filter(reminders.c.due_at <= at),
            func.count().filter(reminders.c.due_at > at),
            func.min(reminders.c.due_at).filter(reminders.c.due_at <= at),
        ).where(waits)
    ).one()
    dropped = 0
    if before is not None:
        dropped = connection.scalar(select(func.count()).where(_older(before))) or 0
    return Waiting(
        outbox={str(kind): int(number) for kind, number in kinds},
        outbox_later=int(connection.scalar(later) or 0),
        reminders=int(counted[0]),
        reminders_later=int(counted[1]),
        oldest=counted[2],
        dropped=int(dropped),
    )


def release(
    connection: Connection, notary: Notary, *, now: datetime, actor: str, before: datetime | None
) -> Waiting:
    """Let go what is held, once; what was let go. The release is evidence.

    Raises CommandError if nothing is held.
    """
    hold = held(connection)
    found = look(connection, now, before)
    if before is not None:
        connection.execute(
            update(reminders)
            .where(_older(before))
            .values(state=ReminderState.CANCELLED, last_error="dropped after a restore")
        )
    forget(connection, Fact.HELD)
    identity = connection.scalars(select(store_identity.c.identity)).one()
    detail = (
        f"released after the restore from backup {hold.value.get('backup', '')}: "
        f"{sum(found.outbox.values()) + found.outbox_later} letters, "
        f"{found.reminders + found.reminders_later - found.dropped} reminders; "
        f"{found.dropped} reminders dropped"
    )
    statement = Statement(
        event=Event.STORE_RELEASED,
        at=now,
        reasons=((Reason.OTHER, detail),),
        actor=Actor(account=f"operator:{actor}", login="operator"),
    )
    notary.record(connection, identity, [statement], now)
    return found


def _older(before: datetime) -> ColumnElement[bool]:
    return reminders.c.state.in_(_WAITING) & (reminders.c.due_at < milliseconds(before))
