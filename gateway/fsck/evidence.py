"""Evidence: each record is what was signed, follows its predecessor, and says what the rows say."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from sqlalchemy import Row

from gateway.domain.clock import moment, rfc3339
from gateway.domain.document import DeliveryState
from gateway.domain.event import Event
from gateway.evidence import tree
from gateway.evidence.reading import InvalidRecord
from gateway.evidence.record import SIGNED_PREFIX
from gateway.exchange.documents import stated_number
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.said import Said, read_said
from gateway.fsck.standing import Standing

# What reminders did is judged beside their rows; that a document was opened or fetched has no row;
# no verb writes the events of seals yet.
_ELSEWHERE = frozenset(
    {
        Event.CONSIGNMENT_NOTIFICATION,
        Event.CONSIGNMENT_NOTIFICATION_FAILURE,
        Event.CONTENT_ACCESS_TRACKING,
        Event.CONTENT_HANDOVER,
        Event.ACT_NOT_COUNTED,
        Event.SEAL_ISSUED,
        Event.SEAL_REPLACED,
        Event.SEAL_CANCELLED,
        Event.SEAL_USED,
        Event.STORE_RESTORED,
        Event.STORE_RELEASED,
    }
)
# About the store itself; its identity stands where others name a document.
_OF_THE_STORE = {Event.STORE_RESTORED.value, Event.STORE_RELEASED.value}

# A resend that adds recipients states its own time of submission.
_AT_SUBMISSION = frozenset(
    {
        Event.SUBMISSION_ACCEPTANCE,
        Event.CONTENT_CONSIGNMENT,
        Event.CONTENT_CONSIGNMENT_FAILURE,
    }
)


def check_evidence(dossier: Dossier, standing: Standing, found: Findings, *, quick: bool) -> None:
    """The records of one document or refusal. `quick` verifies the last signature alone: by their
    links the others stand or fall with it."""
    rows = dossier.records
    found.counts["records"] += len(rows)
    others = [row for row in rows if row.event not in _OF_THE_STORE]
    if others and dossier.document is None and dossier.refusal is None:
        found.add(
            Code.RECORD_ORPHAN, dossier.id,
            f"there are {len(rows)} records about {dossier.id}, which is neither a document nor "
            "a refusal",
        )  # fmt: skip
    place, previous = 0, {""}
    for row in rows:
        place += 1
        if row.sequence != place:
            found.add(
                Code.RECORD_GAP, f"{dossier.id} {place}",
                f"document {dossier.id} has no record {place}, but a record {row.sequence}",
            )  # fmt: skip
            place, previous = row.sequence, set()
        octets = bytes(row.octets)
        digest = hashlib.sha256(octets).hexdigest()
        said = _check_record(row, octets, digest, standing, found, quick and row is not rows[-1])
        if said is not None:
            if previous and said.previous not in previous:
                found.add(
                    Code.RECORD_CHAIN, row.id,
                    f"record {row.sequence} of document {dossier.id} does not follow record "
                    f"{row.sequence - 1}",
                )  # fmt: skip
            _check_row(row, said, standing, found)
            _check_matter(dossier, row, said, found)
        previous = {digest, row.digest}
    _check_events(dossier, found)


def _check_record(
    row: Row[Any], octets: bytes, digest: str, standing: Standing, found: Findings, linked: bool
) -> Said | None:
    """Digest, signature and form; None if what the octets say is worth nothing."""
    name = f"record {row.id} ({row.event} of {row.document_id})"
    if digest != row.digest:
        found.add(Code.RECORD_DIGEST, row.id, f"{name} has other octets than its digest says")
        return None
    key, signed = standing.keys.get(row.key_id), False
    if key is None:
        found.add(
            Code.RECORD_KEY, row.id, f"{name} is signed by the key {row.key_id}, which is unknown"
        )
    elif not linked:
        try:
            key.public.verify(bytes(row.signature), SIGNED_PREFIX + octets)
            signed = True
        except InvalidSignature:
            found.add(Code.RECORD_SIGNATURE, row.id, f"the signature of {name} does not hold")
    try:
        return read_said(octets, signed=signed or linked)
    except InvalidRecord as error:
        found.add(Code.RECORD_FORM, row.id, f"record {row.id} is not one: {error}")
        return None


def check_entry(row: Row[Any], found: Findings) -> None:
    """Whether the record is in the log, under the hash that its octets have."""
    if row.entered is None:
        found.add(Code.LOG_ENTRY, row.id, f"record {row.id} is not entered for the log")
    elif row.number is not None:
        octets = bytes(row.octets)
        if row.leaf is not None and bytes(row.leaf) == tree.leaf_hash(octets):
            return
        if hashlib.sha256(octets).hexdigest() != row.digest:
            return  # named already: the octets are wrong, not the log
        found.add(
            Code.LOG_NODE, f"0/{row.number}",
            f"entry {row.number} of the log is not the hash of record {row.id}",
            level=0, index=row.number,
        )  # fmt: skip


def _check_row(row: Row[Any], said: Said, standing: Standing, found: Findings) -> None:
    key = standing.keys.get(row.key_id)
    office = said.office if key is None else key.office
    stored = (
        row.id, row.document_id, row.sequence, row.event, row.recipient, rfc3339(moment(row.at)),
        row.key_id, office,
    )  # fmt: skip
    signed = (
        said.id, said.document, said.sequence, said.event, said.recipient, said.time, said.key,
        said.office,
    )  # fmt: skip
    if stored != signed:
        names = ("id", "document", "sequence", "event", "recipient", "time", "key", "office")
        found.add(
            Code.RECORD_ROW, row.id,
            f"the row of record {row.id} has another {_unequal(names, stored, signed)} than its "
            "signed octets",
        )  # fmt: skip


def _check_matter(dossier: Dossier, row: Row[Any], said: Said, found: Findings) -> None:
    about = dossier.document or dossier.refusal
    if about is None:
        return
    stored: tuple[object, ...] = (about.mail_from, about.digest.hex(), about.size, about.message_id)
    signed: tuple[object, ...] = (said.sender, said.digest, said.size, said.message_id)
    if dossier.document is not None:
        stored += (stated_number(about.number, about.opening),)
        signed += (said.number,)
        if row.sequence == 1 or row.event not in _AT_SUBMISSION:
            stored += (rfc3339(moment(about.received_at)),)
            signed += (said.submitted,)
    if stored != signed:
        names = ("sender", "digest", "size", "message id", "number", "time of submission")
        # Once for each document: where its row is wrong, all of its records disagree.
        found.add(
            Code.RECORD_DISAGREES, dossier.id,
            f"document {dossier.id} and its record {row.sequence} ({row.event}) do not agree on "
            f"its {_unequal(names, stored, signed)}",
        )  # fmt: skip


def _unequal(names: Sequence[str], left: Sequence[object], right: Sequence[object]) -> str:
    pairs = zip(names, left, right, strict=False)
    return ", ".join(name for name, one, other in pairs if one != other)


def _check_events(dossier: Dossier, found: Findings) -> None:
    """Everything that happened has its record, and every record has happened."""
    if dossier.document is None and dossier.refusal is None:
        return
    records = [(row.event, row.recipient) for row in dossier.records if row.event not in _ELSEWHERE]
    acts = list(_happened(dossier))
    _check_times(dossier, found)
    if sorted(records) == sorted(acts):
        return
    told, happened = Counter(records), Counter(acts)
    for event, recipient in sorted(happened - told):
        found.add(
            Code.RECORD_MISSING, f"{dossier.id} {event} {recipient}",
            f"document {dossier.id} has no record of {event} for {recipient}",
        )  # fmt: skip
    for event, recipient in sorted(told - happened):
        found.add(
            Code.RECORD_SURPLUS, f"{dossier.id} {event} {recipient}",
            f"document {dossier.id} has a record of {event} for {recipient} of which its rows know "
            "nothing",
        )  # fmt: skip


def _happened(dossier: Dossier) -> Iterator[tuple[str, str]]:
    if dossier.document is None:
        if dossier.refusal is not None:
            for address in _refused(dossier.refusal):
                yield Event.SUBMISSION_REJECTION.value, address
        return
    for one in dossier.envelope:
        yield Event.SUBMISSION_ACCEPTANCE.value, one.address
    for one in dossier.deliveries:
        if one.state == DeliveryState.FAILED:
            yield Event.CONTENT_CONSIGNMENT_FAILURE.value, one.address
        else:
            yield Event.CONTENT_CONSIGNMENT.value, one.address
        if one.signed_at is not None:
            yield Event.CONSIGNMENT_ACCEPTANCE.value, one.address
        if one.returned_at is not None:
            yield Event.CONSIGNMENT_REJECTION.value, one.address


def _refused(refusal: Row[Any]) -> list[str]:
    try:
        return [str(entry[0]) for entry in json.loads(refusal.envelope)]
    except (ValueError, TypeError, IndexError, KeyError):
        return []  # named already


def _check_times(dossier: Dossier, found: Findings) -> None:
    """A delivery's times are those of its records."""
    at: dict[tuple[str, str], set[int]] = {}
    for row in dossier.records:
        at.setdefault((row.event, row.recipient), set()).add(row.at)
    for one in dossier.deliveries:
        for event, when in (
            (Event.CONTENT_CONSIGNMENT.value, one.consigned_at),
            (Event.CONSIGNMENT_ACCEPTANCE.value, one.signed_at),
            (Event.CONSIGNMENT_REJECTION.value, one.returned_at),
        ):
            stated = at.get((event, one.address))
            if when is not None and stated and when not in stated:
                found.add(
                    Code.RECORD_DISAGREES, dossier.id,
                    f"delivery {one.id} of document {dossier.id} has another time than its record "
                    f"of {event}",
                )  # fmt: skip
