"""What the door can do, as the lines of the answer to EHLO."""

from __future__ import annotations

from collections.abc import Sequence


def lines(host: str, *, size: int, starttls: bool, mechanisms: Sequence[str]) -> tuple[str, ...]:
    """The lines: our name, then one extension each.

    AUTH stands there only where logging in is allowed, so only under TLS; CHUNKING does not, since
    a message must have one end that everybody sees. MT-PRIORITY names no profile: RFC 6710's own.
    """
    auth = (f"AUTH {' '.join(mechanisms)}",) if mechanisms else ()
    return (
        host,
        "PIPELINING",
        f"SIZE {size}",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "DELIVERBY",
        "MT-PRIORITY",
        *(("STARTTLS",) if starttls else ()),
        *auth,
        "HELP",
    )


def octets(texts: Sequence[str]) -> bytes:
    """The reply 250 over those lines."""
    last = len(texts) - 1
    return b"".join(
        f"250{' ' if place == last else '-'}{text}\r\n".encode() for place, text in enumerate(texts)
    )
