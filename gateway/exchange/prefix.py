"""What a reader sees before the original header, and what of the original header is cut.

The prefix is ours: Return-Path, Received, Authentication-Results (RFC 8601), the Yizhan-* fields.
Copies of those fields that came from outside are cut, or a sender could vouch for itself. The body
is never touched, so seals hold. Where a unit wants marks, its Subject is ours too. What recipients
sign for asks for a read receipt to the document's action address, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from gateway.domain.document import MessageClass, SealFinding, SealState, Urgency
from gateway.domain.submission import ClientInfo
from gateway.domain.words import encoded_words
from gateway.exchange.marks import without_marks
from mailboxes.structure import Part
from mailboxes.view import View, view_of

_CUT = ("return-path", "authentication-results", "received-spf")
_CUT_PREFIXES = ("yizhan-", "x-yizhan-")
# How senders ask for a read receipt, by the standard (RFC 8098) and by older programs.
ASKS_RECEIPT = (
    "disposition-notification-to", "disposition-notification-options", "return-receipt-to",
    "return-receipt-requested", "x-confirm-reading-to", "x-pmrqc",
)  # fmt: skip

# Of those, the ones by which a sender asks to be told.
ASKS_TRACKING = frozenset(
    ("disposition-notification-to", "return-receipt-to", "x-confirm-reading-to")
)

_URGENCY_MARKS = {
    "zh-CN": {Urgency.EXTRA: "〔特急〕", Urgency.URGENT: "〔加急〕"},
    "en": {Urgency.EXTRA: "[Extra urgent]", Urgency.URGENT: "[Urgent]"},
}
_SEAL_MARKS = {
    "zh-CN": {
        SealState.VALID: "〔章✓〕",
        SealState.PARTLY: "〔章部分〕",
        SealState.MISSING: "〔无章〕",
        SealState.CANNOT_CHECK: "〔章未验〕",
        SealState.EXPIRED: "〔章过期〕",
        SealState.CANCELLED: "〔章已注销〕",
        SealState.UNKNOWN_KEY: "〔章不明〕",
    },
    "en": {
        SealState.VALID: "[Seal ✓]",
        SealState.PARTLY: "[Seal: partly]",
        SealState.MISSING: "[No seal]",
        SealState.CANNOT_CHECK: "[Seal not checked]",
        SealState.EXPIRED: "[Seal expired]",
        SealState.CANCELLED: "[Seal cancelled]",
        SealState.UNKNOWN_KEY: "[Seal unknown]",
    },
}
_FALSE_SEAL = {"zh-CN": "〔章伪〕", "en": "[Seal FALSE]"}
_DUPLICATE = {"zh-CN": "〔疑重发〕", "en": "[Possible duplicate]"}

# RFC 8601 result words for each finding; the method name is ours.
_RESULTS = {
    SealState.VALID: "pass",
    SealState.PARTLY: "policy",
    SealState.MISSING: "none",
    SealState.CANNOT_CHECK: "neutral",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the prefix tells of one accepted document."""

    document_id: str
    host: str  # of this office, the authserv-id
    sender: str
    login: str
    client: ClientInfo
    received_at: datetime
    message_class: MessageClass
    urgency: Urgency
    number: str
    seal: SealFinding
    possible_duplicate: bool
    answer_to: str = ""  # where recipients' read receipts go; empty: wherever the sender said


def compose(
    outcome: Outcome,
    root: Part,
    size: int,
    *,
    subject: str,
    marks: bool,
    language: str,
    fields: Sequence[str] = (),
    own: bool = False,
) -> View:
    """The view of the document for readers of that language, with or without marks.

    `fields` are `trace_fields(outcome)`, if the caller has them: they are the same in each view.
    `own` is the sender's copy, for which no receipt is asked.
    """
    lines = list(fields or trace_fields(outcome))
    hidden: tuple[str, ...] = _CUT
    shown = mark_subject(outcome, subject, language) if marks else without_marks(subject)
    if marks or shown != subject:
        lines.append(_unstructured("Subject", shown))
        hidden = (*_CUT, "subject")
    if outcome.answer_to and not own:
        lines.append(f"Disposition-Notification-To: <{outcome.answer_to}>")
        hidden = (*hidden, *ASKS_RECEIPT)
    prefix = "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")
    return view_of(root, size, prefix, lambda field: _is_hidden(field.name, hidden))


def mark_subject(outcome: Outcome, subject: str, language: str) -> str:
    """The subject with its marks before it: 〔特急〕〔章✓〕. Plain mail bears none.

    Marks that came with it are taken out (`marks`): a sender must not vouch for its own seal, and
    the answer to a sealed document is not sealed because it quotes the subject.
    """
    subject = without_marks(subject)
    if outcome.message_class is MessageClass.MAIL and outcome.seal.state is SealState.MISSING:
        return subject
    tongue = language if language in _SEAL_MARKS else "en"
    urgency = _URGENCY_MARKS[tongue].get(outcome.urgency, "")
    if urgency:
        subject = subject.replace(urgency, "").lstrip()
    seal = _SEAL_MARKS[tongue].get(outcome.seal.state, _FALSE_SEAL[tongue])
    duplicate = _DUPLICATE[tongue] if outcome.possible_duplicate else ""
    marks = urgency + seal + duplicate
    return marks + (" " if tongue == "en" else "") + subject


def trace_fields(outcome: Outcome) -> list[str]:
    """The fields that every view of the document begins with, each without its CRLF."""
    client, when = outcome.client, format_datetime(outcome.received_at)
    tls = f" ({client.tls})" if client.tls else ""
    seal = outcome.seal
    result = _RESULTS.get(seal.state, "fail")
    key = f" openpgp.fingerprint={seal.fingerprint}" if seal.fingerprint else ""
    fields = [
        f"Return-Path: <{_ascii(outcome.sender)}>",
        f"Received: from {_ascii(client.helo) or 'unknown'} ([{_literal(client.address)}])\r\n"
        f"\tby {outcome.host} with {client.protocol}{tls}\r\n"
        f"\tid {outcome.document_id}; {when}",
        f"Authentication-Results: {outcome.host};\r\n"
        f"\tauth=pass smtp.auth={_ascii(outcome.login)} smtp.mailfrom={_ascii(outcome.sender)};\r\n"
        f"\tx-openpgp={result} reason={seal.state.value}{key}",
        f"Yizhan-Document: {outcome.document_id}",
        f"Yizhan-Class: {outcome.message_class.value}",
        f"Yizhan-Urgency: {outcome.urgency.value}",
        f"Yizhan-Seal: {seal.state.value}",
    ]
    if outcome.number:
        fields.append(_unstructured("Yizhan-Number", outcome.number))
    return fields


def _unstructured(name: str, text: str) -> str:
    clean = " ".join(text.encode("utf-8", "replace").decode().split())
    return f"{name}: {encoded_words(clean, before=len(name) + 2)}"


def _ascii(text: str) -> str:
    """A token safe in a structured field: whatever a client said in HELO must not end the field."""
    unsafe = '()<>;"\\ '
    return "".join(c if c.isascii() and c.isprintable() and c not in unsafe else "_" for c in text)


def _literal(address: str) -> str:
    return f"IPv6:{address}" if ":" in address else address


def _is_hidden(name: str, hidden: tuple[str, ...]) -> bool:
    folded = name.strip().lower()
    return folded in hidden or folded.startswith(_CUT_PREFIXES)
