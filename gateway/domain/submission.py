"""What a door hands to the exchange: who, for whom, and the octets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.address import Address
from gateway.errors import Reply


class Content(Protocol):
    """Exact octets of a message, held where nobody else can read them until the verdict."""

    @property
    def size(self) -> int:
        """Octets."""

    @property
    def sha256(self) -> bytes:
        """Digest of all octets."""

    def chunks(self) -> Iterator[bytes]:
        """The octets in pieces of at most 64 KiB; may be called again, from any thread."""

    def read(self) -> bytes:
        """All octets at once."""

    def close(self) -> None:
        """Forget them."""


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """One RCPT TO with its DSN parameters (RFC 3461)."""

    address: Address
    notify: frozenset[str] = frozenset()  # of NEVER, SUCCESS, FAILURE, DELAY; empty: not said
    orcpt: str = ""  # decoded, e.g. rfc822;water@heping.test


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a submission came from."""

    address: str  # IP address
    helo: str = ""
    tls: str = ""  # e.g. TLSv1.3
    login: str = ""  # "password" or "certificate": the strength of the login
    protocol: str = "ESMTPSA"  # the `with` of the Received line (RFC 3848)


@dataclass(frozen=True, slots=True)
class Submission:
    """One message offered by an authenticated account."""

    account_id: int
    sender: Address  # MAIL FROM, already known to be the account's
    recipients: tuple[EnvelopeRecipient, ...]
    content: Content
    client: ClientInfo
    received_at: datetime
    envid: str = ""
    ret: str = ""  # FULL, HDRS or empty
    priority: int | None = None  # MT-PRIORITY (RFC 6710), -9..9
    deliver_by: int | None = None  # seconds from received_at (RFC 2852); negative: already late
    deliver_by_mode: str = ""  # R (return) or N (notify), with T appended for trace
    smtputf8: bool = False
    warnings: tuple[str, ...] = field(default=())  # e.g. "line-endings-normalised"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange took the document; `repeated` when it was a resend of an earlier one.

    If it was an act about a document, that one's id, and the reply to give.
    """

    document_id: str
    repeated: bool = False
    answer: Reply | None = None  # to an act, which is no document
