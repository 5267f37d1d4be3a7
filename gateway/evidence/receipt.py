"""A receipt (回执) is the mail that carries records to a person, signed by the office.

What programs read is made from the records, and what people read is made from that: a receipt can
say nothing that no record says. Its structure is in `docs/evidence.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from itertools import product

from gateway.domain.event import Event, Reason
from gateway.evidence.bundle import (
    DIGESTS_NAME,
    PROOF_NAME,
    RECORDS_NAME,
    proof_file,
    records_file,
)
from gateway.evidence.checkpoint import Checkpoint
from gateway.evidence.keys import KeyCertificate
from gateway.evidence.letter import (
    Envelope,
    file_part,
    multipart,
    one_line,
    protected,
    signed_letter,
    text_part,
)
from gateway.evidence.log import Proof
from gateway.evidence.reading import Reading, read_record
from gateway.evidence.record import Record, canonical
from gateway.evidence.status import Outcome, delivery_status
from gateway.seals.signer import Signer
from gateway.templating import Sample, Templates

SUBJECT, TEXT = "receipt_subject.j2", "receipt.j2"

CHINA = timezone(timedelta(hours=8))  # one zone, no summer time since 1991


class ReceiptStyle(StrEnum):
    """How much a receipt carries, by account or by the sender's header."""

    FULL = "full"  # with the original
    BRIEF = "brief"  # with the original's digests
    MACHINE = "machine"  # with the digests, and no sentence for people


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """One recipient as a receipt shows it."""

    address: str  # as in the records
    name: str = ""  # of the unit, in the reader's language
    orcpt: str = ""  # of RCPT TO, decoded


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What a receipt needs beside the records. Texts are in the reader's language."""

    receipt_id: str  # a new id: makes the Message-ID
    document_id: str
    office: str  # name of the office
    domain: str  # mail domain of the office
    host: str  # name of the office's server
    to: str  # address of the reader
    now: datetime
    message_id: str = ""  # of the document
    title: str = ""
    number: str = ""
    sender_name: str = ""  # of the sending unit
    envid: str = ""  # of MAIL FROM, decoded
    recipients: tuple[RecipientFacts, ...] = ()  # all of the document; the records choose
    warnings: tuple[str, ...] = ()  # sentences
    sentence: str = ""  # what the clerk should do after a refusal
    zone: tzinfo = CHINA  # in which people read times


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the templates see it."""

    event: str
    time: str  # local time
    recipient: str
    name: str  # of the recipient unit; its address where there is none
    sender: str
    submitted: str  # local time
    reasons: tuple[tuple[str, str], ...]
    actor: str  # name of the person who acted, else the login


def render_receipt(
    facts: ReceiptFacts,
    records: Sequence[Record],
    proofs: Sequence[Proof],
    checkpoint: Checkpoint | None,
    *,
    style: str,
    language: str,
    signer: Signer,
    original: Callable[[], bytes] | None,
    templates: Templates,
    certificates: Sequence[KeyCertificate],
) -> bytes:
    """The octets of the mail: 7-bit, CRLF, multipart/signed.

    `certificates` are those of the keys that signed the records and the checkpoint. `original` is
    called only for a full receipt about nothing negative; a failure notice never contains the
    document. Where a record says ClassificationMarking the title and number are left out, even if
    the facts have them. Raises ValueError if there are no records, or a proof is not of the
    checkpoint.
    """
    if not records:
        raise ValueError("a receipt needs a record")
    read = [read_record(record.octets) for record in records]
    marked = any(
        code == Reason.CLASSIFICATION_MARKING.value for each in read for code, _ in each.reasons
    )
    style = ReceiptStyle(style)
    entries = _entries(facts, read)
    events = list(dict.fromkeys(entry.event for entry in entries))
    values = _values(facts, entries, marked=marked)
    if style is ReceiptStyle.MACHINE:
        subject, text = f"{events[0]} {facts.document_id}", f"{facts.document_id}\n"
    else:
        subject = one_line(templates.render(language, SUBJECT, **values))
        text = templates.render(language, TEXT, **values)
    envelope = Envelope(
        from_name=facts.office,
        from_address=f"postmaster@{facts.domain}",
        to=facts.to,
        subject=subject,
        date=facts.now.astimezone(facts.zone),
        message_id=f"<{facts.receipt_id}@{facts.domain}>",
        about=facts.message_id,
        extra=(("X-Yizhan-Document", facts.document_id), ("X-Yizhan-Event", ", ".join(events))),
    )
    status = delivery_status(
        host=facts.host,
        document_id=facts.document_id,
        envid=facts.envid,
        arrived=next((each.submitted for each in read if each.submitted), None),
        outcomes=_outcomes(facts, read),
    )
    report = multipart(
        "report",
        f"=_report_{facts.receipt_id}",
        [text_part(text), status],
        parameters=[("report-type", "delivery-status")],
    )
    parts = [
        report,
        file_part("application/json", RECORDS_NAME, records_file(records), readable=True),
        file_part(
            "application/json",
            PROOF_NAME,
            proof_file(proofs, checkpoint, certificates),
            readable=True,
        ),
    ]
    negative = any(record.event.negative for record in records)
    if style is ReceiptStyle.FULL and original is not None and not negative:
        name = f"{facts.document_id}.eml"
        parts.append(file_part("application/octet-stream", name, original()))
    elif content := _fullest(read):
        parts.append(file_part("application/octet-stream", DIGESTS_NAME, canonical(content)))
    entity = multipart(
        "mixed",
        f"=_receipt_{facts.receipt_id}",
        parts,
        parameters=[("protected-headers", "v1")],
        fields=protected(envelope),
    )
    return signed_letter(envelope, entity, signer)


def samples() -> Iterator[Sample]:
    """Facts for the templates of the receipt: each event alone, all together, much and little."""
    then = datetime(2026, 3, 9, tzinfo=CHINA)
    every = tuple(event.value for event in Event)
    reasons = tuple((reason.value, detail) for reason in Reason for detail in ("", "乙"))
    for text, events in product(("", "甲"), (*((event,) for event in every), every)):
        facts = ReceiptFacts(
            "1", "2", "甲", "a.test", "mail.a.test", "a@a.test", then, title=text, number=text,
            sender_name=text, sentence=text, warnings=(text,) if text else (),
        )  # fmt: skip
        why = reasons if text else ()
        entries = [Entry(event, "0:00", "甲", "甲", text, text, why, text) for event in events]
        values = _values(facts, entries, marked=False)
        yield Sample(SUBJECT, values)
        yield Sample(TEXT, values)


def _values(facts: ReceiptFacts, entries: list[Entry], *, marked: bool) -> dict[str, object]:
    events = list(dict.fromkeys(entry.event for entry in entries))
    return {
        "office": one_line(facts.office),
        "document_id": facts.document_id,
        "title": "" if marked else one_line(facts.title),
        "number": "" if marked else one_line(facts.number),
        "sender_name": one_line(facts.sender_name),
        "entries": entries,
        "events": events,
        "of": {event: [e for e in entries if e.event == event] for event in events},
        "warnings": [one_line(warning) for warning in facts.warnings],
        "sentence": one_line(facts.sentence),
        "zone": zone_name(facts.now, facts.zone),
    }


def local_time(moment: datetime, zone: tzinfo) -> str:
    """A moment as people read it: 2026-03-09 16:30:00."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def zone_name(moment: datetime, zone: tzinfo) -> str:
    """The zone of such times: UTC+08:00."""
    offset = moment.astimezone(zone).strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:5]}"


