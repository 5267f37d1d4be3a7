"""What was accepted earlier: resends, which get the first document's id, and likely duplicates.

To recipients that have all returned it the same message is no resend: its sender sends it again.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, select

from gateway.domain.clock import milliseconds
from gateway.domain.document import DeliveryState
from gateway.domain.submission import Submission
from gateway.exchange.recipients import fingerprint
from gateway.exchange.tables import deliveries, documents, envelope_recipients
from mailboxes.prepared import Prepared

RESEND_DAYS = 7
DUPLICATE_HOURS = 24

_RESEND = Prepared(
    select(documents.c.id)
    .where(
        documents.c.mail_from == bindparam("sender"),
        documents.c.message_id == bindparam("message_id"),
        documents.c.digest == bindparam("digest"),
        documents.c.received_at > bindparam("since"),
    )
    .order_by(documents.c.id)
)
_SAME_OCTETS = Prepared(
    select(documents.c.id)
    .where(
        documents.c.mail_from == bindparam("sender"),
        documents.c.digest == bindparam("digest"),
        documents.c.received_at > bindparam("since"),
    )
    .order_by(documents.c.id)
)
_DUPLICATE = Prepared(
    select(documents.c.id)
    .where(
        documents.c.mail_from == bindparam("sender"),
        documents.c.parts_digest == bindparam("parts_digest"),
        documents.c.recipients_digest == bindparam("recipients"),
        documents.c.received_at > bindparam("since"),
    )
    .order_by(documents.c.id)
    .limit(1)
)
_FAILED_OF = Prepared(
    select(deliveries.c.id)
    .where(
        deliveries.c.document_id == bindparam("document"),
        deliveries.c.state == DeliveryState.FAILED.value,
    )
    .limit(1)
)
_RETURNED_OF = Prepared(
    select(deliveries.c.address).where(
        deliveries.c.document_id == bindparam("document"),
        deliveries.c.state == DeliveryState.RETURNED.value,
    )
)
ENVELOPE_OF = Prepared(
    select(envelope_recipients.c.address).where(
        envelope_recipients.c.document_id == bindparam("document")
    )
)


def find_resend(connection: Connection, submission: Submission, message_id: str) -> str:
    """The id of the document that this is a resend of (same sender, Message-ID and digest within
    7 days), else empty."""
    since = submission.received_at - timedelta(days=RESEND_DAYS)
    values = {
        "sender": str(submission.sender),
        "message_id": message_id,
        "digest": submission.content.sha256,
        "since": milliseconds(since),
    }
    for document_id in _RESEND.scalars(connection, values):
        if not _was_returned(connection, document_id, submission):
            return str(document_id)
    return ""


def find_whole_resend(connection: Connection, submission: Submission) -> str:
    """The id of the document of which this is a resend that adds no recipient, else empty.

    Same sender and octets, so the same Message-ID. Asked before the policy: rules, seals and
    directory may have changed since, and what was accepted stays accepted. A document that did not
    reach everybody is tried again.
    """
    since = submission.received_at - timedelta(days=RESEND_DAYS)
    values = {
        "sender": str(submission.sender),
        "digest": submission.content.sha256,
        "since": milliseconds(since),
    }
    offered = {str(recipient.address) for recipient in submission.recipients}
    for document_id in _SAME_OCTETS.scalars(connection, values):
        mine = {"document": document_id}
        whole = offered <= set(ENVELOPE_OF.scalars(connection, mine))
        if whole and not _was_returned(connection, document_id, submission):
            failed = _FAILED_OF.first(connection, mine)
            return "" if failed else str(document_id)
    return ""


def _was_returned(connection: Connection, document_id: str, submission: Submission) -> bool:
    """Whether all to whom it is offered now have returned that document."""
    returned = set(_RETURNED_OF.scalars(connection, {"document": document_id}))
    return bool(returned) and {str(one.address) for one in submission.recipients} <= returned


def find_duplicate(connection: Connection, submission: Submission, parts_digest: str) -> str:
    """The id of a document with the same sender, recipients and decoded parts within a day."""
    since = submission.received_at - timedelta(hours=DUPLICATE_HOURS)
    values = {
        "sender": str(submission.sender),
        "parts_digest": parts_digest,
        "recipients": fingerprint(submission.recipients),
        "since": milliseconds(since),
    }
    return _DUPLICATE.scalar(connection, values) or ""
