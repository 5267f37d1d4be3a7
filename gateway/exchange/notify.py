"""Evidence that a reminder was handed over, or could not be."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.domain.clock import moment
from gateway.domain.event import Event, Reason
from gateway.evidence.record import ContentDigest, Statement
from gateway.exchange import outbox
from gateway.exchange.documents import stated_number
from gateway.exchange.means import Means
from gateway.exchange.tables import deliveries, documents
from mailboxes.prepared import Prepared

_DELIVERY = Prepared(
    select(
        documents.c.mail_from,
        documents.c.received_at,
        documents.c.digest,
        documents.c.size,
        documents.c.number,
        documents.c.opening,
        documents.c.message_id,
        deliveries.c.address,
    )
    .join(deliveries, deliveries.c.document_id == documents.c.id)
    .where(documents.c.id == bindparam("document"), deliveries.c.id == bindparam("delivery"))
    .with_for_update()
)


def record_reminder(
    connection: Connection,
    means: Means,
    *,
    document_id: str,
    delivery_id: int,
    reason: Reason | None,
    detail: str,
    now: datetime,
) -> str:
    """Write ConsignmentNotification, or ConsignmentNotificationFailure if there is a reason.

    The record names the recipient, never the telephone number: it outlives the person's post.
    Returns the record's id.
    """
    row = _DELIVERY.first(connection, {"document": document_id, "delivery": delivery_id})
    if row is None:
        raise LookupError(f"the delivery {delivery_id} of {document_id} is not there any more")
    event = Event.CONSIGNMENT_NOTIFICATION_FAILURE if reason else Event.CONSIGNMENT_NOTIFICATION
    [record] = means.notary.record(
        connection,
        document_id,
        [
            Statement(
                event=event,
                at=now,
                recipient=row.address,
                reasons=((reason, detail),) if reason else (),
                sender=row.mail_from,
                submission_time=moment(row.received_at),
                content=ContentDigest(row.digest.hex(), row.size),
                number=stated_number(row.number, row.opening),
                message_id=row.message_id,
            )
        ],
        now,
    )
    if reason:
        # Nobody was told: the sender must know, who can still telephone.
        outbox.leave(connection, outbox.Kind.RECEIPT, document_id, {"records": [record.id]}, now)
    return record.id
