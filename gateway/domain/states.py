"""State machines as tables: which act may happen in which state, and what it leads to."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.document import DeliveryState


class Act(StrEnum):
    """What can be done to a delivery."""

    SIGN_FOR = "sign-for"
    RETURN = "return"


class Way(StrEnum):
    """How a person did it."""

    OPERATOR = "operator"  # by a command, in the unit's name
    MAILBOX = "mailbox"  # opened or fetched in a mail program
    FOLDER = "folder"  # moved, copied or uploaded into 已签收 or 退文
    READ_RECEIPT = "read-receipt"  # the MDN of a mail client (RFC 8098)
    REPLY = "reply"  # whose first own line says so
    ACTION_ADDRESS = "action-address"  # a mail to the document's own address


TRANSITIONS: dict[tuple[DeliveryState, Act], DeliveryState] = {
    (DeliveryState.CONSIGNED, Act.SIGN_FOR): DeliveryState.SIGNED,
    (DeliveryState.CONSIGNED, Act.RETURN): DeliveryState.RETURNED,
    (DeliveryState.SIGNED, Act.RETURN): DeliveryState.RETURNED,  # 初审 finds it is not ours
}


class NotAllowed(ValueError):
    """The act is not possible in that state; the message names both."""


def after(state: DeliveryState, act: Act) -> DeliveryState:
    """The state that the act leads to. Raises NotAllowed."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        sentence = f"{act.value} is not possible when the delivery is {state.value}"
        raise NotAllowed(sentence) from None
