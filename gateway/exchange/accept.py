"""Acceptance: one transaction writes document, deliveries, mailbox rows, evidence and next work.

The blob is on disk before this runs; `250` is said after it has committed. Everything that can be
computed beforehand (views, their structures, the frozen list of recipients) is an argument, so that
only writing is left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select

from gateway.directory.model import Account, OwnerKind, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.clock import milliseconds
from gateway.domain.document import DeliveryState, DocumentState, Opening, SealState
from gateway.domain.event import Event, Reason
from gateway.domain.submission import Accepted, Submission
from gateway.evidence.record import Actor, ContentDigest, ContentPart, Statement
from gateway.exchange import cabinet, outbox
from gateway.exchange.documents import hold
from gateway.exchange.earlier import ENVELOPE_OF, find_resend
from gateway.exchange.hooks import Delivered
from gateway.exchange.means import Means
from gateway.exchange.prefix import ASKS_TRACKING
from gateway.exchange.recipients import Addressee, fingerprint
from gateway.exchange.tables import (
    deliveries,
    document_texts,
    documents,
    envelope_recipients,
    tracked_documents,
    unread_attachments,
)
from gateway.policy.inspection import Inspection
from gateway.policy.signing import Waiting
from gateway.policy.verdict import Verdict
from gateway.seals import custody
from gateway.store.postgres import take_turn
from mailboxes.content import Content
from mailboxes.prepared import Prepared

_INSERT_DOCUMENT = Prepared(insert(documents))
_INSERT_TEXTS = Prepared(insert(document_texts))
_INSERT_UNREAD = Prepared(insert(unread_attachments))
_INSERT_ENVELOPE = Prepared(insert(envelope_recipients))
_INSERT_TRACKED = Prepared(insert(tracked_documents))
_INSERT_DELIVERY = Prepared(insert(deliveries).returning(deliveries.c.id))
_INSERT_DELIVERIES = insert(deliveries).returning(deliveries.c.id, sort_by_parameter_order=True)


@dataclass(frozen=True, slots=True)
class Case:
    """One submission with a verdict that accepts it."""

    document_id: str  # of the first, if this is a resend
    resend: bool
    submission: Submission
    inspection: Inspection
    verdict: Verdict
    directory: Directory
    account: Account
    unit: Unit
    addressees: Sequence[Addressee]
    contents: dict[str, Content]  # by variant, see `views.variant`
    variants: dict[str, str]  # owner key -> variant
    duplicate_of: str  # possible duplicate of that document; empty: none
    now: datetime


class Overtaken(Exception):
    """An identical submission was committed in the meantime: prepare again as its resend."""

    def __init__(self, document_id: str) -> None:
        super().__init__(document_id)
        self.document_id = document_id


def accept(connection: Connection, *, means: Means, case: Case) -> Accepted:
    """Write everything that `250` promises; a resend only adds the recipients it adds.

    Raises Overtaken if another connection was first with the same message.
    """
    document_id = case.document_id
    addressees = list(case.addressees)
    if case.resend:
        hold(connection, document_id)
        addressees = _new_addressees(connection, document_id, addressees)
        if not addressees:
            return Accepted(document_id, repeated=True)
    else:
        submission, message_id = case.submission, case.inspection.message_id
        take_turn(connection, str(submission.sender), message_id, submission.content.sha256)
        first = find_resend(connection, submission, message_id)
        if first:
            raise Overtaken(first)
        _insert_document(connection, means, case)
    envelope = _insert_envelope(connection, document_id, case)
    rows = _consign(connection, means, document_id, addressees, case)
    statements = [_statement(case, Event.SUBMISSION_ACCEPTANCE, address) for address in envelope]
    for addressee in addressees:
        if addressee.owner is None:
            reason = (Reason.UNKNOWN_RECIPIENT, "the recipient has left the directory")
            statements.append(
                _statement(case, Event.CONTENT_CONSIGNMENT_FAILURE, str(addressee.address), reason)
            )
        else:
            statements.append(_statement(case, Event.CONTENT_CONSIGNMENT, str(addressee.address)))
    records = means.notary.record(connection, document_id, statements, case.now)
    if case.verdict.message_class.signed_for and rows:
        means.ladder.delivered(connection, rows, case.directory, case.now)
    payload = {"records": [record.id for record in records]}
    outbox.leave(connection, outbox.Kind.RECEIPT, document_id, payload, case.now)
    _plan_summaries(connection, means, case)
    return Accepted(document_id, repeated=case.resend)


def _insert_document(connection: Connection, means: Means, case: Case) -> None:
    submission, inspection, verdict = case.submission, case.inspection, case.verdict
    metadata, client = inspection.metadata, submission.client
    late = submission.deliver_by
    _INSERT_DOCUMENT.run(
        connection,
        {
            "id": case.document_id,
            "state": DocumentState.ACCEPTED.value,
            "received_at": milliseconds(submission.received_at),
            "account_id": case.account.id,
            "unit_id": case.unit.id,
            "mail_from": str(submission.sender),
            "digest": submission.content.sha256,
            "parts_digest": inspection.parts_digest,
            "size": submission.content.size,
            "message_id": inspection.message_id,
            "message_class": verdict.message_class.value,
            "urgency": metadata.urgency.value,
            "title": metadata.title,
            "number": metadata.number,
            "kind": metadata.kind,
            "warnings": json.dumps(_warnings(case)),
            "seal_state": inspection.seal.state.value,
            "seal_fingerprint": inspection.seal.fingerprint,
            "seal_detail": inspection.seal.detail,
            "opening": inspection.opening.value,
            "rule": verdict.rule,
            "possible_duplicate_of": case.duplicate_of,
            "recipients_digest": fingerprint(submission.recipients),
            "envid": submission.envid,
            "ret": submission.ret,
            "priority": submission.priority,
            "deliver_by": None
            if late is None
            else milliseconds(submission.received_at + timedelta(seconds=late)),
            "deliver_by_mode": submission.deliver_by_mode,
            "receipt_style": inspection.receipt_style,
            "deadline": _deadline(means, case),
            "client": json.dumps(
                {
                    "address": client.address,
                    "helo": client.helo,
                    "tls": client.tls,
                    "login": client.login,
                    "protocol": client.protocol,
                }
            ),
        },
    )
    if inspection.opening is Opening.PLAIN and inspection.texts:
        _INSERT_TEXTS.run_each(
            connection,
            [
                {"document_id": case.document_id, "place": t.place, "ordinal": n, "text": t.text}
                for n, t in enumerate(inspection.texts)
            ],
        )
    if inspection.opening is Opening.PLAIN and inspection.unread:
        _INSERT_UNREAD.run_each(
            connection,
            [
                {
                    "document_id": case.document_id,
                    "ordinal": number,
                    "part": one.part,
                    "name": one.name,
                    "reading": one.reading.value,
                }
                for number, one in enumerate(inspection.unread)
            ],
        )
    if inspection.seal.state in (SealState.VALID, SealState.PARTLY):
        custody.log_use(connection, case.document_id, inspection.seal.fingerprint, now=case.now)
    if not ASKS_TRACKING.isdisjoint(field.name.lower() for field in inspection.structure.fields):
        _INSERT_TRACKED.run(connection, {"document_id": case.document_id})
    sender = case.directory.owner_of(submission.sender)
    if sender is not None:
        folder = cabinet.sent(means.mailboxes, connection, sender, case.now)
        content = means.mailboxes.add_content(connection, case.contents["sent"], case.now)
        means.mailboxes.append(connection, [folder], content, flags=["\\Seen"], now=case.now)


def _warnings(case: Case) -> list[str]:
    """Codes of what the sender should know, each once, however many noticed it."""
    noticed = (*case.inspection.metadata.warnings, *case.submission.warnings)
    twice = ("possible-duplicate",) if case.duplicate_of else ()
    return list(dict.fromkeys((*noticed, *case.verdict.warnings, *twice)))


def _deadline(means: Means, case: Case) -> int | None:
    minutes = means.deadline_minutes.get(case.inspection.metadata.urgency.value)
    if minutes is None or not case.verdict.message_class.signed_for:
        return None
    return milliseconds(case.now + timedelta(minutes=minutes))


def _insert_envelope(connection: Connection, document_id: str, case: Case) -> list[str]:
    """Write the envelope recipients that the document did not have; returns them."""
    known: set[str] = set()
    if case.resend:
        known.update(ENVELOPE_OF.scalars(connection, {"document": document_id}))
    rows: dict[str, dict[str, object]] = {}
    for recipient in case.submission.recipients:
        address = str(recipient.address)
        if address in known or address in rows:
            continue
        target = case.directory.resolve(recipient.address)
        rows[address] = {
            "document_id": document_id,
            "address": address,
            "notify": ",".join(sorted(recipient.notify)),
            "orcpt": recipient.orcpt,
            "is_group": target is not None and target.group is not None,
        }
    if rows:
        _INSERT_ENVELOPE.run_each(connection, list(rows.values()))
    return list(rows)


def _new_addressees(
    connection: Connection, document_id: str, addressees: Sequence[Addressee]
) -> list[Addressee]:
    known = set(
        connection.execute(
            select(deliveries.c.owner).where(deliveries.c.document_id == document_id)
        ).scalars()
    )
    return [a for a in addressees if _owner_key(a) not in known]


def _owner_key(addressee: Addressee) -> str:
    return addressee.owner.key if addressee.owner else f"gone:{addressee.address}"


def _consign(
    connection: Connection,
    means: Means,
    document_id: str,
    addressees: Sequence[Addressee],
    case: Case,
) -> list[Delivered]:
    """Put the document into the mailboxes and write the deliveries."""
    present = [a for a in addressees if a.owner is not None]
    owners = [a.owner for a in present if a.owner is not None]
    waits = means.signing.now.wait_in is Waiting.TO_SIGN and case.verdict.message_class.signed_for
    places = cabinet.to_sign if waits else cabinet.inboxes
    folders = places(means.mailboxes, connection, owners, case.now)
    for variant, content in case.contents.items():
        wanted = [folders[o.key] for o in owners if case.variants[o.key] == variant]
        if wanted:
            content_id = means.mailboxes.add_content(connection, content, case.now)
            means.mailboxes.append(connection, wanted, content_id, now=case.now)
    rows = [
        {
            "document_id": document_id,
            "owner": _owner_key(a),
            "unit_id": a.owner.unit_id if a.owner else None,
            "address": str(a.address),
            "via": str(a.via),
            "role": a.role,
            "state": (DeliveryState.CONSIGNED if a.owner else DeliveryState.FAILED).value,
            "consigned_at": milliseconds(case.now) if a.owner else None,
            "deadline": _deadline(means, case),
        }
        for a in addressees
    ]
    if len(rows) == 1:
        inserted = _INSERT_DELIVERY.scalars(connection, rows[0])
    else:
        inserted = list(connection.execute(_INSERT_DELIVERIES, rows).scalars())
    ids = dict(zip((row["owner"] for row in rows), inserted, strict=True))
    metadata = case.inspection.metadata
    return [
        Delivered(
            delivery_id=ids[owner.key],
            document_id=document_id,
            unit_id=owner.unit_id,
            owner_key=owner.key,
            message_class=case.verdict.message_class,
            urgency=metadata.urgency,
            title=metadata.title,
            number=metadata.number,
            sender_names=(("zh-CN", case.unit.name), ("en", case.unit.name_en or case.unit.name)),
        )
        for owner in owners
        if owner.kind is OwnerKind.UNIT and owner.unit_id is not None
    ]


def _statement(case: Case, event: Event, recipient: str, *reasons: tuple[Reason, str]) -> Statement:
    submission, inspection = case.submission, case.inspection
    plain = inspection.opening is Opening.PLAIN
    # The parts stand once, in the acceptance: a thousand consignments need only the whole digest.
    with_parts = plain and event is Event.SUBMISSION_ACCEPTANCE
    parts = tuple(ContentPart(p.part, p.media_type, p.size, p.sha256) for p in inspection.parts)
    return Statement(
        event=event,
        at=case.now,
        recipient=recipient,
        reasons=tuple(reasons),
        sender=str(submission.sender),
        submission_time=submission.received_at,
        content=ContentDigest(
            submission.content.sha256.hex(), submission.content.size, parts if with_parts else ()
        ),
        number=inspection.metadata.number if plain else "",
        message_id=inspection.message_id,
        actor=Actor(
            account=case.account.login,
            unit=case.unit.code,
            login=submission.client.login,
            address=submission.client.address,
        ),
    )


def _plan_summaries(connection: Connection, means: Means, case: Case) -> None:
    """The summary is due after some minutes and at the deadline; the last sign-for hastens it.

    Of a resend's new recipients the one that still waits will tell; else they get one more.
    """
    if not case.verdict.message_class.signed_for:
        return
    if case.resend and outbox.waits(connection, outbox.Kind.SUMMARY, case.document_id):
        return
    due = []
    if means.summary_minutes:
        due.append(case.now + timedelta(minutes=means.summary_minutes))
    deadline = means.deadline_minutes.get(case.inspection.metadata.urgency.value)
    if deadline is not None and not case.resend:
        due.append(case.now + timedelta(minutes=deadline))
    outbox.leave(connection, outbox.Kind.SUMMARY, case.document_id, {}, *due)
