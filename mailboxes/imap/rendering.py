"""The values of FETCH that depend on a content alone, in the form of the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailboxes.decode import decode_body
from mailboxes.imap import output
from mailboxes.imap.loading import (
    BODYSTRUCTURE,
    DIGEST,
    ENVELOPE,
    HEADER,
    OCTETS,
    STRUCTURE,
    Loaded,
    object_id_of,
)
from mailboxes.imap.ports import Refusal
from mailboxes.imap.sections import choose_fields, find_part, is_message, section_range
from mailboxes.imap.syntax import FetchItem

_LONG = 262_144  # octets of a section that is streamed
_PIECE = 65_536
_ENCODINGS = frozenset({
    "", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is too long to be held."""

    start: bytes
    length: int
    pieces: Iterator[bytes]


Answer = bytes | Stream


def label_of(item: FetchItem) -> bytes:
    """The item's name in the answer, with a blank behind it."""
    section = item.section
    if section is None:
        return item.name.encode() + b" "
    words = ".".join(map(str, section.part))
    if section.text:
        words += ("." if words else "") + section.text
    inside = words.encode()
    if section.fields:
        inside += b" (%s)" % b" ".join(output.astring(name) for name in section.fields)
    origin = b"<%d>" % item.partial[0] if item.partial else b""
    return b"%s[%s]%s " % (item.name.removesuffix("[]").encode(), inside, origin)


def needs_of(item: FetchItem) -> frozenset[str]:
    """What has to be known of a content for that item, but for odd cases."""
    section = item.section
    if item.name in _NEEDS:
        return _NEEDS[item.name]
    if section is not None and not section.part:
        if section.text.startswith("HEADER"):
            return HEADER
        if not section.text:
            return OCTETS
    return OCTETS | STRUCTURE


def render(content: Loaded, item: FetchItem) -> Answer:
    """The value of one item; runs in a thread."""
    return _RENDER[item.name](content, item)


def _emailid(content: Loaded, _item: FetchItem) -> bytes:
    return b"(%s)" % object_id_of(content.row.digest).encode("ascii")


def _header(content: Loaded, item: FetchItem) -> Answer:
    return _cut(item, content.header)


def _body(content: Loaded, item: FetchItem) -> Answer:
    section = item.section
    assert section is not None  # noqa: S101  # the grammar gives BODY[] one
    if section.text.startswith("HEADER.FIELDS"):
        return _fields(content, item)
    if section.text == "HEADER" and not section.part:
        return _header(content, item)
    if not section.part and not section.text:
        return _octets(content, item, 0, content.row.size)
    found = section_range(content.structure, content.row.size, section)
    if found is None:
        return b"NIL"
    return _octets(content, item, *found)


def _fields(content: Loaded, item: FetchItem) -> Answer:
    section = item.section
    assert section is not None  # noqa: S101  # the grammar, or who calls, has seen to it
    if section.part:
        part = find_part(content.structure, section.part)
        if part is None or not is_message(part):
            return b"NIL"
        message = part.children[0]
        start = message.header_start
        header = content.octets(start, message.body_start - start)
    else:
        header = content.header
    leave_out = section.text.endswith(".NOT")
    return _cut(item, choose_fields(header, section.fields, leave_out=leave_out))


def _rfc822(content: Loaded, item: FetchItem) -> Answer:
    return _octets(content, item, 0, content.row.size)


def _rfc822_text(content: Loaded, item: FetchItem) -> Answer:
    return _octets(content, item, content.structure.body_start, content.row.size)


def _octets(content: Loaded, item: FetchItem, start: int, end: int) -> Answer:
    """A run of octets, or the part of it that is asked for."""
    if item.partial is not None:
        first, length = item.partial
        start, end = min(start + first, end), min(start + first + length, end)
    length = end - start
    if length > _LONG:
        return Stream(b"{%d}\r\n" % length, length, content.pieces(start, length, _PIECE))
    if content.row.size <= _LONG and content.is_view:
        octets = content.whole[start:end]
    else:
        octets = content.octets(start, length)
    return output.literal(octets)


def _cut(item: FetchItem, octets: bytes) -> bytes:
    if item.partial is not None:
        octets = octets[item.partial[0] : item.partial[0] + item.partial[1]]
    return output.literal(octets)


def _binary(content: Loaded, item: FetchItem) -> Answer:
    decoded = _decoded(content, item)
    if decoded is None:
        return b"NIL"
    if item.partial is not None:
        decoded = decoded[item.partial[0] : item.partial[0] + item.partial[1]]
    return output.binary(decoded)


def _binary_size(content: Loaded, item: FetchItem) -> Answer:
    decoded = _decoded(content, item)
    return b"NIL" if decoded is None else b"%d" % len(decoded)


def _decoded(content: Loaded, item: FetchItem) -> bytes | None:
    section = item.section
    assert section is not None  # noqa: S101  # the grammar, or who calls, has seen to it
    if not section.part:
        return content.whole
    part = find_part(content.structure, section.part)
    if part is None:
        return None
    octets = content.octets(part.body_start, part.body_end - part.body_start)
    if part.children:
        return octets
    if part.encoding not in _ENCODINGS:
        raise Refusal("The encoding of that part is not known", code="UNKNOWN-CTE")
    return decode_body(octets, part.encoding)


_RENDER: dict[str, Callable[[Loaded, FetchItem], Answer]] = {
    "ENVELOPE": lambda content, _: output.envelope(content.row.envelope),
    "BODYSTRUCTURE": lambda content, _: output.bodystructure(content.row.bodystructure),
    "BODY": lambda content, _: output.body(content.row.bodystructure),
    "EMAILID": _emailid,
    "RFC822": _rfc822,
    "RFC822.HEADER": _header,
    "RFC822.TEXT": _rfc822_text,
    "BODY[]": _body,
    "BINARY[]": _binary,
    "BINARY.SIZE[]": _binary_size,
}

_NEEDS: dict[str, frozenset[str]] = {
    "ENVELOPE": ENVELOPE,
    "BODYSTRUCTURE": BODYSTRUCTURE,
    "BODY": BODYSTRUCTURE,
    "EMAILID": DIGEST,
    "RFC822": OCTETS,
    "RFC822.HEADER": HEADER,
}
