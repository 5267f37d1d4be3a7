"""What a document is, apart from its octets: class, urgency, metadata, states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MessageClass(StrEnum):
    """What a message is (类别). Policy decides it; ladder, sign-for and seal hang on it."""

    DOCUMENT = "document"  # 公文: sealed, signed for, ladder
    NOTICE = "notice"  # 通知: signed for, answered
    INFORMATION = "information"  # 信息: report upward
    MAIL = "mail"  # 邮件: plain, no ladder, no sign-for

    @property
    def signed_for(self) -> bool:
        """Whether recipients sign for it."""
        return self in (MessageClass.DOCUMENT, MessageClass.NOTICE, MessageClass.INFORMATION)


class Urgency(StrEnum):
    """紧急程度 (GB/T 9704-2012)."""

    EXTRA = "extra"  # 特急
    URGENT = "urgent"  # 加急
    NORMAL = "normal"  # 平件


class SealRule(StrEnum):
    """Whether a class needs a seal."""

    REQUIRE = "require"
    MARK = "mark"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What subject, headers and first lines say about a document. Empty string: unknown."""

    title: str = ""
    number: str = ""  # 发文字号, normalised: 和政办发〔2026〕5号
    number_found: str = ""  # as it was written
    kind: str = ""  # 文种, one of the fifteen
    urgency: Urgency = Urgency.NORMAL
    warnings: tuple[str, ...] = ()  # codes, e.g. "number-malformed"; a receipt words them


class DocumentState(StrEnum):
    """The state of a document as a whole."""

    ACCEPTED = "accepted"


class DeliveryState(StrEnum):
    """The state of one document for one recipient."""

    CONSIGNED = "consigned"  # 未签收: in the mailbox, not signed for
    SIGNED = "signed"  # 已签收
    RETURNED = "returned"  # 退文: by the unit, before it has signed or after
    FAILED = "failed"  # could not be put into the mailbox


class SealState(StrEnum):
    """What was found when the seal was judged at receive time."""

    VALID = "valid"  # the seal covers the whole body
    PARTLY = "partly"  # valid, but something outside it is not covered
    MISSING = "missing"
    INVALID = "invalid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    OTHER_UNIT = "other-unit"
    UNKNOWN_KEY = "unknown-key"
    CANNOT_CHECK = "cannot-check"  # encrypted to others


class SealFault(StrEnum):
    """Why a seal is invalid: each is mended in another way."""

    NONE = "none"
    CONTENT = "content"  # it does not fit the octets: changed after sealing, or forged
    CLOCK = "clock"  # it bears a time that is still to come
    WEAK = "weak"  # SHA-1, a short key
    HEADER = "header"  # a field under the seal differs from the one outside
    FORM = "form"  # it cannot be read as a signature over a document


@dataclass(frozen=True, slots=True)
class SealFinding:
    """The result of judging a seal. `detail` is for people and log, never content."""

    state: SealState
    fingerprint: str = ""  # upper-case hex of the certificate that sealed, if known
    signed_at: str = ""  # RFC 3339, as the signature claims
    cancelled_at: str = ""  # RFC 3339, only for CANCELLED
    detail: str = ""
    fault: SealFault = SealFault.NONE  # of INVALID


class Opening(StrEnum):
    """Whether an encrypted content could be opened to check policy."""

    PLAIN = "plain"  # was not encrypted
    OPENED = "opened"  # encrypted, the office key is among the recipients
    NOT_CHECKED = "not-checked"  # encrypted, the office cannot open it
