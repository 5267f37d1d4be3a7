"""Mail addresses as the post office compares them.

The domain is compared without regard to case, and so is the local part of our own addresses
(RFC 5321, 2.4 leaves that to us): a clerk who types Water@ means water@.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATOM = re.compile(r"[^\s\x00-\x1f\x7f()<>\[\]:;@\\,\"]+")
_DOMAIN_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")


class InvalidAddress(ValueError):
    """The text is not a mail address; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox address, local part and domain folded to lower case."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `local@domain` (RFC 5321 dot-string, RFC 6531 letters allowed).

        Raises InvalidAddress for source routes, quoted strings, address literals and anything
        else that no unit of an office has.
        """
        # Folded before it is checked: folding makes some letters longer.
        local, at, domain = text.strip().casefold().rpartition("@")
        if not at or not local or not domain:
            raise InvalidAddress("an address is written name@domain")
        if len(local.encode()) > 64 or len(domain.encode()) > 255:
            raise InvalidAddress("the address is too long")
        if not all(_ATOM.fullmatch(atom) for atom in local.split(".")):
            raise InvalidAddress("the part before @ has a sign that no address here has")
        if not all(_DOMAIN_LABEL.fullmatch(label) for label in domain.split(".")):
            raise InvalidAddress("the part after @ is not a domain name")
        return cls(local, domain)
