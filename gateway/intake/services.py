"""What the doors need from the rest of the house, as Protocols with their fakes."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NoReturn, Protocol

from gateway.config import Limits, Listener
from gateway.directory.model import Account
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.clock import Clock
from gateway.domain.submission import Accepted, Submission
from gateway.errors import Refused, StoreError
from gateway.intake.limits import Places
from gateway.intake.login import Authenticator
from gateway.intake.tls import TlsHolder


class Exchange(Protocol):
    """Where a message goes."""

    async def accept(self, submission: Submission) -> Accepted:
        """On return the document is on disk. Raises Refused, Deferred or StoreError.

        The content is closed by the door afterwards.
        """

    def action(self, address: Address, account: Account, peer: str) -> str:
        """The document of which this is the action address; empty if it is none at all.

        Raises Refused for one that is forged or has expired.
        """

    async def act(self, submission: Submission, document_id: str) -> Accepted:
        """Take a mail to the action address of that document. Raises Refused or StoreError."""

    async def reject(self, submission: Submission, refused: Refused) -> NoReturn:
        """Write the evidence of a refusal that the door has decided; of the content there is only
        the digest. Raises the refusal, or StoreError, which is temporary."""


class CurrentDirectory(Protocol):
    """The directory as it is at the moment of asking (`directory.live.LiveDirectory`)."""

    async def current(self) -> Directory:
        """The newest snapshot. Raises StoreUnavailable."""


class IntakeMetrics(Protocol):
    """What is worth counting at a door."""

    def connected(self) -> None:
        """A client has got a place."""

    def left(self) -> None:
        """Such a client has gone."""

    def turned_away(self, why: str) -> None:
        """A limit or trouble ended a connection: `connections`, `connections_per_address`,
        `errors`, `commands`, `command_seconds`, `data_seconds`, `session_seconds`, `size`, `tls`,
        `stopping`."""

    def login(self, mechanism: str, *, good: bool) -> None:
        """Somebody tried to log in by `password` or `certificate`."""

    def message(self, outcome: str, octets: int, seconds: float) -> None:
        """DATA has ended: `accepted`, `refused`, `deferred` or `abandoned`; seconds of DATA."""


class NoMetrics:
    """Counts nothing."""

    def connected(self) -> None: ...

    def left(self) -> None: ...

    def turned_away(self, why: str) -> None: ...

    def login(self, mechanism: str, *, good: bool) -> None: ...

    def message(self, outcome: str, octets: int, seconds: float) -> None: ...


HandshakeContext = Callable[[], Awaitable[ssl.SSLContext]]  # for the next TLS handshake
KnownCertificates = Callable[[], Awaitable[Sequence[bytes]]]  # DER, of all accounts


async def no_certificates() -> Sequence[bytes]:
    """The office that lets in by `client_ca` only, or by passwords only."""
    return ()


@dataclass(frozen=True, slots=True)
class Services:
    """All that the sessions of one door share."""

    listener: Listener
    limits: Limits
    host: str
    tls: TlsHolder
    certificates: KnownCertificates
    directory: CurrentDirectory
    authenticator: Authenticator
    exchange: Exchange
    clock: Clock
    spool_directory: Path
    pool: Executor  # threads that encrypt and write what does not fit in memory
    places: Places
    metrics: IntakeMetrics

    def repairs_for(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether line endings of that client are repaired instead of refused."""
        return self.listener.line_endings == "normalize" or any(
            address in network for network in self.listener.normalize_from
        )

    async def handshake_context(self) -> ssl.SSLContext:
        """The TLS context for one handshake."""
        return await handshake_context(self.tls, self.certificates)


async def handshake_context(tls: TlsHolder, certificates: KnownCertificates) -> ssl.SSLContext:
    """The TLS context for one handshake, with the client certificates as registered by now."""
    try:
        tls.know(await certificates())
    except StoreError:
        # Passwords cannot be checked now either; who comes in this far is told so then.
        return tls.context()
    return tls.context()
