"""The structure of a message as offsets into its octets: what IMAP needs, computed once.

All offsets are octets from the start of the message. Values of header fields are raw octets,
unfolded the way IMAP wants them only where a caller asks. Stored as JSON, so every field is a
plain value; octets that are not UTF-8 survive by `surrogateescape` (`charset.wire_text`).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field where it stands: octets start to end, its CRLF included."""

    name: str  # as written
    # After the colon, unfolded (CRLF removed, white space kept), outer space stripped; empty in a
    # structure that was kept (`encode`): read it from the octets then.
    value: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME entity. The root is the message itself.

    Numbers are those of IMAP (RFC 3501, 6.4.5): "" for a root with parts, "1" for one without; an
    embedded message with parts has the number of the part that holds it, one without has ".1"
    behind that. So every part without children has a number of its own.
    """

    number: str  # "", "1", "2.1" ...
    media_type: str  # lower case: text/plain
    parameters: tuple[tuple[str, str], ...]  # of Content-Type, RFC 2231 joined, not decoded
    disposition: str  # lower case; empty if none
    disposition_parameters: tuple[tuple[str, str], ...]
    encoding: str  # Content-Transfer-Encoding, lower case; "7bit" if none
    content_id: str
    description: str
    header_start: int
    body_start: int  # first octet after the empty line
    body_end: int  # without the CRLF that belongs to a boundary
    lines: int  # of the body
    fields: tuple[HeaderField, ...]
    children: tuple[Part, ...] = field(default=())  # of a multipart, or one embedded message
    faults: tuple[str, ...] = ()  # e.g. "no-end-boundary", "bad-header"; all are listed in `scan`
