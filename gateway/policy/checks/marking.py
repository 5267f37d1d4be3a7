"""Classification markings: levels and places that were found, never their surroundings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter

LEVELS = ("top-secret", "secret", "confidential")


async def look(matter: Matter) -> Mapping[str, Value]:
    """Take over what the inspection found by form and place."""
    found = matter.inspection.markings
    return {
        "markings": tuple(level for level in LEVELS if any(m.level == level for m in found)),
        "marking-places": tuple(dict.fromkeys(marking.place for marking in found)),
    }


CHECK = Check(
    "marking",
    "classification markings (绝密, 机密, 秘密) by form and place",
    (
        Fact("markings", FactKind.WORDS, "levels that were found", (), LEVELS),
        Fact("marking-places", FactKind.WORDS, "where: subject, header, body, attachment-name, or "
             "the number of an attachment's part", (), quotable=True),
    ),
    look,
)  # fmt: skip
