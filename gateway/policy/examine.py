"""Reads one message once and says everything that checks and verbs want to know about it.

Pure: octets in, `Inspection` out, no I/O. Files are read through a callback, so that the caller
decides in which process a hostile one may crash.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime

from gateway.domain.document import Opening
from gateway.domain.marking import Level
from gateway.domain.metadata import read_metadata
from gateway.policy.attachments import Contents, ReadAttachment, read_contents
from gateway.policy.fields import faults, is_unclear, repeated, sender_fields, shown_addresses
from gateway.policy.inspection import Inspection, Marking, Text
from gateway.seals.book import SealBook
from gateway.seals.judge import Judgement, judge
from gateway.seals.opener import Opener
from mailboxes.decode import addresses, decode_text
from mailboxes.scan import scan
from mailboxes.structure import Part

# RFC 5322, 3.6 and RFC 2045, 4: fields that a message has at most once. Two of one mean that two
# programs may read two different messages.
SINGLE_FIELDS = frozenset((
    "date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to",
    "references", "subject", "mime-version", "content-type", "content-transfer-encoding",
    "content-disposition", "content-id", "content-description",
))  # fmt: skip
_ADDRESS_FIELDS = frozenset(("from", "to", "cc", "bcc", "sender", "reply-to"))
_KEPT_FIELDS = frozenset(("comments", "keywords", "thread-topic", "organization"))
_RECEIPT_STYLES = ("full", "brief", "machine")
_FIELD_LENGTH = 2_000  # characters of a header field that are searched for markings
_HEADER_SEARCHED = 256 * 1024  # characters of all header fields that are; real mail has a tenth


def examine(
    octets: bytes,
    *,
    unit_id: int,
    book: SealBook,
    at: datetime,
    clock_skew: float,
    opener: Opener | None,
    office_host: str,
    mt_priority: int | None,
    read_attachment: ReadAttachment,
    judgement: Judgement | None = None,
    structure: Part | None = None,
) -> Inspection:
    """Read a message of that unit, received at that moment.

    `judgement` and `structure`, the scan, save making them a second time. Of an encrypted message
    that could be opened attachments and markings are the plaintext's, but `texts`, `metadata` and
    `parts` come only from what was received: the plaintext is never kept. Raises what
    `read_attachment` raises.
    """
    structure = structure or scan(octets)
    judged = judgement or judge(
        octets, structure, unit_id=unit_id, book=book, at=at, clock_skew=clock_skew, opener=opener
    )
    subject = decode_text(_first(structure, "subject"))
    contents = read_contents(octets, structure, read_attachment)
    if judged.opening is Opening.OPENED and judged.opened is not None:
        _add_opened(contents, judged.opened, read_attachment)
    if not _mark_header(contents, structure, subject) and "header-too-long" not in structure.faults:
        structure = replace(structure, faults=(*structure.faults, "header-too-long"))
    metadata, urgency_source = read_metadata(
        subject,
        contents.first_lines,
        importance=_importance(structure),
        x_priority=_text(structure, "x-priority"),
        mt_priority=mt_priority,
    )
    return Inspection(
        structure=structure,
        message_id=_message_id(structure),
        subject=subject,
        from_=_addresses(structure, "from"),
        to=_addresses(structure, "to"),
        cc=_addresses(structure, "cc"),
        repeated_headers=tuple(
            sorted({*_repeated(structure), *repeated(structure), *contents.repeated})
        ),
        auto_submitted=_text(structure, "auto-submitted").partition(";")[0].strip().lower(),
        received=sum(1 for field in structure.fields if field.name.lower() == "received"),
        passed_here=_passed(structure, office_host),
        receipt_style=_receipt_style(structure),
        texts=(Text("subject", subject), *_header_texts(structure), *contents.texts),
        attachments=tuple(contents.attachments),
        parts=tuple(contents.parts),
        parts_digest=contents.parts_digest,
        markings=tuple(contents.markings),
        seal=judged.finding,
        opening=judged.opening,
        encrypted_to=judged.encrypted_to,
        metadata=metadata,
        inner_faults=tuple(dict.fromkeys(contents.faults)),
        from_shown=shown_addresses(structure, "from"),
        from_unclear=is_unclear(structure),
        sender_fields=sender_fields(structure),
        urgency_source=urgency_source,
    )


def _add_opened(contents: Contents, opened: bytes, read_attachment: ReadAttachment) -> None:
    inner = scan(opened)
    found = read_contents(opened, inner, read_attachment)
    _mark_header(found, inner, decode_text(_first(inner, "subject")))
    contents.faults += [*faults(inner), *found.faults]
    contents.repeated += [*_repeated(inner), *repeated(inner), *found.repeated]
    contents.attachments += found.attachments
    contents.markings += [marking for marking in found.markings if marking not in contents.markings]


def _first(structure: Part, name: str) -> bytes:
    return next((field.value for field in structure.fields if field.name.lower() == name), b"")


def _text(structure: Part, name: str) -> str:
    return decode_text(_first(structure, name)).strip()


def _message_id(structure: Part) -> str:
    found = re.search(r"<[^<>]{1,995}>", _text(structure, "message-id"))
    return found[0] if found else ""


def _addresses(structure: Part, name: str) -> tuple[str, ...]:
    return tuple(
        address.lower()
        for field in structure.fields
        if field.name.lower() == name
        for _, address in addresses(field.value)
    )


def _repeated(structure: Part) -> tuple[str, ...]:
    times = Counter(field.name.lower() for field in structure.fields)
    return tuple(sorted(name for name in SINGLE_FIELDS if times[name] > 1))


def _passed(structure: Part, office_host: str) -> bool:
    by_us = re.compile(rf"\bby\s+{re.escape(office_host)}(?![\w.-])", re.IGNORECASE)
    return any(
        by_us.search(field.value.decode("utf-8", "replace"))
        for field in structure.fields
        if field.name.lower() == "received"
    )


def _receipt_style(structure: Part) -> str:
    wish = _text(structure, "x-yizhan-receipt").lower()
    return wish if wish in _RECEIPT_STYLES else ""


def _importance(structure: Part) -> str:
    urgent = _text(structure, "priority").lower() == "urgent"
    return (
        _text(structure, "importance")
        or _text(structure, "x-msmail-priority")
        or ("high" if urgent else "")
    )


def _header_texts(structure: Part) -> list[Text]:
    return [
        Text("header", text)
        for field in structure.fields
        if field.name.lower() in _KEPT_FIELDS
        and (text := decode_text(field.value).strip()[:_FIELD_LENGTH])
    ]


def _mark_header(contents: Contents, structure: Part, subject: str) -> bool:
    """Search all header fields; False if there is more than can be searched."""
    contents.mark(subject, "subject")
    room = _HEADER_SEARCHED - len(subject)
    for field in structure.fields:
        name = field.name.lower()
        room -= (
            len(field.value) if name in _ADDRESS_FIELDS else min(len(field.value), _FIELD_LENGTH)
        )
        if room < 0:
            return False
        if name in _ADDRESS_FIELDS:
            for display, _ in addresses(field.value):
                contents.mark(display, "header")
        elif name == "sensitivity" and field.value.strip().lower() == b"company-confidential":
            # Outlook's menu calls this value 机密, so this is what its user has said.
            contents.markings.append(Marking(Level.SECRET.value, "header"))
        elif name != "subject":
            contents.mark(decode_text(field.value[: 4 * _FIELD_LENGTH])[:_FIELD_LENGTH], "header")
    return True
