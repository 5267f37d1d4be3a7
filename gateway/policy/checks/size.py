"""Size: octets of the message, alone and times its recipients."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Measure. A group counts as one recipient: its deliveries share one blob."""
    size = matter.submission.content.size
    return {"size": size, "load": size * len(matter.submission.recipients)}


CHECK = Check(
    "size",
    "size, and size times recipients",
    (
        Fact("size", FactKind.NUMBER, "octets of the whole message", 4096, quotable=True),
        Fact("load", FactKind.NUMBER, "octets times envelope recipients", 4096, quotable=True),
    ),
    look,
)
