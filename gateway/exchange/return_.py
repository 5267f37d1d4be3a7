"""退文: the unit gives a document back with a reason, before it has signed for it or after.

The sender learns why, and may send it again: to those who have returned it the same octets are a
new document (see `earlier`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from gateway.domain.clock import milliseconds
from gateway.domain.event import Event, Reason
from gateway.domain.states import Act, Way
from gateway.evidence.record import Actor
from gateway.exchange import cabinet, outbox
from gateway.exchange.held import NotPossible, Problem, hold_delivery
from gateway.exchange.means import Means
from gateway.exchange.tables import deliveries


@dataclass(frozen=True, slots=True)
class Returned:
    """A return that stands."""

    delivery_id: int
    document_id: str
    record_id: str


def return_(
    connection: Connection,
    means: Means,
    delivery_id: int,
    *,
    actor: Actor,
    way: Way,
    reason: str,
    now: datetime,
) -> Returned:
    """Return one delivery. Raises NotPossible without a reason, or where the state forbids it."""
    if not reason:
        raise NotPossible(Problem.NO_REASON, "a return needs a reason")
    held = hold_delivery(connection, delivery_id)
    state, row = held.after(Act.RETURN), held.delivery
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=state.value,
            returned_at=milliseconds(now),
            returned_by=actor.name or actor.account,
            returned_way=way.value,
            returned_reason=reason,
        )
    )
    statement = held.statement(
        Event.CONSIGNMENT_REJECTION, actor, now, (Reason.OTHER, reason), (Reason.WAY, way.value)
    )
    [record] = means.notary.record(connection, row.document_id, [statement], now)
    means.ladder.settled(connection, [delivery_id], now)
    outbox.leave(connection, outbox.Kind.RECEIPT, row.document_id, {"records": [record.id]}, now)
    outbox.hasten(connection, outbox.Kind.SUMMARY, row.document_id, now)
    if way is not Way.FOLDER:
        cabinet.file_away(means.mailboxes, connection, row.owner, row.document_id, Act.RETURN, now)
    return Returned(delivery_id, row.document_id, record.id)
