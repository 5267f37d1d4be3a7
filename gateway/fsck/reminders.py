"""Reminders: each belongs to a delivery, goes with its state, and its outcome is evidence."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Row

from gateway.domain.document import DeliveryState, Urgency
from gateway.domain.event import Event
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.receipts import FAR
from gateway.reminders.reminder import ReminderState

_S = ReminderState
_LEASED = (_S.HANDING_OVER, _S.STOPPING)
_TOLD = (_S.HANDED_OVER, _S.SENT)
_SETTLED = {DeliveryState.SIGNED: "signed for", DeliveryState.RETURNED: "returned"}
_NOTIFICATIONS = (
    Event.CONSIGNMENT_NOTIFICATION.value,
    Event.CONSIGNMENT_NOTIFICATION_FAILURE.value,
)


def check_reminders(dossier: Dossier, found: Findings, *, now: int) -> None:
    """The reminders of one document; `now` is Unix milliseconds."""
    rows = dossier.reminders
    if not rows and not any(row.event in _NOTIFICATIONS for row in dossier.records):
        return
    found.counts["reminders"] += len(rows)
    by_id = {one.id: one for one in dossier.deliveries}
    rungs = Counter((one.delivery_id, one.step, one.number) for one in rows)
    for one in rows:
        delivery = by_id.get(one.delivery_id)
        if delivery is None:
            found.add(
                Code.REMINDER_REFERENCE, one.id,
                f"reminder {one.id} is about delivery {one.delivery_id}, which document "
                f"{dossier.id} does not have",
            )  # fmt: skip
        elif delivery.state in _SETTLED and one.state in (_S.QUEUED, _S.HANDING_OVER):
            found.add(
                Code.REMINDER_UNSETTLED, one.id,
                f"reminder {one.id} still waits, though delivery {delivery.id} was "
                f"{_SETTLED[delivery.state]}",
                document=dossier.id, delivery=delivery.id,
            )  # fmt: skip
        if fault := _state_fault(one):
            found.add(Code.REMINDER_STATE, one.id, f"reminder {one.id} {fault}")
        elif one.state in _LEASED and (one.lease_until is None or one.lease_until > now + FAR):
            found.add(
                Code.REMINDER_LEASE, one.id, f"reminder {one.id} has a lease that never ends",
                document=dossier.id,
            )  # fmt: skip
        if rungs[(one.delivery_id, one.step, one.number)] > 1:
            found.add(
                Code.REMINDER_DOUBLE, f"{one.delivery_id} {one.step}",
                f"delivery {one.delivery_id} has two reminders of step {one.step}",
            )  # fmt: skip
    _check_evidence(dossier, found)


def _state_fault(one: Row[Any]) -> str:
    if one.state not in set(_S):
        return f"has the unknown state {one.state!r}"
    if one.urgency not in set(Urgency):
        return f"has the unknown urgency {one.urgency!r}"
    if one.state in _TOLD and one.handed_over_at is None:
        return f"is {one.state}, but was never handed over"
    if one.state not in (*_TOLD, _S.FAILED) and one.handed_over_at is not None:
        return f"is {one.state}, but was handed over"
    return ""


def _check_evidence(dossier: Dossier, found: Findings) -> None:
    address = {one.id: one.address for one in dossier.deliveries}
    happened: Counter[tuple[str, str]] = Counter()
    for one in dossier.reminders:
        recipient = address.get(one.delivery_id)
        if recipient is None or _state_fault(one):
            continue  # named already
        if one.handed_over_at is not None:
            happened[(Event.CONSIGNMENT_NOTIFICATION.value, recipient)] += 1
        if one.state == _S.FAILED:
            happened[(Event.CONSIGNMENT_NOTIFICATION_FAILURE.value, recipient)] += 1
    told = Counter(
        (row.event, row.recipient) for row in dossier.records if row.event in _NOTIFICATIONS
    )
    for event, recipient in sorted((happened - told) | (told - happened)):
        found.add(
            Code.REMINDER_EVIDENCE, f"{dossier.id} {event} {recipient}",
            f"document {dossier.id} has {told[(event, recipient)]} records of {event} for "
            f"{recipient}, but {happened[(event, recipient)]} such reminders",
        )  # fmt: skip
