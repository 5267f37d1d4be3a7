"""Values in the form of the wire (RFC 3501 and 9051, section 9)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache

from mailboxes import imapdata, utf7
from mailboxes.imapdata import Value

_PLAIN = re.compile(rb"[ !#-\[\]-~]*")  # what a quoted string holds without an escape
_PLAIN_TEXT = re.compile(r"[ !#-\[\]-~]{0,4096}")  # the same of text
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_ATOM = re.compile(rb"[!#$&\'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_SPECIAL = re.compile(rb'(["\\])')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_QUOTED = 4_096


def string(octets: bytes) -> bytes:
    """A quoted string, or a literal where that cannot be one."""
    if len(octets) <= _MAX_QUOTED:
        if _PLAIN.fullmatch(octets):
            return b'"%s"' % octets
        if _QUOTABLE.fullmatch(octets):
            return b'"%s"' % _SPECIAL.sub(rb"\\\1", octets)
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """A literal."""
    return b"{%d}\r\n%s" % (len(octets), octets)


def binary(octets: bytes) -> bytes:
    """A literal8 where the octets hold a NUL (RFC 3516), else a literal."""
    return b"~" + literal(octets) if b"\0" in octets else literal(octets)


def nstring(octets: bytes | None) -> bytes:
    """A string, or NIL."""
    return b"NIL" if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """An atom where that is possible, else a string."""
    if _ATOM.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """The name of a mailbox: UTF-8 for clients that have enabled it, else modified UTF-7."""
    if utf8:
        octets = name.encode("utf-8", "surrogateescape")
        if not octets.isascii():
            return b'"%s"' % _SPECIAL.sub(rb"\\\1", octets)
        return astring(octets)
    return astring(utf7.encode(name).encode("ascii"))


@lru_cache(4096)
def flags(stored: str) -> bytes:
    """Flags in parentheses, from their stored form."""
    return b"(%s)" % stored.encode("ascii")


@lru_cache(4096)
def _day(ordinal: tuple[int, int, int]) -> bytes:
    year, month, day = ordinal
    return b"%2d-%s-%04d" % (day, _MONTHS[month - 1].encode(), year)


def date_time(milliseconds: int, zone: tzinfo) -> bytes:
    """INTERNALDATE, as the zone has it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, zone)
    offset = moment.strftime("%z").encode()[:5] or b"+0000"
    return b'"%s %02d:%02d:%02d %s"' % (
        _day((moment.year, moment.month, moment.day)), moment.hour, moment.minute, moment.second,
        offset,
    )  # fmt: skip


def envelope(stored: str) -> bytes:
    """ENVELOPE, from its JSON (see `imapdata`)."""
    return _octets(_envelope(json.loads(stored)))


def bodystructure(stored: str) -> bytes:
    """BODYSTRUCTURE, from its JSON."""
    return _octets(_body(json.loads(stored)))


def body(stored: str) -> bytes:
    """BODY, from the JSON of BODYSTRUCTURE."""
    return _octets(_body(imapdata.body(json.loads(stored))))


# Put together as text, which is a third of the work, and encoded once.


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _envelope(value: list[Value]) -> str:
    return f"({' '.join([_field(one) for one in value])})"


def _field(value: Value) -> str:
    """A text of an ENVELOPE, or its addresses, between which there is no blank."""
    if isinstance(value, list):
        return f"({''.join([_value(address) for address in value])})"
    return _value(value)


def _body(value: list[Value]) -> str:
    first = value[0]
    if isinstance(first, list):
        children = "".join([_body(child) for child in first if isinstance(child, list)])
        return f"({children} {_values(value[1:])})"
    if len(value) > 9 and isinstance(value[7], list) and isinstance(value[8], list):
        # An embedded message: any other part has a text there, its MD5.
        head, tail = _values(value[:7]), _values(value[9:])
        return f"({head} {_envelope(value[7])} {_body(value[8])} {tail})"
    return f"({_values(value)})"


def _values(values: Iterable[Value]) -> str:
    return " ".join([_value(one) for one in values])


def _value(value: Value) -> str:
    if value is None:
        return "NIL"
    if isinstance(value, str):
        if _PLAIN_TEXT.fullmatch(value):
            return f'"{value}"'
        return string(_octets(value)).decode("utf-8", "surrogateescape")
    if isinstance(value, int):
        return str(value)
    return f"({_values(value)})"
