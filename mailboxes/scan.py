"""Finds the structure of any message, with offsets; never raises, never copies a body.

Lines end with CRLF or a bare LF: what is a header or a boundary to any common mail program is one
here, so nothing hides from a check. Limits are far beyond real mail; passing one is a fault that
the structure names, and what lies beyond it is one part's body.

Own code because the standard library's parser keeps no offsets, copies the content several times,
and raises on mail that exists.

Faults: bad-header (a line that is no field), no-header-end (no empty line), header-too-long,
too-many-fields, bad-content-type, no-boundary (a multipart without a usable boundary or without
parts: it is a leaf), no-end-boundary, similar-boundary (a line goes on behind what would be a
boundary, and not all programs take it for the same; with white space between it is one here),
too-deep, too-many-parts, encoded-message (an embedded message under base64 or quoted-printable,
which RFC 2046 forbids: it is not looked into), encoded-multipart (the same for a multipart; parts
are found only as far as they stand in the clear), ambiguous-boundary (given twice, in a form of
RFC 2231, or unquoted with what may not stand there: programs take different ones; or that of a
multipart around it: programs differ in which of the two an end boundary ends), unread-parts (a
multipart that is a leaf, and yet holds the header fields of parts: a program that guesses the
boundary shows them).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailboxes.charset import wire_octets, wire_text
from mailboxes.decode import parameter
from mailboxes.parameters import Parameters, spellings, take_apart, without_comments
from mailboxes.structure import HeaderField, Part

MAX_DEPTH = 40
MAX_PARTS = 2_000
MAX_FIELDS = 20_000
MAX_HEADER = 1 << 20  # octets of the headers of all parts together
_MAX_CANDIDATES = 50_000  # lines that begin like a boundary

_FIELD = re.compile(rb"([!-9;-~\x80-\xff]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+")
_JUNK = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+")
_LINE_END = re.compile(rb"\r?\n")
# What follows white space in a boundary's line is not looked at (RFC 2046, 5.1.1).
_BOUNDARY_TAIL = re.compile(rb"(--)?+(?:[ \t]([^\n]*+))?+(?:\r?\n|\r?\Z)")
_MEDIA_TYPE = re.compile(r"[^\s/]+/[^\s/]+")
_TOKEN = re.compile(r"[^\s;()\"]+")
_PART_FIELD = re.compile(rb"^content-[a-z-]+[ \t]*:", re.IGNORECASE | re.MULTILINE)
_UNQUOTED = re.compile(r";\s*boundary\s*=\s*([^\s\";][^;]*)", re.IGNORECASE)
_MESSAGES = ("message/rfc822", "message/global")
# What such a part is, only another message or another server can say (RFC 2046, 5.2.2 and 5.2.3).
_ELSEWHERE = ("message/partial", "message/external-body")
_ENCODED = ("base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue", "uue")


def scan(octets: bytes | memoryview) -> Part:
    """The structure of a message.

    A memoryview of a whole bytes object costs no copy; any other memoryview is copied once.
    """
    if isinstance(octets, memoryview):
        whole = octets.obj
        octets = (
            whole if isinstance(whole, bytes) and len(whole) == octets.nbytes else bytes(octets)
        )
    return _Scan(octets).entity(_Span(0, len(octets), len(octets)), "", "1")


def scan_fields(octets: bytes) -> tuple[HeaderField, ...]:
    """The header fields of octets that are nothing but header fields."""
    return tuple(_Scan(octets).fields(0, len(octets), []))


class _Span(NamedTuple):
    """Where an entity stands. `limit` is behind the line end that belongs to the boundary."""

    start: int
    end: int
    limit: int


class _Scan:
    """One run over one message: its octets, and what is left of each limit."""

    def __init__(self, octets: bytes) -> None:
        self._data = octets
        self._parts = MAX_PARTS
        self._fields = MAX_FIELDS
        self._header = MAX_HEADER
        self._candidates = _MAX_CANDIDATES
        self._open: list[bytes] = []  # boundaries of the multiparts that are being read

    def entity(
        self, span: _Span, branch: str, leaf: str, *, depth: int = 0, default: str = "text/plain"
    ) -> Part:
        """The entity there; its number is `branch` if it turns out to have parts, else `leaf`."""
        faults: list[str] = []
        header_stop, body_start = self._header_end(span.start, span.limit, faults)
        body = _Span(body_start, max(span.end, body_start), span.limit)
        fields = tuple(self.fields(span.start, header_stop, faults))
        first: dict[str, bytes] = {}
        for field in fields:
            first.setdefault(field.name.lower(), field.value)
        media_type, parameters = _content_type(first.get("content-type"), default, faults)
        disposition, disposition_parameters = take_apart(first.get("content-disposition", b""))
        encoding_text = wire_text(first.get("content-transfer-encoding", b"")).lower()
        encoding = _TOKEN.search(without_comments(encoding_text))
        encoding_name = encoding[0] if encoding else "7bit"
        number = leaf
        children: tuple[Part, ...] = ()
        if media_type.startswith("multipart/"):
            if encoding_name in _ENCODED:
                faults.append("encoded-multipart")
            kind = "message/rfc822" if media_type == "multipart/digest" else "text/plain"
            boundary = _boundary(parameters)
            if _is_ambiguous(first["content-type"]) or boundary in self._open:
                faults.append("ambiguous-boundary")
            children = self._multipart(body, branch, boundary, faults, depth=depth, default=kind)
            trimmed = boundary.rstrip(b" \t")
            if not children and trimmed != boundary:
                faults.remove("no-boundary")
                children = self._multipart(body, branch, trimmed, faults, depth=depth, default=kind)
            if children:
                number = branch
            elif _PART_FIELD.search(self._data, body.start, body.end):
                faults.append("unread-parts")
        elif media_type in _MESSAGES and encoding_name in _ENCODED:
            faults.append("encoded-message")
        elif media_type in _ELSEWHERE:
            faults.append("content-elsewhere")
        elif media_type in _MESSAGES:
            children = self._embedded(body, leaf, faults, depth=depth)
            # The line end in front of a boundary may be the empty line of the embedded header.
            body = body._replace(end=max([body.end, *(child.body_end for child in children)]))
        return Part(
            number=number,
            media_type=media_type,
            parameters=parameters,
            disposition=disposition,
            disposition_parameters=disposition_parameters,
            encoding=encoding_name,
            content_id=wire_text(first.get("content-id", b"")),
            description=wire_text(first.get("content-description", b"")),
            header_start=span.start,
            body_start=body.start,
            body_end=body.end,
            lines=self._data.count(b"\n", body.start, body.end),
            fields=fields,
            children=children,
            faults=tuple(dict.fromkeys(faults)),
        )

    def fields(self, start: int, stop: int, faults: list[str]) -> Iterator[HeaderField]:
        """The fields between two offsets; lines that are no field are passed over."""
        data, position = self._data, start
        while position < stop:
            match = _FIELD.match(data, position, stop)
            if match is None:
                faults.append("bad-header")
                junk = _JUNK.match(data, position, stop)
                position = junk.end() if junk is not None else stop
                continue
            if self._fields <= 0:
                faults.append("too-many-fields")
                return
            self._fields -= 1
            value = match[2]
            if b"\n" in value:
                value = _LINE_END.sub(b"", value)
            yield HeaderField(wire_text(match[1]), value.strip(b" \t\r\n"), position, match.end())
            position = match.end()

    def _header_end(self, start: int, limit: int, faults: list[str]) -> tuple[int, int]:
        """Where the fields end, and where the body starts."""
        data = self._data
        if data.startswith(b"\n", start, limit):
            return start, start + 1
        if data.startswith(b"\r\n", start, limit):
            return start, start + 2
        crlf = data.find(b"\n\r\n", start, limit)
        lf = data.find(b"\n\n", start, limit if crlf < 0 else crlf + 1)
        if lf >= 0:
            stop, body = lf + 1, lf + 2
        elif crlf >= 0:
            stop, body = crlf + 1, crlf + 3
        else:
            stop = body = limit
            faults.append("no-header-end")
        if stop - start > self._header:
            stop = start + self._header
            faults.append("header-too-long")
        self._header -= stop - start
        return stop, body

    def _multipart(
        self, body: _Span, number: str, boundary: bytes, faults: list[str],
        *, depth: int, default: str,
    ) -> tuple[Part, ...]:  # fmt: skip
        if not boundary:
            faults.append("no-boundary")
            return ()
        if depth >= MAX_DEPTH:
            faults.append("too-deep")
            return ()
        children: list[Part] = []
        self._open.append(boundary)
        for span in self._split(body, b"--" + boundary, faults):
            if self._parts <= 0:
                faults.append("too-many-parts")
                break
            self._parts -= 1
            own = f"{number}.{len(children) + 1}" if number else str(len(children) + 1)
            children.append(self.entity(span, own, own, depth=depth + 1, default=default))
        self._open.pop()
        if not children:
            faults.append("no-boundary")
        return tuple(children)

    def _split(self, body: _Span, delimiter: bytes, faults: list[str]) -> Iterator[_Span]:
        """Each part between delimiter lines (RFC 2046, 5.1.1).

        The line end in front of a delimiter belongs to the delimiter, but may also be the empty
        line that ends a header: then the limit is behind it.
        """
        data, (start, end, _) = self._data, body
        part_start = -1
        position = start
        if data.startswith(delimiter, start, end):
            tail = _BOUNDARY_TAIL.match(data, start + len(delimiter), end)
            if tail is None or (tail[2] and not tail[2].isspace()):
                faults.append("similar-boundary")
            if tail is not None:
                if tail[1]:
                    return
                part_start = position = tail.end()
        sought = b"\n" + delimiter
        while True:
            # The line end of one delimiter line may be the one in front of the next.
            found = data.find(sought, max(position - 1, start), end)
            if found < 0 or self._candidates <= 0:
                break
            self._candidates -= 1
            tail = _BOUNDARY_TAIL.match(data, found + len(sought), end)
            if tail is None:
                faults.append("similar-boundary")
                position = found + len(sought)
                continue
            if tail[2] and not tail[2].isspace():
                faults.append("similar-boundary")
            if part_start >= 0:
                line_end = found - 1 if data[found - 1 : found] == b"\r" else found
                yield _Span(part_start, max(line_end, part_start), max(found + 1, part_start))
            part_start = position = tail.end()
            if tail[1]:
                return
        if self._candidates <= 0:
            faults.append("too-many-parts")
        if part_start >= 0:
            faults.append("no-end-boundary")
            yield _Span(part_start, end, end)

    def _embedded(
        self, body: _Span, number: str, faults: list[str], *, depth: int
    ) -> tuple[Part, ...]:
        if depth >= MAX_DEPTH or self._parts <= 0:
            faults.append("too-deep" if depth >= MAX_DEPTH else "too-many-parts")
            return ()
        self._parts -= 1
        return (self.entity(body, number, f"{number}.1", depth=depth + 1),)


def _content_type(value: bytes | None, default: str, faults: list[str]) -> tuple[str, Parameters]:
    if value is None:
        return default, ()
    media_type, parameters = take_apart(value)
    if _MEDIA_TYPE.fullmatch(media_type) is None:
        faults.append("bad-content-type")
        return default, parameters
    return media_type, parameters


def _is_ambiguous(content_type: bytes) -> bool:
    """Whether programs disagree about the boundary that the field names."""
    if spellings(content_type, "boundary") not in ([], ["boundary"]):
        return True
    unquoted = _UNQUOTED.search(wire_text(content_type))
    return unquoted is not None and re.search(r"[\s(\"]", unquoted[1].strip()) is not None


def _boundary(parameters: Parameters) -> bytes:
    for name, value in parameters:
        if name == "boundary":
            return wire_octets(value)
    return parameter(parameters, "boundary").encode("utf-8", "replace")
