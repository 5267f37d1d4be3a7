"""Viruses: what clamd says about the exact octets. Absent where no clamd is configured."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.clamd import VirusState
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Ask the scanner; no answer is a finding of its own, never a pass."""
    if matter.scanner is None:
        return {}
    finding = await matter.scanner.scan(matter.submission.content.chunks())
    return {"virus": finding.state.value, "virus-name": finding.name}


CHECK = Check(
    "virus",
    "virus check by clamd, where one is configured",
    (
        Fact("virus", FactKind.WORD, "what the scanner says", "clean", tuple(VirusState)),
        Fact("virus-name", FactKind.TEXT, "the scanner's name of it", "", quotable=True),
    ),
    look,
)
