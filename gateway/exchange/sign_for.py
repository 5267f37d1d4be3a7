"""签收: a named person of the unit signs for a delivery; its reminders end in the same commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from gateway.domain.clock import milliseconds
from gateway.domain.event import Event, Reason
from gateway.domain.states import Act, Way
from gateway.evidence.record import Actor
from gateway.exchange import cabinet, outbox
from gateway.exchange.held import hold_delivery, still_waiting
from gateway.exchange.means import Means
from gateway.exchange.tables import deliveries


@dataclass(frozen=True, slots=True)
class Signed:
    """A sign-for that stands. `complete` when no recipient is missing any more."""

    delivery_id: int
    document_id: str
    record_id: str
    complete: bool


def sign_for(
    connection: Connection, means: Means, delivery_id: int, *, actor: Actor, way: Way, now: datetime
) -> Signed:
    """Sign for one delivery. Raises NotPossible if there is none, or its state does not allow it.

    What waits in 待签收 goes into 已签收, unless the person has moved it there.
    """
    held = hold_delivery(connection, delivery_id)
    state, row = held.after(Act.SIGN_FOR), held.delivery
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=state.value,
            signed_at=milliseconds(now),
            signed_by=actor.name or actor.account,
            signed_way=way.value,
        )
    )
    statement = held.statement(Event.CONSIGNMENT_ACCEPTANCE, actor, now, (Reason.WAY, way.value))
    [record] = means.notary.record(connection, row.document_id, [statement], now)
    means.ladder.settled(connection, [delivery_id], now)
    complete = not still_waiting(connection, row.document_id)
    outbox.leave(connection, outbox.Kind.RECEIPT, row.document_id, {"records": [record.id]}, now)
    if complete:
        outbox.hasten(connection, outbox.Kind.SUMMARY, row.document_id, now)
    if way is not Way.FOLDER:
        cabinet.file_away(
            means.mailboxes, connection, row.owner, row.document_id, Act.SIGN_FOR, now
        )
    return Signed(delivery_id, row.document_id, record.id, complete)
