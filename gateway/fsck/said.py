"""What a record's octets say, read in a third of the time that the strict reader takes.

Where the office's signature holds, the octets are what the office wrote; it is enough that they are
canonical and have the members that are compared. Elsewhere the strict reader judges first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.evidence.reading import InvalidRecord, read_record
from gateway.evidence.record import canonical


@dataclass(frozen=True, slots=True)
class Said:
    """The members that rows repeat; times as they are written."""

    id: str
    document: str
    sequence: int
    event: str
    recipient: str
    time: str
    key: str
    office: str
    previous: str
    sender: str
    digest: str
    size: int
    message_id: str
    number: str
    submitted: str


def read_said(octets: bytes, *, signed: bool) -> Said:
    """Read a record; `signed` if the office's signature over the octets holds.

    Raises InvalidRecord.
    """
    if not signed:
        read_record(octets)
    try:
        value: dict[str, Any] = json.loads(octets)
        issuer, content, application = value["issuer"], value["content"], value["application"]
        said = Said(
            value["id"], value["document"], value["sequence"], value["event"], value["recipient"],
            value["time"], issuer["key"], issuer["office"], value["previous"], value["sender"],
            content["digest"] if content else "", content["size"] if content else 0,
            application["message_id"], application["number"], value["submitted"],
        )  # fmt: skip
        if canonical(value) == octets:
            return said
    except (ValueError, KeyError, TypeError):
        pass
    read_record(octets)  # says what is wrong
    raise InvalidRecord("its octets are not canonical JSON")
