"""Opened, fetched, or moved by a program: evidence of what happened that changes no state."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.domain.document import DeliveryState
from gateway.domain.event import Event, Reason
from gateway.domain.states import Way
from gateway.evidence.record import Actor
from gateway.evidence.tables import evidence_records
from gateway.exchange import outbox
from gateway.exchange.held import Held, NotPossible, hold_delivery
from gateway.exchange.means import Means
from gateway.exchange.tables import tracked_documents
from mailboxes.prepared import Prepared

_EARLIER = Prepared(
    select(evidence_records.c.octets).where(
        evidence_records.c.document_id == bindparam("document"),
        evidence_records.c.event == bindparam("event"),
        evidence_records.c.recipient == bindparam("recipient"),
    )
)
_TRACKED = Prepared(
    select(tracked_documents).where(tracked_documents.c.document_id == bindparam("document"))
)


def record_opened(
    connection: Connection, means: Means, delivery_id: int, *, actor: Actor, way: Way, now: datetime
) -> bool:
    """An account has opened it, for the first time; whether that is news."""
    held = _held(connection, delivery_id)
    event = Event.CONTENT_ACCESS_TRACKING
    if held is None or actor.account in _accounts(connection, held, event):
        return False
    _record(connection, means, held, event, actor, way, now)
    return True


def record_handed_over(
    connection: Connection, means: Means, delivery_id: int, *, actor: Actor, way: Way, now: datetime
) -> bool:
    """A mail program has all of it, for the first time; whether that is news."""
    held = _held(connection, delivery_id)
    event = Event.CONTENT_HANDOVER
    if held is None or _accounts(connection, held, event):
        return False
    _record(connection, means, held, event, actor, way, now)
    return True


def record_not_counted(
    connection: Connection, means: Means, delivery_id: int, *, actor: Actor, way: Way, now: datetime
) -> bool:
    """A program has moved it where a person signs or returns: once for each account."""
    held = _held(connection, delivery_id)
    event = Event.ACT_NOT_COUNTED
    if held is None or actor.account in _accounts(connection, held, event):
        return False
    statement = held.statement(event, actor, now, (Reason.WAY, way.value))
    means.notary.record(connection, held.document.id, [statement], now)
    return True


def _held(connection: Connection, delivery_id: int) -> Held | None:
    """The delivery, if it is of a class that is signed for and was delivered."""
    try:
        held = hold_delivery(connection, delivery_id)
    except NotPossible:
        return None
    return None if held.delivery.state == DeliveryState.FAILED else held


def _accounts(connection: Connection, held: Held, event: Event) -> set[str]:
    """By whom there is a record of that event for the recipient."""
    values = {
        "document": held.document.id,
        "event": event.value,
        "recipient": held.delivery.address,
    }
    records = (json.loads(octets) for octets in _EARLIER.scalars(connection, values))
    return {record["actor"]["account"] for record in records if record["actor"]}


def _record(
    connection: Connection,
    means: Means,
    held: Held,
    event: Event,
    actor: Actor,
    way: Way,
    now: datetime,
) -> None:
    """The record, and a receipt of it if the sender has asked for read receipts."""
    document_id = held.document.id
    statement = held.statement(event, actor, now, (Reason.WAY, way.value))
    [record] = means.notary.record(connection, document_id, [statement], now)
    if _TRACKED.first(connection, {"document": document_id}) is not None:
        outbox.leave(connection, outbox.Kind.RECEIPT, document_id, {"records": [record.id]}, now)
