"""Headers: single-valued fields that occur twice, and structure that clients read differently."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.fields import faults
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """A second From or Subject is shown by one client and hidden by the next (RFC 5322, 3.6)."""
    return {
        "repeated-headers": matter.inspection.repeated_headers,
        "message-id": "present" if matter.inspection.message_id else "missing",
        "structure-faults": tuple(
            dict.fromkeys((*faults(matter.inspection.structure), *matter.inspection.inner_faults))
        ),
    }


CHECK = Check(
    "headers",
    "single-valued header fields occur once, the structure is sound",
    (
        Fact("repeated-headers", FactKind.WORDS, "single-valued fields that occur twice, such as "
             "from, to, subject, date; of inner parts the Content fields", (), quotable=True),
        Fact("message-id", FactKind.WORD, "whether there is a Message-ID", "present",
             ("present", "missing")),
        Fact("structure-faults", FactKind.WORDS, "faults of the MIME structure, such as "
             "no-end-boundary, too-deep", (), quotable=True),
    ),
    look,
)  # fmt: skip
