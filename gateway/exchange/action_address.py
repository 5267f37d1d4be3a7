"""Addresses to which a recipient's answer about one document goes: act+DOCUMENT.DAY.MAC@domain.

They stand in what every recipient of the document reads, so they are made for the document, not for
the delivery: which delivery is meant follows from who has logged in, and without a login of the
recipient they are worth nothing. All letters are lower case: some programs change the case.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.domain.address import Address
from gateway.domain.clock import milliseconds
from gateway.domain.ids import is_id

PREFIX = "act+"
_DAY = 86_400_000  # milliseconds
_LETTERS = 26  # of the MAC: 130 bits, of which HMAC-SHA256 fills all


class NoSuchAction(ValueError):
    """Not an action address of this office, or not one any more; the message says why."""


@dataclass(frozen=True, slots=True)
class ActionAddresses:
    """Makes and reads them for one office."""

    secret: bytes = field(repr=False)
    domain: str

    def make(self, document_id: str, received_at: datetime, good_for: timedelta) -> str:
        """The address for answers about that document, good for so long after it came in."""
        day = milliseconds(received_at + good_for) // _DAY
        return f"{PREFIX}{document_id}.{day}.{self._mac(document_id, day)}@{self.domain}"

    def names(self, address: Address) -> bool:
        """Whether it is meant as one, good or not."""
        return address.domain == self.domain and address.local.startswith(PREFIX)

    def read(self, address: Address, now: datetime) -> str:
        """The id of the document. Raises NoSuchAction."""
        document_id, _, rest = address.local.removeprefix(PREFIX).partition(".")
        number, _, mac = rest.partition(".")
        if not self.names(address) or not is_id(document_id) or not _is_day(number):
            raise NoSuchAction("malformed")
        day = int(number)
        if not hmac.compare_digest(self._mac(document_id, day).encode(), mac.encode()):
            raise NoSuchAction("forged")
        if milliseconds(now) // _DAY > day:
            raise NoSuchAction("expired")
        return document_id

    def _mac(self, document_id: str, day: int) -> str:
        said = f"yizhan-action-v1\n{self.domain}\n{document_id}\n{day}".encode()
        made = hmac.digest(self.secret, said, hashlib.sha256)
        return b32encode(made).decode("ascii").lower()[:_LETTERS]


def _is_day(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= len(text) <= 7 and not text.startswith("0")
