"""Documents, envelopes, deliveries, texts and refusals: each row goes with the others."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import Row

from gateway.domain.document import (
    DeliveryState,
    DocumentState,
    MessageClass,
    Opening,
    SealState,
    Urgency,
)
from gateway.exchange.mailroom import DOCUMENT
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings

_VALUES: dict[str, frozenset[str]] = {
    "state": frozenset(DocumentState),
    "message_class": frozenset(MessageClass),
    "urgency": frozenset(Urgency),
    "seal_state": frozenset(SealState),
    "opening": frozenset(Opening),
}
_ROLES = ("to", "cc")


def check_document(dossier: Dossier, found: Findings) -> None:
    """The rows of one document, without its octets."""
    row = dossier.document
    if row is None:
        if dossier.refusal is not None:
            check_refusal(dossier, dossier.refusal, found)
        return
    found.counts["documents"] += 1
    found.counts["deliveries"] += len(dossier.deliveries)
    values = row._mapping
    wrong = [name for name, known in _VALUES.items() if values[name] not in known]
    wrong += [name for name in ("warnings", "client") if not _is_json(values[name])]
    if len(row.digest) != 32:
        wrong.append("digest")
    if row.size < 0:
        wrong.append("size")
    if dossier.refusal is not None:
        wrong.append("id (it was refused too)")
    if wrong:
        found.add(Code.DOCUMENT_VALUE, row.id, f"document {row.id} has a wrong {', '.join(wrong)}")
    if not dossier.envelope or not dossier.deliveries:
        lack = "delivery" if dossier.envelope else "envelope"
        found.add(Code.DOCUMENT_ENVELOPE, row.id, f"document {row.id} has no {lack}")
    _check_deliveries(dossier, found)
    _check_texts(dossier, row, found)


def _check_deliveries(dossier: Dossier, found: Findings) -> None:
    addresses = {one.address for one in dossier.envelope}
    for owner, number in Counter(one.owner for one in dossier.deliveries).items():
        if number > 1:
            found.add(
                Code.DELIVERY_DOUBLE, f"{dossier.id} {owner}",
                f"document {dossier.id} has {number} deliveries to {owner}",
            )  # fmt: skip
    for one in dossier.deliveries:
        if dossier.envelope and one.via not in addresses:
            found.add(
                Code.DELIVERY_VIA, one.id,
                f"delivery {one.id} of document {dossier.id} comes from {one.via}, which is not "
                "in the envelope",
            )  # fmt: skip
        if fault := _state_fault(one):
            found.add(
                Code.DELIVERY_STATE, one.id,
                f"delivery {one.id} of document {dossier.id} to {one.owner} {fault}",
            )  # fmt: skip


def _state_fault(one: Row[Any]) -> str:
    """What does not go together; the order of times is not judged, since clocks jump."""
    if one.role not in _ROLES:
        return f"has the unknown role {one.role!r}"
    signed = (one.signed_at is not None, bool(one.signed_by), bool(one.signed_way))
    returned = (
        one.returned_at is not None, bool(one.returned_by), bool(one.returned_way),
        bool(one.returned_reason),
    )  # fmt: skip
    gone = one.owner.startswith("gone:")
    match one.state:
        case DeliveryState.CONSIGNED:
            good = one.consigned_at is not None and not any((*signed, *returned)) and not gone
        case DeliveryState.SIGNED:
            good = one.consigned_at is not None and all(signed) and not any(returned) and not gone
        case DeliveryState.RETURNED:
            before = all(signed) or not any(signed)
            good = one.consigned_at is not None and before and all(returned) and not gone
        case DeliveryState.FAILED:
            good = one.consigned_at is None and not any((*signed, *returned))
        case _:
            return f"has the unknown state {one.state!r}"
    if good:
        return ""
    return f"is {one.state}, but its times, its signature or its owner say something else"


def _check_texts(dossier: Dossier, row: Row[Any], found: Findings) -> None:
    texts = dossier.texts
    if texts is None:
        return
    if row.opening != Opening.PLAIN:
        found.add(
            Code.TEXT_FORBIDDEN, row.id,
            f"text of document {row.id} is kept in the clear, though it came encrypted",
        )  # fmt: skip
    elif texts.highest + 1 != texts.number:
        found.add(
            Code.TEXT_GAP, row.id,
            f"document {row.id} has {texts.number} texts for the search, not {texts.highest + 1}",
        )  # fmt: skip


def check_refusal(dossier: Dossier, row: Row[Any], found: Findings) -> None:
    """A refusal: readable, and nothing of what was refused is kept."""
    found.counts["refusals"] += 1
    wrong = [name for name in ("reasons", "texts", "envelope") if not _is_json(row._mapping[name])]
    if len(row.digest) != 32:
        wrong.append("digest")
    if wrong:
        found.add(Code.DOCUMENT_VALUE, row.id, f"refusal {row.id} has a wrong {', '.join(wrong)}")
    if any(one.kind == DOCUMENT for one in dossier.contents):
        found.add(Code.REFUSAL_CONTENT, row.id, f"a mailbox keeps what refusal {row.id} is about")
    if dossier.texts is not None:
        found.add(Code.TEXT_FORBIDDEN, row.id, f"text of the refused message {row.id} is kept")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, TypeError):
        return False
    return True
