"""Encryption: whether every recipient can read the message, and whether the office could."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.document import MessageClass, Opening
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter
from gateway.seals.judge import missing_recipients


async def look(matter: Matter) -> Mapping[str, Value]:
    """Match the keys that the message is encrypted to with the seals in force."""
    opening = matter.inspection.opening
    return {
        "opening": opening.value,
        "uncovered-units": () if opening is Opening.PLAIN else _uncovered(matter),
        "unchecked-classes": tuple(kind for kind in MessageClass if kind in matter.unit.unchecked),
    }


def _uncovered(matter: Matter) -> tuple[str, ...]:
    """Addresses of units that could not read it; mailboxes without a unit by their name."""
    units = {unit.id: unit for unit in matter.units()}
    missing = missing_recipients(matter.inspection.encrypted_to, matter.book, tuple(units))
    return (
        *(str(units[unit_id].address) for unit_id in missing),
        *(owner.code for owner in matter.owners() if owner.unit_id is None),
    )


CHECK = Check(
    "encryption",
    "an encrypted message can be read by every recipient, and checked by the office",
    (
        Fact("opening", FactKind.WORD, "whether the office could open it", "plain",
             tuple(Opening)),
        Fact("uncovered-units", FactKind.WORDS, "recipients none of whose seals can open it", (),
             quotable=True),
        Fact("unchecked-classes", FactKind.WORDS, "classes that the unit may send unchecked", (),
             tuple(MessageClass)),
    ),
    look,
)  # fmt: skip
