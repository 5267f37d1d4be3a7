"""Which records a mailed receipt carries, found without taking the mail apart.

Only for the office's own letters, whose form is known: `evidence.receipt` writes the file of the
records once, 7-bit and quoted-printable, in a part of its own.
"""

from __future__ import annotations

import binascii
import hashlib
import json

from gateway.evidence.bundle import RECORDS_NAME

_NAME = f'filename="{RECORDS_NAME}"'.encode("ascii")


def carried_records(octets: bytes) -> tuple[str, ...] | None:
    """The hex SHA-256 of each record in the receipt; None if it cannot be read."""
    named = octets.find(_NAME)
    start = octets.find(b"\r\n\r\n", named) + 4
    end = octets.find(b"\r\n--", start)
    if named < 0 or start < 4 or end < 0:
        return None
    try:
        return tuple(
            hashlib.sha256(binascii.a2b_base64(each["record"], strict_mode=True)).hexdigest()
            for each in json.loads(binascii.a2b_qp(octets[start:end]))
        )
    except (ValueError, TypeError, KeyError):
        return None
