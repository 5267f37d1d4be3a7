"""The checks: one file each, a name, a description, and the facts that it sets."""

from __future__ import annotations

from gateway.domain.document import MessageClass, SealRule
from gateway.policy.checks import (
    attachments,
    blindcopy,
    encryption,
    headers,
    identity,
    loop,
    marking,
    metadata,
    rate,
    readings,
    recipients,
    seal,
    size,
    virus,
)
from gateway.policy.facts import Fact, FactKind
from gateway.policy.matter import Check

# In this order they run and their facts are shown; the virus check, the only slow one, is last.
CHECKS: tuple[Check, ...] = (
    identity.CHECK,
    recipients.CHECK,
    blindcopy.CHECK,
    size.CHECK,
    rate.CHECK,
    loop.CHECK,
    headers.CHECK,
    metadata.CHECK,
    marking.CHECK,
    attachments.CHECK,
    readings.CHECK,
    seal.CHECK,
    encryption.CHECK,
    virus.CHECK,
)

# Facts that the rules of a file which decides the class give to the files after it.
DECIDED: tuple[Fact, ...] = (
    Fact("class", FactKind.WORD, "the class of the message", "mail", tuple(MessageClass), True),
    Fact("seal-rule", FactKind.WORD, "whether its class needs a seal", "none", tuple(SealRule)),
)


def known_facts() -> dict[str, Fact]:
    """Every fact that a rule may speak of, by name."""
    facts = [fact for check in CHECKS for fact in check.facts] + list(DECIDED)
    return {fact.name: fact for fact in facts}
