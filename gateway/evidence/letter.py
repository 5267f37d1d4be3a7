"""Writes the office's letters: 7-bit mail with CRLF, signed as PGP/MIME, never answered.

Own writer because the signature covers exact octets: the standard library's generator folds and
re-encodes as it sees fit, and as its version sees fit.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, formataddr

from gateway.domain.words import encoded_words
from gateway.seals.pgpmime import sign_mime
from gateway.seals.signer import Signer

_LINE = 76
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The header of a letter, apart from its structure."""

    from_name: str  # display name: the office
    from_address: str
    to: str  # address
    subject: str  # one line
    date: datetime  # aware
    message_id: str  # with its angle brackets
    about: str = ""  # Message-ID of the document; left out if it is not one
    extra: tuple[tuple[str, str], ...] = ()  # X- fields, ASCII


def one_line(text: str) -> str:
    """The text on one line without control characters, for a subject or a table."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def field(name: str, value: str) -> bytes:
    """One header field of 7-bit octets, encoded by RFC 2047 where needed, with its CRLF.

    Raises ValueError for CR or LF in the value: it would begin another field.
    """
    if "\r" in value or "\n" in value:
        raise ValueError(f"a line end in the value of {name}")
    # a title that looks like an encoded word must not be decoded into something else
    plain = value.isascii() and not (name == "Subject" and "=?" in value)
    if plain and len(name) + 2 + len(value) <= 76:
        return f"{name}: {value}\r\n".encode("ascii")
    if plain:
        return _folded(f"{name}: {value}").encode("ascii") + b"\r\n"
    return f"{name}: {encoded_words(value, before=len(name) + 2)}\r\n".encode("ascii")


def _folded(line: str) -> str:
    """The field in lines of at most 76 letters, where blanks allow that (RFC 5322, 2.2.3)."""
    lines: list[str] = []
    while len(line) > _LINE:
        # The name stays with the first word of its value.
        cut = line.rfind(" ", line.find(" ") + 2 if not lines else 1, _LINE + 1)
        if cut < 0:
            cut = line.find(" ", _LINE)
        if cut < 0:
            break
        lines.append(line[:cut])
        line = line[cut:]
    return "\r\n".join((*lines, line))


def structured(name: str, value: str, *parameters: tuple[str, str]) -> bytes:
    """A field such as Content-Type: ASCII, each parameter quoted and on a line of its own."""
    lines = [f"{name}: {value}"]
    for key, given in parameters:
        quoted = given.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'\t{key}="{quoted}"')
    return (";\r\n".join(lines) + "\r\n").encode("ascii")


def text_part(text: str) -> bytes:
    """A text/plain entity in UTF-8."""
    return _coded(
        structured("Content-Type", "text/plain", ("charset", "utf-8")),
        "base64",
        text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8"),
    )


def file_part(media_type: str, name: str, octets: bytes, *, readable: bool = False) -> bytes:
    """An attachment. `readable` ASCII is quoted-printable: long lines stay nearly as they are."""
    return _coded(
        structured("Content-Type", media_type, ("name", name))
        + structured("Content-Disposition", "attachment", ("filename", name)),
        "quoted-printable" if readable else "base64",
        octets,
    )


def _coded(head: bytes, encoding: str, octets: bytes) -> bytes:
    if encoding == "base64":
        body = base64.encodebytes(octets)
    else:
        body = binascii.b2a_qp(octets, istext=False)
    head += structured("Content-Transfer-Encoding", encoding)
    return head + b"\r\n" + body.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"


def multipart(
    subtype: str,
    boundary: str,
    parts: Iterable[bytes],
    *,
    parameters: Sequence[tuple[str, str]] = (),
    fields: bytes = b"",
) -> bytes:
    """A multipart entity. The caller chooses a boundary that no part holds; `=_` helps."""
    mark = b"--" + boundary.encode("ascii")
    head = structured("Content-Type", f"multipart/{subtype}", *parameters, ("boundary", boundary))
    pieces = [head, fields, b"\r\n"]
    for part in parts:
        pieces += [mark, b"\r\n", part, b"\r\n"]
    pieces += [mark, b"--\r\n"]
    return b"".join(pieces)


def protected(envelope: Envelope) -> bytes:
    """The fields that are repeated inside the signed part, so that the signature covers them."""
    return b"".join(
        (
            field("From", _from(envelope)),
            field("Subject", envelope.subject),
            field("Date", format_datetime(envelope.date)),
            field("Message-ID", envelope.message_id),
        )
    )


def signed_letter(envelope: Envelope, entity: bytes, signer: Signer) -> bytes:
    """The whole mail: header and multipart/signed around the entity.

    Its header tells every program that it must not be answered: null return path, Auto-Submitted
    (RFC 3834), no Reply-To.
    """
    body, content_type = sign_mime(entity, signer)
    head = [
        b"Return-Path: <>\r\n",
        field("From", _from(envelope)),
        b"To: " + envelope.to.encode("utf-8") + b"\r\n",
        field("Subject", envelope.subject),
        field("Date", format_datetime(envelope.date)),
        field("Message-ID", envelope.message_id),
    ]
    if is_message_id(envelope.about):
        head += [
            f"{name}: {envelope.about}\r\n".encode("ascii")
            for name in ("In-Reply-To", "References")
        ]
    head.append(b"Auto-Submitted: auto-replied\r\n")
    head += [field(name, value) for name, value in envelope.extra]
    head.append(b"MIME-Version: 1.0\r\n")
    folded = content_type.replace("; ", ";\r\n\t")
    head.append(f"Content-Type: {folded}\r\n".encode("ascii"))
    return b"".join((*head, b"\r\n", body))


def is_message_id(text: str) -> bool:
    """Whether a text from outside may stand in References."""
    return _MESSAGE_ID.fullmatch(text) is not None


def _from(envelope: Envelope) -> str:
    name = one_line(envelope.from_name)
    if name.isascii():
        return formataddr((name, envelope.from_address))
    return f"{encoded_words(name, line=900)} <{envelope.from_address}>"
