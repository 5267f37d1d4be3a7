"""What reading a message once brought to light: the values on which checks and verbs work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.document import Metadata, Opening, SealFinding
from mailboxes.structure import Part


class Reading(StrEnum):
    """What became of reading an attachment's text."""

    NOT_NEEDED = "not-needed"  # a type without text, such as an image
    READ = "read"
    ENCRYPTED = "encrypted"
    SCANNED = "scanned"  # pages, but no text on them
    UNREADABLE = "unreadable"  # broken, or of a type or charset that nothing here reads
    TIMEOUT = "timeout"  # it killed or outlasted the child
    BOMB = "bomb"  # expands beyond the limits


UNREAD = frozenset(
    (Reading.ENCRYPTED, Reading.SCANNED, Reading.UNREADABLE, Reading.TIMEOUT, Reading.BOMB)
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One leaf part that carries a file."""

    part: str  # IMAP part number: 2.1
    name: str  # decoded, may be empty
    declared_type: str  # as the sender said: application/pdf
    found_type: str  # by content: application/pdf; empty: unknown
    size: int  # octets, decoded
    sha256: str  # hex, of the decoded octets
    reading: Reading
    members: tuple[str, ...] = ()  # names inside an archive, with nested ones as a.zip/b.exe
    member_types: tuple[str, ...] = ()  # types found by content inside, same order
    other_names: tuple[str, ...] = ()  # that the part gives it too: programs take different ones


@dataclass(frozen=True, slots=True)
class Text:
    """Text found in the message. `place` is subject, header, body, attachment-name or the part."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class PartDigest:
    """One leaf part for the evidence record."""

    part: str
    media_type: str
    size: int  # octets, decoded
    sha256: str  # hex, of the decoded octets


@dataclass(frozen=True, slots=True)
class Marking:
    """A classification marking that was found; never its surroundings."""

    level: str  # top-secret, secret, confidential (绝密 机密 秘密)
    place: str  # as in Text


@dataclass(frozen=True, slots=True)
class Inspection:
    """One message, read once. Texts are for checks and search; they are never logged."""

    structure: Part  # over the original octets
    message_id: str  # with its angle brackets; empty if there is none
    subject: str  # decoded
    from_: tuple[str, ...]  # addr-specs as written, folded to lower case
    to: tuple[str, ...]
    cc: tuple[str, ...]
    repeated_headers: tuple[str, ...]  # single-valued headers that occur twice, lower case
    auto_submitted: str  # value of Auto-Submitted, lower case; empty: absent
    received: int  # number of Received fields
    passed_here: bool  # our own host already stands in a Received field
    receipt_style: str  # wish in X-Yizhan-Receipt: full, brief, machine; else empty
    texts: tuple[Text, ...]
    attachments: tuple[Attachment, ...]
    parts: tuple[PartDigest, ...]
    parts_digest: str  # hex SHA-256 over all decoded leaf parts: equal for a re-encoded resend
    markings: tuple[Marking, ...]
    seal: SealFinding
    opening: Opening
    encrypted_to: tuple[str, ...]  # key ids or fingerprints, upper-case hex
    metadata: Metadata
    inner_faults: tuple[str, ...] = ()  # structure faults in encryption and in attached messages
    from_shown: tuple[str, ...] = ()  # everything in From that looks like an address, folded
    from_unclear: bool = False  # From holds a group, a route, or words behind the address
    sender_fields: tuple[tuple[str, str], ...] = ()  # field and address: sender, reply-to, resent-*
    urgency_source: str = ""  # subject, mt-priority, importance, x-priority; empty: default

    @property
    def unread(self) -> tuple[Attachment, ...]:
        """The files that gave no text, or not all of it, though there may be some in them."""
        return tuple(one for one in self.attachments if one.reading in UNREAD)
