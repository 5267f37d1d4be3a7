"""Keeps a structure as JSON: pure ASCII, arrays in a fixed order, exact for any octets.

Version 2 of a part is [number, media type, parameters, disposition, its parameters, encoding,
content id, description, header start, body start, body end, lines, fields, children, faults];
a field is [name, start, end]. The values of fields stand in the message's octets, where the offsets
find them; kept here they would double every header in the database, once for each view.
"""

from __future__ import annotations

import json
from typing import cast

from mailboxes.structure import HeaderField, Part

_VERSION = 2
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)

_Pairs = list[tuple[str, str]]
_Field = tuple[str, int, int]
_Entry = tuple[
    str, str, _Pairs, str, _Pairs, str, str, str, int, int, int, int, list[_Field], list[object],
    list[str],
]  # fmt: skip


def compact(value: object) -> str:
    """ASCII JSON without blanks."""
    return _ENCODER.encode(value)


def to_json(part: Part) -> str:
    """The structure as ASCII text."""
    return compact([_VERSION, _entry(part)])


def from_json(text: str) -> Part:
    """The structure that `to_json` wrote, but every field's value is empty.

    Raises ValueError for anything else.
    """
    stored = json.loads(text)
    if not isinstance(stored, list) or len(stored) != 2 or stored[0] != _VERSION:
        raise ValueError("not a structure of a version that is known here")
    return _part(stored[1])


def _entry(part: Part) -> list[object]:
    return [
        part.number,
        part.media_type,
        part.parameters,
        part.disposition,
        part.disposition_parameters,
        part.encoding,
        part.content_id,
        part.description,
        part.header_start,
        part.body_start,
        part.body_end,
        part.lines,
        [(field.name, field.start, field.end) for field in part.fields],
        [_entry(child) for child in part.children],
        part.faults,
    ]


def _part(stored: object) -> Part:
    if not isinstance(stored, list) or len(stored) != 15:
        raise ValueError("not a stored part")
    entry = cast(_Entry, tuple(stored))
    return Part(
        number=entry[0],
        media_type=entry[1],
        parameters=tuple((name, value) for name, value in entry[2]),
        disposition=entry[3],
        disposition_parameters=tuple((name, value) for name, value in entry[4]),
        encoding=entry[5],
        content_id=entry[6],
        description=entry[7],
        header_start=entry[8],
        body_start=entry[9],
        body_end=entry[10],
        lines=entry[11],
        fields=tuple(HeaderField(name, b"", start, end) for name, start, end in entry[12]),
        children=tuple(_part(child) for child in entry[13]),
        faults=tuple(entry[14]),
    )
