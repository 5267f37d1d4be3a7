"""Finds what BODY[...] asks for in a message's structure and header (RFC 3501, 6.4.5)."""

from __future__ import annotations

import re
from functools import lru_cache

from mailboxes.imap.syntax import Section
from mailboxes.structure import Part

Range = tuple[int, int]  # first octet, and the one behind the last

_FIELD = re.compile(rb"^([^\s:]++)[ \t]*+:[^\n]*+\n?+(?:[ \t][^\n]*+\n?+)*+", re.MULTILINE)
_END = b"\r\n"
_FEW = 2_048  # octets of names that are kept as an expression; 256 of a megabyte were 2 GB


def find_part(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """The part of that number; None if there is none."""
    found: Part | None = None
    for number in numbers:
        options = _below(found) if found is not None else _top(root)
        if number > len(options):
            return None
        found = options[number - 1]
    return found


def section_range(  # noqa: PLR0911  # one for each kind of section
    root: Part, size: int, section: Section
) -> Range | None:
    """Where the section stands, if it is one run of octets: all but HEADER.FIELDS; None if there is
    no such part. `size` is that of the message."""
    if not section.part:
        match section.text:
            case "":
                return 0, size
            case "TEXT":
                return root.body_start, size
            case _:
                return 0, root.body_start
    part = find_part(root, section.part)
    if part is None:
        return None
    if section.text == "":
        return part.body_start, part.body_end
    if section.text == "MIME":
        return part.header_start, part.body_start
    message = part.children[0] if is_message(part) else None
    if message is None:
        return None
    if section.text == "TEXT":
        return message.body_start, message.body_end
    return message.header_start, message.body_start


def is_message(part: Part) -> bool:
    """Whether it holds an embedded message that was looked into."""
    return bool(part.children) and not part.media_type.startswith("multipart/")


def choose_fields(header: bytes, fields: tuple[bytes, ...], *, leave_out: bool) -> bytes:
    """HEADER.FIELDS of a header, or HEADER.FIELDS.NOT, with an empty line behind them."""
    if not leave_out and sum(map(len, fields)) <= _FEW:
        return b"".join(_chooser(fields).findall(header)) + _END
    named = {name.lower() for name in fields}
    kept = [
        match[0]
        for match in _FIELD.finditer(header)
        if (match[1].lower() in named) is not leave_out
    ]
    return b"".join(kept) + _END


@lru_cache(256)
def _chooser(fields: tuple[bytes, ...]) -> re.Pattern[bytes]:
    names = b"|".join(re.escape(name) for name in fields)
    return re.compile(
        rb"^(?:%s)[ \t]*:[^\n]*\n?(?:[ \t][^\n]*\n?)*" % names, re.IGNORECASE | re.MULTILINE
    )


def _top(message: Part) -> tuple[Part, ...]:
    """The parts that a message's first number chooses from."""
    if message.children and message.media_type.startswith("multipart/"):
        return message.children
    return (message,)


def _below(part: Part) -> tuple[Part, ...]:
    if is_message(part):
        return _top(part.children[0])
    return part.children
