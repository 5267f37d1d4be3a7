"""Says what a receipt proves, from its octets and the office's certificate alone.

Nothing else is asked: no database, no network. Every step gives a sentence, proved or not; a
receipt is proved if every step is. Only the standard library, Ed25519 and OpenPGP are needed, so
that the same can be done in decades, see `docs/evidence.md`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from pysequoia import Cert, Sig
from pysequoia import verify as verify_openpgp

from gateway.domain.clock import rfc3339
from gateway.evidence import keys, tree
from gateway.evidence.bundle import DIGESTS_NAME, PROOF_NAME, RECORDS_NAME
from gateway.evidence.checkpoint import Head, InvalidNote, origin, read_note, signed_by
from gateway.evidence.opened import Opened, Unreadable, open_receipt
from gateway.evidence.reading import InvalidRecord, Reading, read_record
from gateway.evidence.record import SIGNED_PREFIX, canonical, digest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: whether it was proved, and a sentence that says what."""

    proved: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All steps. `events` are the records whose signatures hold, in their order."""

    ok: bool
    findings: tuple[Finding, ...]
    events: tuple[Reading, ...]


class _Disproved(Exception):
    """A step failed; the message is its sentence."""


@dataclass(slots=True)
class _Steps:
    findings: list[Finding] = field(default_factory=list)

    def take(self, step: Callable[[], tuple[T, str]]) -> T | None:
        """Run a step: its result, or None and a finding that says why not."""
        try:
            result, sentence = step()
        except (_Disproved, Unreadable, InvalidRecord, InvalidNote) as error:
            self.findings.append(Finding(False, str(error)))
            return None
        if sentence:
            self.findings.append(Finding(True, sentence))
        return result


@dataclass(frozen=True, slots=True)
class _Proof:
    public: dict[str, bytes]  # by key id, only keys that the office certified
    office: str
    note: str
    hashes: tuple[bytes, ...]
    paths: dict[str, tuple[int, tuple[int, ...]]]  # by record id: leaf number, places of hashes


@dataclass(frozen=True, slots=True)
class _Signed:
    octets: bytes
    signature: bytes
    key: str


def verify_receipt(octets: bytes, office_certificate: bytes) -> Verification:
    """Check a receipt as any program saved it (CRLF or LF line ends).

    `office_certificate` is the office's OpenPGP public key, armoured or not. Never raises for what
    the mail holds; raises ValueError if the certificate is not one.
    """
    try:
        office = Cert.from_bytes(office_certificate)
    except RuntimeError as error:
        raise ValueError("this is not an OpenPGP public key") from error
    steps = _Steps()
    opened = steps.take(lambda: (open_receipt(octets), ""))
    if opened is None:
        return Verification(False, tuple(steps.findings), ())
    steps.take(lambda: _mail_is_signed(opened, office))
    proof = steps.take(lambda: _keys_are_certified(opened, office))
    signed = steps.take(lambda: (_records(opened), ""))
    events: list[Reading] = []
    if proof is not None and signed is not None:
        for place, record in enumerate(signed, start=1):
            reading = steps.take(lambda p=place, r=record: _record_is_signed(p, r, proof))  # type: ignore[misc]
            if reading is not None:
                events.append(reading)
        if len(events) == len(signed):
            steps.take(lambda: _chain_holds(events, signed))
            steps.take(lambda: _log_holds_them(events, signed, proof))
            steps.take(lambda: _content_agrees(opened, events))
    findings = tuple(steps.findings)
    return Verification(all(finding.proved for finding in findings), findings, tuple(events))


def _mail_is_signed(opened: Opened, office: Cert) -> tuple[None, str]:
    signature = _openpgp(opened.entity, opened.signature, office)
    if signature is None:
        raise _Disproved("The mail does not bear a valid signature of the office's key.")
    if opened.disagreeing:
        names = ", ".join(opened.disagreeing)
        raise _Disproved(f"The mail's header says something else than was signed: {names}.")
    when = "" if signature.created is None else f" on {rfc3339(signature.created)}"
    fingerprint = office.fingerprint.upper()
    return None, f"The office's key {fingerprint} signed this receipt{when}; it is unchanged."


def _openpgp(octets: bytes, signature: bytes, office: Cert) -> Sig | None:
    """The signature if it is the office's over these octets."""
    try:
        parsed = Sig.from_bytes(signature)
        verify_openpgp(bytes=octets, store=lambda _: [office], signature=parsed)
    except RuntimeError:
        return None
    return parsed