def _entries(facts: ReceiptFacts, read: Sequence[Reading]) -> list[Entry]:
    names = {recipient.address: one_line(recipient.name) for recipient in facts.recipients}
    return [
        Entry(
            event=each.event.value,
            time=local_time(each.at, facts.zone),
            recipient=each.recipient,
            name=names.get(each.recipient) or each.recipient,
            sender=each.sender,
            submitted="" if each.submitted is None else local_time(each.submitted, facts.zone),
            reasons=tuple((code, one_line(detail)) for code, detail in each.reasons),
            actor=one_line(each.actor_name or each.actor_account),
        )
        for each in read
    ]


def _outcomes(facts: ReceiptFacts, read: Sequence[Reading]) -> list[Outcome]:
    """The newest word on each recipient that the records name; else the word on all of them."""
    orcpt = {recipient.address: recipient.orcpt for recipient in facts.recipients}
    newest = {each.recipient: each for each in read if each.recipient}
    if not newest:
        addresses = list(orcpt) or [f"postmaster@{facts.domain}"]  # RFC 3464 demands one block
        newest = dict.fromkeys(addresses, read[-1])
    return [
        Outcome(address, orcpt.get(address, ""), each.event, each.at, each.reasons)
        for address, each in newest.items()
    ]


def _fullest(read: Sequence[Reading]) -> dict[str, object] | None:
    """The content as the record says it that names most of its parts."""
    contents = [each.content for each in read if each.content is not None]
    return max(contents, key=lambda content: len(str(content)), default=None)
