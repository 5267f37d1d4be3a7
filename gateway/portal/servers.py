"""Which servers a mail program is told of: the one list behind autoconfig, records and sheets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.config import Config


class Security(StrEnum):
    """How TLS begins."""

    IMPLICIT = "implicit"  # from the first octet (RFC 8314)
    STARTTLS = "starttls"  # by command


@dataclass(frozen=True, slots=True)
class Server:
    """One service of the office as clients reach it."""

    protocol: str  # smtp, imap, pop3
    host: str
    port: int
    security: Security


def outgoing(config: Config) -> tuple[Server, ...]:
    """Where mail is sent to; TLS from the first octet comes first (RFC 8314, 3.3)."""
    found = (
        Server("smtp", config.office.host, one.port, Security(one.tls))
        for one in config.submission.listeners
    )
    return tuple(sorted(found, key=lambda one: (one.security != Security.IMPLICIT, one.port)))


def incoming(config: Config) -> tuple[Server, ...]:
    """Where mail is read, IMAP before POP3, TLS from the first octet before STARTTLS; empty
    without a door to the mailboxes. An office that names another server has its own reasons."""
    portal = config.portal
    if portal is not None and portal.imap_host:
        return (Server("imap", portal.imap_host, portal.imap_port, Security(portal.imap_tls)),)
    found = (
        Server(one.protocol, config.office.host, one.port, Security(one.tls))
        for one in config.mailbox_listeners
    )
    return tuple(
        sorted(
            found,
            key=lambda one: (
                one.protocol != "imap",
                one.security != Security.IMPLICIT,
                one.port,
            ),
        )
    )
