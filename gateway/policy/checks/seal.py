"""The seal: what judging it found; whether a class needs one is for the rules."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.document import SealFault, SealState
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Take over the finding at receive time."""
    finding = matter.inspection.seal
    return {
        "seal": finding.state.value,
        "seal-fault": finding.fault.value,
        "seal-key": finding.fingerprint[-16:],
        "seal-cancelled-at": finding.cancelled_at,
    }


CHECK = Check(
    "seal",
    "the electronic seal against the unit's seals in the book",
    (
        Fact("seal", FactKind.WORD, "the finding", "missing", tuple(SealState)),
        Fact("seal-fault", FactKind.WORD, "why it is invalid", "none", tuple(SealFault)),
        Fact("seal-key", FactKind.TEXT, "last 16 digits of the sealing key", "", quotable=True),
        Fact("seal-cancelled-at", FactKind.TEXT, "when the seal was cancelled, RFC 3339", "",
             quotable=True),
    ),
    look,
)  # fmt: skip
