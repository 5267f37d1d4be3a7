"""State machines as tables: which act may happen in which state, and what it leads to."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.document import DeliveryState


class Act(StrEnum):
    """What can be done to a delivery."""

    SIGN_FOR = "sign-for"


TRANSITIONS: dict[tuple[DeliveryState, Act], DeliveryState] = {
    (DeliveryState.CONSIGNED, Act.SIGN_FOR): DeliveryState.SIGNED,
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
