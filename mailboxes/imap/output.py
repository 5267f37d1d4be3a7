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
    return _envelope(json.loads(stored))


def bodystructure(stored: str) -> bytes:
    """BODYSTRUCTURE, from its JSON."""
    return _body(json.loads(stored))


def body(stored: str) -> bytes:
    """BODY, from the JSON of BODYSTRUCTURE."""
    return _body(imapdata.body(json.loads(stored)))


def _envelope(value: list[Value]) -> bytes:
    return b"(%s)" % b" ".join(
        b"(%s)" % b"".join(_value(address) for address in one) if isinstance(one, list)
        else _value(one)
        for one in value
    )  # fmt: skip


def _body(value: list[Value]) -> bytes:
    first = value[0]
    if isinstance(first, list):
        children = b"".join(_body(child) for child in first if isinstance(child, list))
        rest = _values(value[1:])
        return b"(%s %s)" % (children, rest)
    if len(value) > 9 and isinstance(value[7], list) and isinstance(value[8], list):
        # An embedded message: any other part has a text there, its MD5.
        return b"(%s %s %s %s)" % (
            _values(value[:7]), _envelope(value[7]), _body(value[8]), _values(value[9:]),
        )  # fmt: skip
    return b"(%s)" % _values(value)


def _values(values: Iterable[Value]) -> bytes:
    return b" ".join(_value(one) for one in values)


def _value(value: Value) -> bytes:
    if value is None:
        return b"NIL"
    if isinstance(value, str):
        if value.isascii():
            return string(value.encode("ascii"))
        return string(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, int):
        return b"%d" % value
    return b"(%s)" % _values(value)
