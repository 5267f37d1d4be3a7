"""ENVELOPE and BODYSTRUCTURE (RFC 3501, 7.4.2; RFC 9051, 7.5.2) as values ready to be written.

Values are JSON: a string (`charset.wire_text` of the raw octets, encoded words left as they are),
a number, a list, or null for NIL. Where IMAP writes the bodies of a multipart one behind another,
the value is a list of them in the first place: [[body, ...], "mixed", ...].
"""

from __future__ import annotations

from collections.abc import Iterator

from mailboxes import addresses
from mailboxes.charset import parsed_octets, parsing_text, wire_text
from mailboxes.parameters import Parameters
from mailboxes.structure import Part

Value = str | int | None | list["Value"]

# What other servers write where an address lacks one; NIL would mean a group.
MISSING_MAILBOX = "MISSING_MAILBOX"
MISSING_DOMAIN = "MISSING_DOMAIN"
_ENCODINGS = ("7bit", "8bit", "binary", "base64", "quoted-printable", "uuencode")
_EMPTY_BODY: list[Value] = [
    "text", "plain", ["charset", "us-ascii"], None, None, "7bit", 0, 0, None, None, None, None,
]  # fmt: skip


def envelope(part: Part) -> list[Value]:
    """Date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id.

    Sender and Reply-To are the same as From where they are missing or empty. The addresses of
    several fields of one name are those of one field (RFC 5322, 4.5.3): programs differ in which
    one they show, so nobody is to be left out.
    """
    fields = _first_fields(part)
    senders = _addresses(part, "from")
    return [
        _string(fields, "date"),
        _string(fields, "subject"),
        senders,
        _addresses(part, "sender") or senders,
        _addresses(part, "reply-to") or senders,
        _addresses(part, "to"),
        _addresses(part, "cc"),
        _addresses(part, "bcc"),
        _string(fields, "in-reply-to"),
        _string(fields, "message-id"),
    ]


def bodystructure(part: Part) -> list[Value]:
    """The body structure with extension data; `body` leaves that out."""
    fields = _first_fields(part)
    kind, _, subtype = part.media_type.partition("/")
    tail: list[Value] = [
        _disposition(part),
        _languages(fields),
        _string(fields, "content-location"),
    ]
    if kind == "multipart" and part.children:
        children: list[Value] = [bodystructure(child) for child in part.children]
        return [children, subtype, _pairs(part.parameters), *tail]
    parameters = part.parameters
    if kind == "multipart":
        # Without parts it cannot be written as a multipart; its text is what a reader wants.
        kind, subtype, parameters = "text", "plain", ()
    if kind == "text" and not any(name == "charset" for name, _ in parameters):
        parameters = (*parameters, ("charset", "us-ascii"))
    result: list[Value] = [
        kind,
        subtype,
        _pairs(parameters),
        _string(fields, "content-id"),
        _string(fields, "content-description"),
        part.encoding if part.encoding.startswith(("x-", *_ENCODINGS)) else "7bit",
        part.body_end - part.body_start,
    ]
    if part.media_type == "message/rfc822":
        inner = part.children[0] if part.children else None
        result.append(envelope(inner) if inner else [None] * 10)
        result.append(bodystructure(inner) if inner else _EMPTY_BODY)
        result.append(part.lines)
    elif kind == "text":
        result.append(part.lines)
    return [*result, _string(fields, "content-md5"), *tail]


def body(structure: list[Value]) -> list[Value]:
    """BODY: a body structure without its extension data."""
    first = structure[0]
    if isinstance(first, list):
        children: list[Value] = [body(child) for child in first if isinstance(child, list)]
        return [children, structure[1]]
    short = structure[:-4]
    if len(short) == 10 and isinstance(short[8], list):
        short[8] = body(short[8])
    return short


def _first_fields(part: Part) -> dict[str, bytes]:
    first: dict[str, bytes] = {}
    for field in part.fields:
        first.setdefault(field.name.lower(), field.value)
    return first


def _string(fields: dict[str, bytes], name: str) -> str | None:
    value = fields.get(name)
    return None if value is None else wire_text(value)


def _pairs(parameters: Parameters) -> list[Value] | None:
    flat: list[Value] = [text for pair in parameters for text in pair]
    return flat or None


def _disposition(part: Part) -> list[Value] | None:
    if not part.disposition:
        return None
    return [part.disposition, _pairs(part.disposition_parameters)]


def _languages(fields: dict[str, bytes]) -> list[Value] | None:
    tags = wire_text(fields.get("content-language", b"")).split(",")
    found: list[Value] = [tag.strip() for tag in tags if tag.strip()]
    return found or None


def _addresses(part: Part, name: str) -> list[Value] | None:
    found = [
        address
        for field in part.fields
        if field.name.lower() == name
        for address in _field_addresses(field.value)
    ]
    return found or None


def _field_addresses(value: bytes) -> Iterator[Value]:
    text, codec = parsing_text(value)

    def octets(piece: str) -> str | None:
        return wire_text(parsed_octets(piece, codec)) if piece else None

    for entry in addresses.take_apart(text):
        name, mailbox = entry.name, entry.mailbox
        if entry.group == "end":
            yield [None, None, None, None]
        elif entry.group == "start":
            yield [None, None, octets(mailbox) or "", None]
        elif mailbox or entry.host or name:
            if not name and not entry.host and " " in mailbox:
                name, mailbox = mailbox, ""  # words without an address are somebody's name
            yield [
                octets(name),
                octets(entry.route),
                octets(mailbox) or MISSING_MAILBOX,
                octets(entry.host) or MISSING_DOMAIN,
            ]
