"""What a reminder is, and the states it may go through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.document import Urgency
from gateway.domain.event import Event, Reason


class ReminderState(StrEnum):
    """Where a reminder stands."""

    QUEUED = "queued"  # waits for its time, or for the next try
    HANDING_OVER = "handing-over"  # leased by a worker, which may have crashed since
    STOPPING = "stopping"  # settled after a try: it may already be with the carrier
    HANDED_OVER = "handed-over"  # the carrier has it
    SENT = "sent"  # the carrier says that it went out
    FAILED = "failed"  # it will not be sent; evidence says why
    CANCELLED = "cancelled"  # signed for before it went out


_S = ReminderState

TRANSITIONS: dict[ReminderState, frozenset[ReminderState]] = {
    _S.QUEUED: frozenset({_S.HANDING_OVER, _S.STOPPING, _S.CANCELLED}),
    _S.HANDING_OVER: frozenset({_S.QUEUED, _S.STOPPING, _S.HANDED_OVER, _S.FAILED}),
    # A file that was found with the carrier is the truth, whatever was signed meanwhile.
    _S.STOPPING: frozenset({_S.HANDED_OVER, _S.CANCELLED}),
    _S.HANDED_OVER: frozenset({_S.SENT, _S.FAILED}),
    _S.SENT: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Reminder:
    """催办短信: one message to one person. `number` is empty if the unit has nobody to tell."""

    id: str  # also the carrier's key: the same id is never sent twice
    document_id: str
    delivery_id: int
    unit_id: int
    person_id: int | None
    name: str
    number: str  # international, digits only, or a short number
    language: str
    urgency: Urgency
    step: int  # rung of the ladder, the first is 0
    text: str
    state: ReminderState
    due_at: datetime
    attempts: int = 0
    handed_over_at: datetime | None = None
    reported_at: datetime | None = None
    notifier: str = ""
    reference: str = ""  # what the carrier calls it
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class ReminderOutcome:
    """What the exchange is told so that it becomes evidence, in the same transaction.

    `event` is CONSIGNMENT_NOTIFICATION (then `reason` is None) or its failure. `number` is masked:
    a receipt goes to the sender, who need not learn a duty person's telephone number.
    """

    reminder_id: str
    document_id: str
    delivery_id: int
    unit_id: int
    event: Event
    name: str
    number: str
    notifier: str
    reference: str
    at: datetime
    reason: Reason | None = None
    detail: str = ""
