"""The DNS records that let mail programs find the office by its domain alone.

SRV for submission, IMAP and POP3: RFC 6186 and RFC 8314; a service that is not here is said to be
absent, so that no program waits for it. Outlook's own is an SRV record too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.config import Config
from gateway.portal.servers import Security, Server, incoming, outgoing

_SERVICES = (
    ("_submissions", "sending", "smtp", Security.IMPLICIT),
    ("_submission", "sending", "smtp", Security.STARTTLS),
    ("_imaps", "reading", "imap", Security.IMPLICIT),
    ("_imap", "reading", "imap", Security.STARTTLS),
    ("_pop3s", "reading", "pop3", Security.IMPLICIT),
    ("_pop3", "reading", "pop3", Security.STARTTLS),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record; names are absolute, with the last dot."""

    name: str
    kind: str  # A, AAAA, MX, SRV, CNAME
    value: str
    why: str


def records(config: Config, addresses: Sequence[str] = ()) -> list[Record]:
    """What to enter; `addresses` are the server's, else those that the doors listen on."""
    domain, host = f"{config.office.domain}.", f"{config.office.host}."
    known = addresses or [one.address for one in config.submission.listeners]
    found = [
        Record(host, "A" if ":" not in one else "AAAA", one, "the server")
        for one in dict.fromkeys(known)
        if not ipaddress.ip_address(one).is_unspecified
    ]
    found.append(Record(domain, "MX", f"10 {host}", "the domain's mail is here"))
    servers = [*outgoing(config), *incoming(config)]
    for service, kind, protocol, security in _SERVICES:
        here = [one for one in servers if (one.protocol, one.security) == (protocol, security)]
        found += _services(f"{service}._tcp.{domain}", kind, here)
    if config.portal is not None:
        port = urlsplit(config.portal_url).port or 443
        # The certificate has these names; programs look there at port 443 only.
        found.append(Record(f"autoconfig.{domain}", "CNAME", host, "Thunderbird"))
        found.append(Record(f"autodiscover.{domain}", "CNAME", host, "Outlook"))
        found.append(Record(f"_autodiscover._tcp.{domain}", "SRV", f"0 1 {port} {host}", "Outlook"))
    return found


def zone(found: Sequence[Record]) -> str:
    """The records as lines of a zone file (RFC 1035, 5.1)."""
    wide = max(len(one.name) for one in found)
    return "".join(
        f"{one.name:<{wide}}  3600  IN  {one.kind:<5}  {one.value:<40}  ; {one.why}\n"
        for one in found
    )


def _services(name: str, kind: str, here: Sequence[Server]) -> list[Record]:
    if not here:
        return [Record(name, "SRV", "0 0 0 .", f"{kind}: not offered")]
    return [
        Record(name, "SRV", f"{place * 10} 1 {one.port} {one.host}.", kind)
        for place, one in enumerate(here)
    ]
