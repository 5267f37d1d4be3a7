"""Receipts, summaries and the outbox: each record that its sender wants mailed is mailed once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from gateway.domain.event import Event
from gateway.exchange.outbox import Kind
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.standing import Standing

FAR = 24 * 3600 * 1000  # milliseconds; no lease lasts so long

_MAILED = frozenset(
    {
        Event.SUBMISSION_ACCEPTANCE,
        Event.SUBMISSION_REJECTION,
        Event.CONTENT_CONSIGNMENT,
        Event.CONTENT_CONSIGNMENT_FAILURE,
        Event.CONSIGNMENT_NOTIFICATION_FAILURE,
        Event.CONSIGNMENT_ACCEPTANCE,
        Event.CONSIGNMENT_REJECTION,
    }
)
_NEGATIVE = frozenset(event for event in Event if event.negative)


def check_receipts(
    dossier: Dossier, standing: Standing, found: Findings, *, quick: bool, now: int
) -> None:
    """The receipts of one document or refusal; `now` is Unix milliseconds."""
    waiting = _check_outbox(dossier, found, now)
    _check_summaries(dossier, found)
    about = dossier.document or dossier.refusal
    if about is None:
        return  # its mails are named as those of nothing
    receipts = dossier.shown("receipt")
    found.counts["receipts"] += len(receipts)
    carried: Counter[str] = Counter()
    by_digest = {row.digest: row.id for row in dossier.records}
    if not quick:
        if any(not by_digest.keys() >= set(receipt.records or ()) for receipt in receipts):
            _add_true_digests(dossier, by_digest)
        for receipt in receipts:
            if receipt.records is None or not by_digest.keys() >= set(receipt.records):
                found.add(
                    Code.RECEIPT_DAMAGED, receipt.id,
                    f"the receipt {receipt.id} of {dossier.id} cannot be read, or carries a record "
                    "that the store does not have",
                )  # fmt: skip
                return
            carried.update(set(receipt.records))
    twice = sorted(digest for digest, number in carried.items() if number > 1)
    if twice:
        found.add(
            Code.RECEIPT_DOUBLE, dossier.id,
            f"{len(twice)} records of {dossier.id} are in more than one receipt",
        )  # fmt: skip
    _check_waiting(dossier, waiting, {by_digest[digest] for digest in carried}, found)
    if quick and receipts:
        return
    received = about.received_at if dossier.document is not None else about.at
    wanted = _wanted(dossier)
    queued = {record for _, records in waiting for record in records}
    mailed = {by_digest[digest] for digest in carried}
    missing = [
        row.id
        for row in dossier.records
        if row.event in _MAILED and row.id not in mailed and row.id not in queued
        and _is_wanted(row, wanted)
    ]  # fmt: skip
    if not missing or dossier.has_removed("receipt"):
        return
    if not standing.may_lack_mailbox(about.mail_from, received):
        found.add(
            Code.RECEIPT_MISSING, dossier.id,
            f"{about.mail_from} has no receipt of {len(missing)} records of {dossier.id}",
            records=missing,
        )  # fmt: skip


def _add_true_digests(dossier: Dossier, by_digest: dict[str, str]) -> None:
    """A receipt carries octets; where a row has another digest than its octets, they count too."""
    for row in dossier.records:
        by_digest.setdefault(hashlib.sha256(row.octets).hexdigest(), row.id)


def _check_outbox(dossier: Dossier, found: Findings, now: int) -> list[tuple[Row[Any], list[str]]]:
    """The pieces that wait; returns those for receipts with the records that they will mail."""
    kinds = {kind.value for kind in Kind}
    known = {row.id for row in dossier.records}
    waiting: list[tuple[Row[Any], list[str]]] = []
    for piece in dossier.outbox:
        found.counts["outbox"] += 1
        name = f"outbox piece {piece.id} ({piece.kind} of {piece.document_id})"
        payload = _payload(piece)
        if payload is None or piece.kind not in kinds:
            found.add(Code.OUTBOX_UNREADABLE, piece.id, f"{name} cannot be understood")
            continue
        if piece.lease_until > now + FAR:
            found.add(Code.OUTBOX_LEASE, piece.id, f"{name} is leased far into the future")
        if piece.kind == Kind.FULLNESS:
            continue  # about a mailbox
        refused = piece.kind == Kind.ALERT or bool(payload.get("refusal"))
        records = payload.get("records", [])
        about = dossier.refusal if refused else dossier.document
        if about is None or not known.issuperset(records):
            found.add(Code.OUTBOX_REFERENCE, piece.id, f"{name} is about what does not exist")
        elif piece.kind == Kind.RECEIPT:
            waiting.append((piece, records))
    return waiting


def _payload(piece: Row[Any]) -> dict[str, Any] | None:
    try:
        value = json.loads(piece.payload)
        records = value.get("records", [])
        good = all(isinstance(record, str) for record in records)
    except (ValueError, TypeError, AttributeError):
        return None
    if piece.kind == Kind.RECEIPT and not records:
        return None
    return value if good else None


def _check_waiting(
    dossier: Dossier,
    waiting: Iterable[tuple[Row[Any], list[str]]],
    mailed: set[str],
    found: Findings,
) -> None:
    before = set(mailed)
    for piece, records in waiting:
        if not before.isdisjoint(records):
            found.add(
                Code.OUTBOX_DOUBLE, piece.id,
                f"outbox piece {piece.id} would mail a receipt of {dossier.id} a second time",
            )  # fmt: skip
        before.update(records)


def _check_summaries(dossier: Dossier, found: Findings) -> None:
    by_owner: dict[str, list[int]] = {}
    for summary in dossier.shown("summary"):
        for owner in summary.owners:
            by_owner.setdefault(owner, []).append(summary.id)
    for owner, contents in by_owner.items():
        if len(contents) > 1:
            found.add(
                Code.SUMMARY_DOUBLE, f"{dossier.id} {owner}",
                f"{owner} has {len(contents)} summaries of document {dossier.id}",
                owner=owner, document=dossier.id,
            )  # fmt: skip


def _wanted(dossier: Dossier) -> dict[str, list[frozenset[str]]]:
    """What NOTIFY said for each address, by itself and through whoever stands for it (RFC 3461)."""
    wishes: dict[str, list[frozenset[str]]] = {}
    if dossier.refusal is not None:
        try:
            for address, notify, _ in json.loads(dossier.refusal.envelope):
                wishes.setdefault(str(address), []).append(frozenset(notify))
        except (ValueError, TypeError):
            return {}
        return wishes
    for one in dossier.envelope:
        wishes[one.address] = [frozenset(word for word in one.notify.split(",") if word)]
    direct = dict(wishes)
    for one in dossier.deliveries:
        wishes[one.address] = wishes.get(one.address, []) + direct.get(one.via, [])
    return wishes


def _is_wanted(row: Row[Any], wishes: dict[str, list[frozenset[str]]]) -> bool:
    """Whether surely: of a recipient named twice with two wishes, either may have counted."""
    word = "FAILURE" if row.event in _NEGATIVE else "SUCCESS"
    return all(not notify or word in notify for notify in wishes.get(row.recipient, []))
