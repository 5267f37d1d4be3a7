"""Folder names in modified UTF-7 (RFC 3501, 5.1.3), as Maildir and IMAP4rev1 write them."""

from __future__ import annotations

import binascii
import re

_OTHERS = re.compile(r"[^\x20-\x7e]+|&")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode(name: str, also: str = "") -> str:
    """The name in ASCII; letters of `also` are encoded too, as a name in Maildir needs its dots."""
    shift = re.compile(rf"(?:[^\x20-\x7e]|[{re.escape(also)}])+|&") if also else _OTHERS
    return shift.sub(_shift, name)


def decode(name: str) -> str:
    """The name back. Raises ValueError for what `encode` cannot have written."""
    try:
        return _SHIFTED.sub(_unshift, name)
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"not modified UTF-7: {name!r}") from error


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    coded = binascii.b2a_base64(match[0].encode("utf-16-be"), newline=False)
    return f"&{coded.decode('ascii').rstrip('=').replace('/', ',')}-"


def _unshift(match: re.Match[str]) -> str:
    coded = match[1].replace(",", "/")
    if not coded:
        return "&"
    return binascii.a2b_base64(coded + "=" * (-len(coded) % 4)).decode("utf-16-be")
