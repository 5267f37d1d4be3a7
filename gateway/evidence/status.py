"""The machine's half of a receipt: message/delivery-status (RFC 3464) made from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from gateway.domain.event import Event, Reason
from gateway.evidence.letter import one_line, structured

# What each event says of the recipient, as RFC 3464 §2.3.3 words it.
_ACTION: dict[Event, tuple[str, str]] = {
    # Where nothing newer is said of it, the address stands for others: a group, a merged unit.
    Event.SUBMISSION_ACCEPTANCE: ("expanded", "2.0.0"),
    Event.SUBMISSION_REJECTION: ("failed", "5.7.1"),
    Event.CONTENT_CONSIGNMENT: ("delivered", "2.0.0"),
    Event.CONTENT_CONSIGNMENT_FAILURE: ("failed", "5.2.0"),
    Event.CONSIGNMENT_NOTIFICATION: ("delivered", "2.0.0"),
    Event.CONSIGNMENT_NOTIFICATION_FAILURE: ("delivered", "2.0.0"),  # the document is there
    Event.CONSIGNMENT_ACCEPTANCE: ("delivered", "2.0.0"),
    Event.CONSIGNMENT_REJECTION: ("failed", "5.0.0"),
    Event.CONTENT_ACCESS_TRACKING: ("delivered", "2.0.0"),
    Event.CONTENT_HANDOVER: ("delivered", "2.0.0"),
    Event.ACT_NOT_COUNTED: ("delivered", "2.0.0"),
}

# The enhanced code (RFC 3463) that says most of a reason.
_STATUS: dict[Reason, str] = {
    Reason.UNKNOWN_RECIPIENT: "5.1.1",
    Reason.SENDER_NOT_IDENTIFIED: "5.7.1",
    Reason.SENDER_MISMATCH: "5.7.1",
    Reason.SEAL_MISSING: "5.7.7",
    Reason.SEAL_INVALID: "5.7.7",
    Reason.SEAL_EXPIRED: "5.7.7",
    Reason.SEAL_CANCELLED: "5.7.7",
    Reason.SEAL_OF_ANOTHER_UNIT: "5.7.7",
    Reason.INVALID_FORMAT: "5.6.0",
    Reason.TOO_LARGE: "5.3.4",
    Reason.TOO_MANY_RECIPIENTS: "5.5.3",
    Reason.BLIND_COPY: "5.7.1",
    Reason.FORBIDDEN_ATTACHMENT: "5.6.1",
    Reason.VIRUS: "5.7.1",
    Reason.CLASSIFICATION_MARKING: "5.7.1",
    Reason.POLICY_VIOLATION: "5.7.1",
    Reason.DUPLICATE_WITH_OTHER_CONTENT: "5.7.1",
    Reason.LOOP: "5.4.6",
    Reason.RECIPIENT_UNREACHABLE: "5.4.4",
    Reason.DEADLINE_PASSED: "5.4.7",
    Reason.TECHNICAL_MALFUNCTION: "5.3.0",
    Reason.OTHER: "5.0.0",
    Reason.WAY: "5.0.0",  # says how, and so nothing of the status
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the newest record says of one recipient."""

    address: str
    orcpt: str  # ORCPT of SMTP, decoded: type;address; empty: none
    event: Event
    at: datetime
    reasons: tuple[tuple[str, str], ...]  # code and detail


def delivery_status(
    *,
    host: str,
    document_id: str,
    envid: str,
    arrived: datetime | None,
    outcomes: Sequence[Outcome],
) -> bytes:
    """The entity message/delivery-status with one block for each recipient."""
    lines: list[str] = []
    if envid:
        lines.append(f"Original-Envelope-Id: {_plain(envid)}")
    lines.append(f"Reporting-MTA: dns; {host}")
    if arrived is not None:
        lines.append(f"Arrival-Date: {format_datetime(arrived)}")
    lines.append(f"X-Yizhan-Document: {document_id}")
    for outcome in outcomes:
        action, status = _ACTION.get(outcome.event, ("delivered", "2.0.0"))
        if outcome.reasons and action == "failed":
            status = _STATUS.get(_reason(outcome.reasons[0][0]), status)
        lines.append("")
        if outcome.orcpt:
            lines.append(f"Original-Recipient: {_original(outcome.orcpt)}")
        lines.append(f"Final-Recipient: {_final(outcome.address)}")
        lines.append(f"Action: {action}")
        lines.append(f"Status: {status}")
        lines.append(f"Last-Attempt-Date: {format_datetime(outcome.at)}")
        lines.append(f"X-Yizhan-Event: {outcome.event.value}")
        lines += [f"X-Yizhan-Reason: {code}" for code, _ in outcome.reasons]
    body = "\r\n".join(lines) + "\r\n"
    return structured("Content-Type", "message/delivery-status") + b"\r\n" + body.encode("ascii")


def _reason(code: str) -> Reason:
    try:
        return Reason(code)
    except ValueError:
        return Reason.OTHER


def _final(address: str) -> str:
    if address.isascii():
        return f"rfc822; {one_line(address)}"
    return f"utf-8; {_utf8_xtext(address)}"


def _original(orcpt: str) -> str:
    """ORCPT as RFC 3464 §2.3.1 wants it: type and decoded address."""
    kind, semicolon, address = orcpt.partition(";")
    if not semicolon:
        return _final(orcpt)
    if not orcpt.isascii():
        return f"utf-8; {_utf8_xtext(address)}"
    return f"{one_line(kind)}; {_plain(address)}"


def _plain(value: str) -> str:
    """What intake has decoded (RFC 3461 §4), as it is: decoding twice would turn `+2B20` into a
    space (RFC 3464 §2.2.1 wants the text itself)."""
    return one_line(value) if value.isascii() else _utf8_xtext(value)


def _utf8_xtext(address: str) -> str:
    """RFC 6533 §3, utf-8-addr-xtext: the form for 7-bit reports."""
    return "".join(
        letter if "!" <= letter <= "~" and letter not in "+=\\" else f"\\x{{{ord(letter):02X}}}"
        for letter in address
    )
