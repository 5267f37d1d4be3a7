"""签收: a named person of the unit signs for a delivery; its reminders end in the same commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from gateway.domain.clock import milliseconds, moment
from gateway.domain.document import DeliveryState, MessageClass
from gateway.domain.event import Event
from gateway.domain.states import Act, NotAllowed, after
from gateway.errors import CommandError
from gateway.evidence.record import Actor, ContentDigest, Statement
from gateway.exchange import outbox
from gateway.exchange.documents import stated_number
from gateway.exchange.means import Means
from gateway.exchange.tables import deliveries, documents


@dataclass(frozen=True, slots=True)
class Signed:
    """A sign-for that stands. `complete` when no recipient is missing any more."""

    delivery_id: int
    document_id: str
    record_id: str
    complete: bool


def sign_for(
    connection: Connection, means: Means, delivery_id: int, *, actor: Actor, way: str, now: datetime
) -> Signed:
    """Sign for one delivery. `way` says how: operator, folder, read-receipt, reply.

    Raises CommandError if there is no such delivery or its state does not allow it.
    """
    mine = select(deliveries.c.document_id).where(deliveries.c.id == delivery_id)
    document = connection.execute(
        select(documents).where(documents.c.id == mine.scalar_subquery()).with_for_update()
    ).first()
    if document is None:
        raise CommandError(f"there is no delivery {delivery_id}; see `yizhan document show ID`")
    if not MessageClass(document.message_class).signed_for:
        raise CommandError(f"{document.id} is plain mail, for which nobody signs")
    row = connection.execute(
        select(deliveries).where(deliveries.c.id == delivery_id).with_for_update()
    ).one()
    try:
        state = after(DeliveryState(row.state), Act.SIGN_FOR)
    except NotAllowed as error:
        raise CommandError(
            f"delivery {delivery_id} cannot be signed for: it is {row.state}"
            + (f" (by {row.signed_by})" if row.signed_by else "")
        ) from error
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            state=state.value,
            signed_at=milliseconds(now),
            signed_by=actor.name or actor.account,
            signed_way=way,
        )
    )
    [record] = means.notary.record(
        connection,
        row.document_id,
        [
            Statement(
                event=Event.CONSIGNMENT_ACCEPTANCE,
                at=now,
                recipient=row.address,
                sender=document.mail_from,
                submission_time=moment(document.received_at),
                content=ContentDigest(document.digest.hex(), document.size),
                number=stated_number(document.number, document.opening),
                message_id=document.message_id,
                actor=actor,
            )
        ],
        now,
    )
    means.ladder.settled(connection, [delivery_id], now)
    complete = not _unsigned(connection, row.document_id)
    outbox.leave(connection, outbox.Kind.RECEIPT, row.document_id, {"records": [record.id]}, now)
    if complete:
        outbox.hasten(connection, outbox.Kind.SUMMARY, row.document_id, now)
    return Signed(delivery_id, row.document_id, record.id, complete)


def _unsigned(connection: Connection, document_id: str) -> int:
    waiting = select(func.count()).where(
        deliveries.c.document_id == document_id,
        deliveries.c.state == DeliveryState.CONSIGNED.value,
    )
    return connection.execute(waiting).scalar_one()
