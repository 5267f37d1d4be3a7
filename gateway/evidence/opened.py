"""Takes a receipt apart into signed octets, signature and files, with the standard library only."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser

PROTECTED = ("From", "Subject", "Date", "Message-ID")  # repeated inside the signed part
_DEPTH = 5
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Unreadable(ValueError):
    """The mail has not the structure of a receipt; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A receipt's pieces."""

    entity: bytes  # the exact octets that are signed
    signature: bytes  # armoured OpenPGP
    files: dict[str, bytes]  # attached files inside the signed part, by name, decoded
    disagreeing: tuple[str, ...]  # fields of the header that say something else than was signed

    def file(self, name: str) -> bytes | None:
        """An attached file; None if there is none of that name."""
        return self.files.get(name)


def open_receipt(octets: bytes) -> Opened:
    """Take a receipt apart. Line ends are made CRLF again: what is signed is 7-bit text in CRLF.

    Raises Unreadable if the mail is no multipart/signed of two parts.
    """
    octets = _LINE_END.sub(b"\r\n", octets)
    head, body = _split(octets)
    parts = _parts(head, body)
    if head.get_content_type() != "multipart/signed" or len(parts) != 2:
        raise Unreadable("The mail is not a signed receipt (multipart/signed of two parts).")
    entity, signature = parts
    files: dict[str, bytes] = {}
    _collect(entity, files, 0)
    inner = _split(entity)[0]
    disagreeing = tuple(
        name for name in PROTECTED if name in inner and _words(head, name) != _words(inner, name)
    )
    return Opened(entity, _split(signature)[1], files, disagreeing)


def _words(head: Message, name: str) -> list[str]:
    """All values of a field as people see them: relays fold and encode anew."""
    try:
        decoded = [str(make_header(decode_header(str(value)))) for value in head.get_all(name, [])]
    except (HeaderParseError, LookupError, ValueError):
        return ["unreadable"]
    return ["".join(value.split()) for value in decoded]


def _split(entity: bytes) -> tuple[Message, bytes]:
    head, _, body = entity.partition(b"\r\n\r\n")
    return BytesHeaderParser().parsebytes(head + b"\r\n\r\n"), body


def _parts(head: Message, body: bytes) -> list[bytes]:
    """The parts of a multipart, octet for octet; the CRLF before a boundary is the boundary's."""
    boundary = head.get_param("boundary")
    if not isinstance(boundary, str) or head.get_content_maintype() != "multipart":
        return []
    mark = re.compile(
        rb"(?:\A|\r\n)--" + re.escape(boundary.encode("utf-8")) + rb"(--)?[ \t]*(?=\r\n|\Z)"
    )
    parts: list[bytes] = []
    start = -1
    for found in mark.finditer(body):
        if start >= 0:
            parts.append(body[start : found.start()])
        if found[1]:
            return parts
        start = found.end() + 2
    return []  # without its end the multipart may be cut short


def _collect(entity: bytes, files: dict[str, bytes], depth: int) -> None:
    head, body = _split(entity)
    name = head.get_filename()
    if head.get_content_maintype() == "multipart" and depth < _DEPTH:
        for part in _parts(head, body):
            _collect(part, files, depth + 1)
    elif name is not None:
        if name in files:
            raise Unreadable(f"The receipt has two parts named {name}.")
        files[name] = _decoded(head, body)


def _decoded(head: Message, body: bytes) -> bytes:
    match str(head.get("Content-Transfer-Encoding", "7bit")).strip().lower():
        case "base64":
            try:
                return base64.b64decode(body)
            except binascii.Error:
                raise Unreadable("A part of the receipt is not base64.") from None
        case "quoted-printable":
            return quopri.decodestring(body)
        case _:
            return body
