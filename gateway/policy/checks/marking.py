"""Classification markings: levels and places that were found, never their surroundings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter

LEVELS = ("top-secret", "secret", "confidential")
PLACES = ("subject", "header", "body", "attachment-name", "attachment")


async def look(matter: Matter) -> Mapping[str, Value]:
    """Take over what the inspection found by form and place."""
    found = matter.inspection.markings
    # Any other place is the number of a part, which tells a clerk nothing.
    places = {m.place if m.place in PLACES else "attachment" for m in found}
    return {
        "markings": tuple(level for level in LEVELS if any(m.level == level for m in found)),
        "marking-places": tuple(place for place in PLACES if place in places),
    }


CHECK = Check(
    "marking",
    "classification markings (绝密, 机密, 秘密) by form and place",
    (
        Fact("markings", FactKind.WORDS, "levels that were found", (), LEVELS),
        Fact("marking-places", FactKind.WORDS, "where they were found", (), PLACES, True),
    ),
    look,
)  # fmt: skip
