"""Readings: whether the text of each attachment could be read to look for marks."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.inspection import Reading
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Every result that occurred at least once."""
    found = {attachment.reading for attachment in matter.inspection.attachments}
    return {"readings": tuple(reading.value for reading in Reading if reading in found)}


CHECK = Check(
    "readings",
    "attachments that could not be read",
    (Fact("readings", FactKind.WORDS, "what became of reading the attachments", (),
          tuple(Reading)),),
    look,
)  # fmt: skip
