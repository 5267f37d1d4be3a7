"""Identifiers that sort by time: RFC 9562 UUID version 7, written as 26 Crockford base32 letters.

Own code because Python 3.11 has no UUID version 7; the layout is the RFC's, so any tool can read
the time back. Lower case, no `i l o u`, so a clerk can read one out over the telephone.
"""

from __future__ import annotations

import re
from base64 import b32encode
from datetime import datetime
from typing import NewType

from gateway.domain.clock import moment

DocumentId = NewType("DocumentId", str)
EvidenceId = NewType("EvidenceId", str)
ReminderId = NewType("ReminderId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET.encode("ascii"))
_ID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")


def new_id(milliseconds: int, randomness: bytes) -> str:
    """An id for that Unix time in milliseconds; `randomness` is 10 octets from a secure source."""
    if len(randomness) != 10 or not 0 <= milliseconds < 1 << 48:
        raise ValueError("an id needs 48 bits of time and 10 octets of randomness")
    high = int.from_bytes(randomness[:2], "big") & 0x0FFF
    low = int.from_bytes(randomness[2:], "big") & ((1 << 62) - 1)
    value = milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    # A base32 by the library's C code, of 130 bits: two empty ones stand in front, six behind.
    return b32encode((value << 6).to_bytes(17, "big"))[:26].translate(_CROCKFORD).decode("ascii")


def is_id(text: str) -> bool:
    """Whether the text has the form of one of our ids."""
    return _ID.fullmatch(text) is not None


def time_of(identifier: str) -> datetime:
    """The moment (UTC, milliseconds) that an id carries.

    Raises ValueError if the text is not an id.
    """
    if not is_id(identifier):
        raise ValueError("not an id")
    value = 0
    for letter in identifier:
        value = value << 5 | _ALPHABET.index(letter)
    return moment(value >> 80)
