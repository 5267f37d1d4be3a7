"""Loops: hops, our own trace in a new message, and automatic senders."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Count Received fields (RFC 5321, 6.3) and read Auto-Submitted (RFC 3834, 5)."""
    automatic = matter.inspection.auto_submitted.partition(";")[0].strip()
    return {
        "hops": matter.inspection.received,
        "passed-here": matter.inspection.passed_here,
        "automatic": automatic not in ("", "no"),
    }


CHECK = Check(
    "loop",
    "hop count, our own trace, automatic mail",
    (
        Fact("hops", FactKind.NUMBER, "Received fields", 0, quotable=True),
        Fact("passed-here", FactKind.FLAG, "our own host stands in a Received field", False),
        Fact("automatic", FactKind.FLAG, "Auto-Submitted says that a program wrote it", False),
    ),
    look,
)
