"""A delivery held by the verb that is about to change it, and what keeps a verb from doing so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from gateway.domain.clock import moment
from gateway.domain.document import DeliveryState, MessageClass
from gateway.domain.event import Event, Reason
from gateway.domain.states import Act, NotAllowed, after
from gateway.errors import CommandError
from gateway.evidence.record import Actor, ContentDigest, Statement
from gateway.exchange.documents import stated_number
from gateway.exchange.tables import deliveries, documents
from mailboxes.prepared import Prepared

_MINE = select(deliveries.c.document_id).where(deliveries.c.id == bindparam("delivery"))
_DOCUMENT = Prepared(
    select(documents).where(documents.c.id == _MINE.scalar_subquery()).with_for_update()
)
_DELIVERY = Prepared(
    select(deliveries).where(deliveries.c.id == bindparam("delivery")).with_for_update()
)


class Problem(StrEnum):
    """Why a delivery cannot be signed for or returned."""

    UNKNOWN = "unknown"  # there is no such delivery
    PLAIN_MAIL = "plain-mail"  # nobody signs for it
    SIGNED = "signed"
    RETURNED = "returned"
    FAILED = "failed"  # it never arrived
    NAME_MISSING = "name-missing"  # a shared login must say who acts
    NO_REASON = "no-reason"  # a return must say why
    NOT_ENTITLED = "not-entitled"  # the account may read, not sign


class NotPossible(CommandError):
    """A verb refuses; `by` and `at` say who has settled the delivery before, and when."""

    def __init__(
        self, problem: Problem, public: str, *, by: str = "", at: datetime | None = None
    ) -> None:
        super().__init__(public)
        self.problem = problem
        self.by = by
        self.at = at


@dataclass(frozen=True, slots=True)
class Held:
    """The locked rows of a delivery and of its document."""

    document: Row[Any]
    delivery: Row[Any]

    def after(self, act: Act) -> DeliveryState:
        """The state to which the act leads. Raises NotPossible."""
        row = self.delivery
        try:
            return after(DeliveryState(row.state), act)
        except NotAllowed as error:
            verb = "signed for" if act is Act.SIGN_FOR else "returned"
            by, at = settled_by(row)
            raise NotPossible(
                Problem(row.state),
                f"delivery {row.id} cannot be {verb}: it is {row.state}"
                + (f" (by {by})" if by else ""),
                by=by,
                at=at,
            ) from error

    def statement(
        self, event: Event, actor: Actor, now: datetime, *reasons: tuple[Reason, str]
    ) -> Statement:
        """What the office states about the event and this recipient."""
        document = self.document
        return Statement(
            event=event,
            at=now,
            recipient=self.delivery.address,
            reasons=reasons,
            sender=document.mail_from,
            submission_time=moment(document.received_at),
            content=ContentDigest(document.digest.hex(), document.size),
            number=stated_number(document.number, document.opening),
            message_id=document.message_id,
            actor=actor,
        )


def hold_delivery(connection: Connection, delivery_id: int) -> Held:
    """Lock the document, then the delivery. Raises NotPossible if it cannot be settled ever."""
    values = {"delivery": delivery_id}
    document = _DOCUMENT.first(connection, values)
    if document is None:
        sentence = f"there is no delivery {delivery_id}; see `yizhan document show ID`"
        raise NotPossible(Problem.UNKNOWN, sentence)
    if not MessageClass(document.message_class).signed_for:
        sentence = f"{document.id} is plain mail, for which nobody signs"
        raise NotPossible(Problem.PLAIN_MAIL, sentence)
    delivery = _DELIVERY.first(connection, values)
    if delivery is None:
        raise NotPossible(Problem.UNKNOWN, f"the delivery {delivery_id} is not there any more")
    return Held(document, delivery)


def settled_by(row: Row[Any]) -> tuple[str, datetime | None]:
    """Who has settled the delivery last, and when; nobody if it waits."""
    if row.returned_at is not None:
        return row.returned_by, moment(row.returned_at)
    if row.signed_at is not None:
        return row.signed_by, moment(row.signed_at)
    return "", None


def still_waiting(connection: Connection, document_id: str) -> int:
    """How many of the document's deliveries nobody has settled yet."""
    waiting = select(func.count()).where(
        deliveries.c.document_id == document_id,
        deliveries.c.state == DeliveryState.CONSIGNED.value,
    )
    return connection.execute(waiting).scalar_one()