def _keys_are_certified(opened: Opened, office: Cert) -> tuple[_Proof, str]:
    value = _json(opened.file(PROOF_NAME), PROOF_NAME)
    try:
        if value["version"] != 1:
            raise _Disproved(f"{PROOF_NAME} is not of version 1.")
        public: dict[str, bytes] = {}
        offices: set[str] = set()
        for given in value["keys"]:
            statement = _octets(given["statement"])
            if _openpgp(statement, given["signature"].encode("ascii"), office) is None:
                raise _Disproved(f"The office did not certify the evidence key {given['key']}.")
            key, name = _key_statement(statement)
            public[keys.key_id(key)] = key
            offices.add(name)
        proof = _Proof(
            public=public,
            office=next(iter(offices), ""),
            note=str(value["checkpoint"]),
            hashes=tuple(_octets(step) for step in value["hashes"]),
            paths={
                str(path["record"]): (int(path["number"]), tuple(int(p) for p in path["path"]))
                for path in value["paths"]
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _Disproved(f"{PROOF_NAME} has another form than version 1.") from None
    if len(offices) != 1:
        raise _Disproved("The evidence keys are not those of one office.")
    names = ", ".join(sorted(public))
    return proof, f"The office's key certified the evidence key {names} of {proof.office}."


def _key_statement(octets: bytes) -> tuple[bytes, str]:
    value = json.loads(octets)
    if value["purpose"] != keys.KEY_STATEMENT_PURPOSE or value["algorithm"] != "Ed25519":
        raise _Disproved("The office signed a statement that is not about an evidence key.")
    public = _octets(value["public"])
    if keys.key_id(public) != value["key"]:
        raise _Disproved("The statement about the evidence key names another key.")
    return public, str(value["office"])


def _records(opened: Opened) -> list[_Signed]:
    value = _json(opened.file(RECORDS_NAME), RECORDS_NAME)
    try:
        records = [
            _Signed(_octets(each["record"]), _octets(each["signature"]), str(each["key"]))
            for each in value
        ]
    except (KeyError, TypeError, ValueError):
        raise _Disproved(f"{RECORDS_NAME} has another form than version 1.") from None
    if not records:
        raise _Disproved(f"{RECORDS_NAME} holds no record.")
    return records


def _record_is_signed(place: int, signed: _Signed, proof: _Proof) -> tuple[Reading, str]:
    try:
        reading = read_record(signed.octets)
    except InvalidRecord as error:
        raise _Disproved(f"Record {place} is not one: {error}.") from None
    public = proof.public.get(signed.key)
    if public is None or reading.key != signed.key or reading.office != proof.office:
        raise _Disproved(f"Record {place} is not from an evidence key of this office.")
    if not keys.verify(public, SIGNED_PREFIX + signed.octets, signed.signature):
        raise _Disproved(f"The signature of record {place} does not hold.")
    return reading, f"Record {reading.sequence} of {reading.document}: {sentence(reading)}"


def sentence(reading: Reading) -> str:
    """A record in words."""
    about = f" for {reading.recipient}" if reading.recipient else ""
    actor = reading.actor_name or reading.actor_account
    by = f", by {actor}" if actor else ""
    why = ", ".join(f"{code} ({detail})" if detail else code for code, detail in reading.reasons)
    because = f", because of {why}" if why else ""
    return f"{reading.event.value}{about} at {rfc3339(reading.at)}{by}{because}."


def _chain_holds(events: Sequence[Reading], signed: Sequence[_Signed]) -> tuple[None, str]:
    if len({event.document for event in events}) != 1:
        raise _Disproved("The records are about several documents.")
    ordered = sorted(zip(events, signed, strict=True), key=lambda pair: pair[0].sequence)
    numbers = [event.sequence for event, _ in ordered]
    if len(set(numbers)) != len(numbers):
        raise _Disproved("Two records claim the same place in the document's chain.")
    links = 0
    for (before, octets), (after, _) in pairwise(ordered):
        if after.sequence != before.sequence + 1:
            continue
        if after.previous != digest(octets.octets):
            raise _Disproved(f"Record {after.sequence} does not follow record {before.sequence}.")
        links += 1
    if len(ordered) == 1:
        return None, ""
    return None, f"The records stand in one chain ({links} of {len(ordered) - 1} links are here)."


def _log_holds_them(
    events: Sequence[Reading], signed: Sequence[_Signed], proof: _Proof
) -> tuple[None, str]:
    if not proof.note:
        raise _Disproved("The receipt was made before the log was sealed: it has no checkpoint.")
    head = read_note(proof.note)
    by_office = any(signed_by(proof.note, proof.office, key) for key in proof.public.values())
    if head.origin != origin(proof.office) or not by_office:
        raise _Disproved("The checkpoint is not signed by this office's evidence key.")
    for event, record in zip(events, signed, strict=True):
        if not _is_in(record.octets, event.id, head, proof):
            raise _Disproved(f"Record {event.sequence} is not proved to be in the log.")
    root = head.root.hex()
    return None, f"All records are in the log {head.origin} with {head.size} entries, root {root}."


def _is_in(octets: bytes, record_id: str, head: Head, proof: _Proof) -> bool:
    number, places = proof.paths.get(record_id, (-1, ()))
    if not all(0 <= place < len(proof.hashes) for place in places):
        return False
    path = [proof.hashes[place] for place in places]
    return tree.proved_root(tree.leaf_hash(octets), number, head.size, path) == head.root


def _content_agrees(opened: Opened, events: Sequence[Reading]) -> tuple[None, str]:
    stated = {(event.content_digest, event.content_size) for event in events if event.content}
    if len(stated) > 1:
        raise _Disproved("The records are about different contents.")
    document = events[0].document
    original = opened.files.get(f"{document}.eml")
    if original is not None:
        found = (hashlib.sha256(original).hexdigest(), len(original))
        if found not in stated:
            raise _Disproved("The attached document is not the one of the records.")
        return None, "The attached document is the one of the records, octet for octet."
    digests = opened.files.get(DIGESTS_NAME)
    if digests is not None:
        if not any(event.content and canonical(event.content) == digests for event in events):
            raise _Disproved("The attached digests are not those of the records.")
        known = next(iter(stated))
        return None, f"The records are about {known[1]} octets with SHA-256 {known[0]}."
    return None, ""


def _json(octets: bytes | None, name: str) -> Any:
    if octets is None:
        raise _Disproved(f"The receipt has no part {name}.")
    try:
        return json.loads(octets)
    except (ValueError, RecursionError):
        raise _Disproved(f"{name} is not JSON.") from None


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
