"""Reads the frozen octets of a record back, strictly: what is not exactly a record is an error."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from gateway.domain.event import Event
from gateway.evidence.record import VERSION, canonical

T = TypeVar("T")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEMBERS = {
    "version", "id", "event", "reasons", "time", "issuer", "sender", "recipient", "document",
    "sequence", "previous", "submitted", "content", "application", "actor",
}  # fmt: skip


class InvalidRecord(ValueError):
    """The octets are not a record of a version that we know; the message says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a record says."""

    id: str
    event: Event
    at: datetime
    reasons: tuple[tuple[str, str], ...]  # code and detail
    office: str
    key: str
    sender: str
    recipient: str
    document: str
    sequence: int
    previous: str
    submitted: datetime | None
    content: dict[str, object] | None  # as it stands
    content_digest: str  # hex SHA-256; empty: none
    content_size: int
    number: str
    message_id: str
    actor_account: str
    actor_unit: str
    actor_name: str


def read_record(octets: bytes) -> Reading:
    """The meaning of a record's octets.

    Raises InvalidRecord for another version, a member too many or too few, a value of another type
    or octets that are not canonical: two texts with one meaning would be two digests.
    """
    try:
        value = json.loads(octets, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidRecord("it is not JSON") from None
    if not isinstance(value, dict) or _take(value, "version", int) != VERSION:
        raise InvalidRecord("it is not a record of version 1")
    if value.keys() != _MEMBERS:
        raise InvalidRecord("its members are not those of version 1")
    issuer = _object(value["issuer"], "issuer", {"office", "key"})
    application = _object(value["application"], "application", {"number", "message_id"})
    actor = value["actor"]
    if actor is not None:
        actor = _object(actor, "actor", {"account", "unit", "name", "login", "address"})
    content = value["content"]
    if content is not None:
        content = _object(content, "content", {"algorithm", "digest", "size", "parts"})
    if content is not None and _take(content, "algorithm", str) != "sha256":
        raise InvalidRecord("its content has a digest that is not SHA-256")
    try:
        event = Event(_take(value, "event", str))
    except ValueError:
        raise InvalidRecord("its event is not in the vocabulary") from None
    reading = Reading(
        id=_take(value, "id", str),
        event=event,
        at=_time(_take(value, "time", str)),
        reasons=tuple(_reason(reason) for reason in _take(value, "reasons", list)),
        office=_take(issuer, "office", str),
        key=_take(issuer, "key", str),
        sender=_take(value, "sender", str),
        recipient=_take(value, "recipient", str),
        document=_take(value, "document", str),
        sequence=_take(value, "sequence", int),
        previous=_take(value, "previous", str),
        submitted=_time(value["submitted"]) if value["submitted"] else None,
        content=content,
        content_digest="" if content is None else _hex(_take(content, "digest", str)),
        content_size=0 if content is None else _take(content, "size", int),
        number=_take(application, "number", str),
        message_id=_take(application, "message_id", str),
        actor_account=_take(actor, "account", str) if actor else "",
        actor_unit=_take(actor, "unit", str) if actor else "",
        actor_name=_take(actor, "name", str) if actor else "",
    )
    if reading.previous:
        _hex(reading.previous)
    if reading.sequence < 1 or (reading.sequence == 1) != (reading.previous == ""):
        raise InvalidRecord("its place in the document's chain is impossible")
    if reading.event.negative and not reading.reasons:
        raise InvalidRecord("it is negative evidence without a reason")
    try:
        same = canonical(value) == octets
    except ValueError:
        same = False
    if not same:
        raise InvalidRecord("its octets are not canonical JSON")
    return reading


def _no_number(text: str) -> None:
    """1.0 would be equal to 1 here, and yet other octets."""
    raise ValueError(f"{text} is not an integer")


def _object(value: object, name: str, members: set[str]) -> dict[str, object]:
    if not isinstance(value, dict) or value.keys() != members:
        raise InvalidRecord(f"its member {name} has another form")
    return value


def _take(value: dict[str, object], name: str, kind: type[T]) -> T:
    found = value.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise InvalidRecord(f"its member {name} has another form")
    return found


def _reason(value: object) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise InvalidRecord("its reasons have another form")
    return _take(value, "code", str), _take(value, "detail", str)


def _time(text: object) -> datetime:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise InvalidRecord("it has a time that is not UTC with milliseconds")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRecord("it has an impossible time") from None


def _hex(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise InvalidRecord("it has a digest that is not SHA-256 in hex")
    return text
