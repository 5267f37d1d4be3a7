"""Octets to text in the charsets that mail really uses, whatever the label says; never raises.

Senders label GBK and GB18030 text as gb2312, and put raw GBK or UTF-8 where only ASCII may stand.
The labels are read as the superset that mail programs use, and octets that do not fit their label
are tried as UTF-8 and GB18030 before anything is replaced by U+FFFD.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

GUESS: Sequence[str] = ("utf-8", "gb18030")

_SUPERSETS = {
    "gb2312": "gb18030", "gb_2312-80": "gb18030", "gb231280": "gb18030", "gbk": "gb18030",
    "x-gbk": "gb18030", "cp936": "gb18030", "ms936": "gb18030", "windows-936": "gb18030",
    "euc-cn": "gb18030", "x-euc-cn": "gb18030", "chinese": "gb18030", "gb": "gb18030",
    "iso-ir-58": "gb18030", "csgb2312": "gb18030", "hz": "hz", "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8", "utf-8mb4": "utf-8", "big5": "cp950", "big-5": "cp950",
    "x-x-big5": "cp950", "csbig5": "cp950", "big5-hkscs": "big5hkscs",
    "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "shift_jis": "cp932", "shift-jis": "cp932",
    "x-sjis": "cp932", "iso-2022-jp": "iso2022_jp_2", "iso-8859-1": "cp1252",
    "latin1": "cp1252", "iso-8859-9": "cp1254", "iso-8859-8-i": "iso8859-8",
}  # fmt: skip
_UNLABELLED = {"", "us-ascii", "ascii", "unknown", "unknown-8bit", "x-unknown", "default", "none"}
# Python calls these text encodings too, but no mail is written in them.
_NOT_CHARSETS = {
    "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape",
    "punycode", "idna", "undefined",
}  # fmt: skip


def charset_text(octets: bytes, charset: str) -> str:
    """The text of a body or an encoded word in the charset that its label means; never raises.

    A label that is missing, unknown or wrong gives way to UTF-8, then GB18030. A few broken
    octets in text that otherwise fits its label become U+FFFD and do not change the choice.
    """
    octets = bytes(octets)
    codec = _codec(charset)
    if not codec:
        return raw_text(octets)[0]
    try:
        return octets.decode(codec)
    except UnicodeError:
        pass
    text = octets.decode(codec, "replace")
    broken = text.count("\ufffd")
    if broken * 20 <= sum(1 for letter in text if letter > "\x7f"):
        return text
    guessed, found = raw_text(octets)
    return guessed if found else text


def raw_text(value: bytes, guess: Sequence[str] = GUESS) -> tuple[str, str]:
    """The text of octets without a label, and the codec that fits; the codec is empty if none does.

    With a codec, `text.encode(codec)` gives the octets back.
    """
    for name in guess:
        codec = _codec(name) or "utf-8"
        try:
            return value.decode(codec), codec
        except UnicodeError:
            continue
    texts = [value.decode(_codec(name) or "utf-8", "replace") for name in guess or GUESS]
    return min(texts, key=lambda text: text.count("\ufffd")), ""


def wire_text(value: bytes) -> str:
    """Octets as `Part` and JSON keep them: UTF-8, with what is not UTF-8 as lone surrogates."""
    return value.decode("utf-8", "surrogateescape")


def wire_octets(text: str) -> bytes:
    """The octets of a `wire_text`."""
    return text.encode("utf-8", "surrogateescape")


def parsing_text(value: bytes) -> tuple[str, str]:
    """A header value as text that is safe to take apart, and the codec for `parsed_octets`.

    The second octet of a GBK letter may be a backslash, a bracket or an @: a parser that works on
    octets cuts letters in two there.
    """
    if value.isascii():
        return value.decode("ascii"), "ascii"
    text, codec = raw_text(value)
    return (text, codec) if codec else (wire_text(value), "")


def parsed_octets(text: str, codec: str) -> bytes:
    """The octets of a piece of a `parsing_text`."""
    return text.encode(codec) if codec else wire_octets(text)


def _codec(charset: str) -> str:
    """Python's name of the codec, or empty if there is no such charset."""
    label = charset.strip().strip("\"'").lower().partition("*")[0]
    if label in _UNLABELLED or label in _NOT_CHARSETS:
        return ""
    name = _SUPERSETS.get(label, label)
    try:
        codecs.lookup(name)
        b"".decode(name)
    except (LookupError, ValueError):
        return ""
    return name
