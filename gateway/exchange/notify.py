"""Evidence that reminders were handed over, or could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from gateway.domain.clock import moment
from gateway.domain.event import Event, Reason
from gateway.evidence.record import ContentDigest, Statement
from gateway.exchange import outbox
from gateway.exchange.documents import stated_number
from gateway.exchange.means import Means
from gateway.exchange.tables import deliveries, documents
from mailboxes.prepared import Prepared

_DELIVERIES = Prepared(
    select(
        documents.c.mail_from,
        documents.c.received_at,
        documents.c.digest,
        documents.c.size,
        documents.c.number,
        documents.c.opening,
        documents.c.message_id,
        deliveries.c.id,
        deliveries.c.address,
    )
    .join(deliveries, deliveries.c.document_id == documents.c.id)
    .where(
        documents.c.id == bindparam("document"),
        deliveries.c.id.in_(bindparam("some", expanding=True)),
    )
    .with_for_update(),
    some="some",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one reminder of a delivery: handed over or, with a reason, not."""

    delivery_id: int
    reason: Reason | None = None
    detail: str = ""


def record_reminders(
    connection: Connection,
    means: Means,
    document_id: str,
    told: Sequence[Told],
    now: datetime,
) -> list[str]:
    """Write a ConsignmentNotification for each, or its failure if there is a reason.

    The records name the recipient, never the telephone number: they outlive the person's post.
    Returns their ids. Raises LookupError for a delivery that is not the document's.
    """
    wanted = sorted({one.delivery_id for one in told})
    rows = {
        row.id: row
        for start in range(0, len(wanted), 500)
        for row in _DELIVERIES.all(
            connection, {"document": document_id, "some": wanted[start : start + 500]}
        )
    }
    for delivery_id in wanted:
        if delivery_id not in rows:
            raise LookupError(f"the delivery {delivery_id} of {document_id} is not there any more")
    records = means.notary.record(
        connection, document_id, [_statement(rows[one.delivery_id], one, now) for one in told], now
    )
    failed = [record.id for record, one in zip(records, told, strict=True) if one.reason]
    if failed:
        # Nobody was told: the sender must know, who can still telephone.
        outbox.leave(connection, outbox.Kind.RECEIPT, document_id, {"records": failed}, now)
    return [record.id for record in records]


def _statement(row: Any, told: Told, now: datetime) -> Statement:
    failure = Event.CONSIGNMENT_NOTIFICATION_FAILURE
    return Statement(
        event=failure if told.reason else Event.CONSIGNMENT_NOTIFICATION,
        at=now,
        recipient=row.address,
        reasons=((told.reason, told.detail),) if told.reason else (),
        sender=row.mail_from,
        submission_time=moment(row.received_at),
        content=ContentDigest(row.digest.hex(), row.size),
        number=stated_number(row.number, row.opening),
        message_id=row.message_id,
    )
