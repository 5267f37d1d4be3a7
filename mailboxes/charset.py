"""Octets to text in the charsets that mail really uses, whatever the label says; never raises.

Senders label GBK and GB18030 text as gb2312, and put raw GBK or UTF-8 where only ASCII may stand.
The labels are read as the superset that mail programs use, and octets that do not fit their label
are tried as UTF-8 and GB18030 before anything is replaced by U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailboxes.remembered import remembered

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

_SHIFTS = (
    b"\x1b\x0e\x0f"  # escape, shift out, shift in: ASCII to the eye, another script to a program
)

_HALF_LETTER = re.compile("[\ud800-\udfff]")

# GB 2312 in EUC: rows 16 to 87 are hanzi, row 3 is full-width ASCII, row 1 punctuation.
_HANZI = rb"[\xb0-\xf7][\xa1-\xfe]"
_TWO_HANZI = re.compile(rb"(?:" + _HANZI + rb"){2}")
_GB2312 = re.compile(rb"(?:[\x00-\x7f]++|" + _HANZI + rb"|[\xa1\xa3][\xa1-\xfe])*+")


def charset_text(octets: bytes, charset: str) -> str:
    """The text of a body or an encoded word in the charset that its label means; never raises.

    A label that is missing, unknown or wrong gives way to UTF-8, then GB18030. A few broken
    octets in text that otherwise fits its label become U+FFFD and do not change the choice.
    """
    octets = bytes(octets)
    codec = _codec(charset)
    if not codec:
        return storable(raw_text(octets)[0])
    try:
        return storable(octets.decode(codec))
    except UnicodeError:
        pass
    text = storable(octets.decode(codec, "replace"))
    broken = text.count("\ufffd")
    if broken * 20 <= sum(1 for letter in text if letter > "\x7f"):
        return text
    guessed, found = raw_text(octets)
    return storable(guessed) if found else text


def storable(text: str) -> str:
    """The text as every database and every mail can hold it: no NUL, no half letters (UTF-7)."""
    return _HALF_LETTER.sub("\ufffd", text.replace("\0", ""))


def other_reading(octets: bytes, charset: str) -> str:
    """What a reader sees who, like many Chinese mail programs, guesses instead of believing.

    Text in GBK under a Western or Cyrillic label, or in UTF-16 with its mark under any: octets that
    the label explains, but nobody wrote. Empty if there is no such reading.
    """
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return storable(octets.decode("utf-16", "replace"))
    if octets.isascii() or _codec(charset) in ("", "utf-8", "gb18030", "cp950", "big5hkscs"):
        return ""
    return storable(raw_text(octets)[0]) if _TWO_HANZI.search(octets) else ""


def has_codec(octets: bytes, charset: str) -> bool:
    """Whether `charset_text` can know what such octets say.

    False for a charset without a codec, such as ISO-2022-CN, unless they are plain ASCII or UTF-8.
    """
    label = _label(charset)
    if label in _UNLABELLED or _codec(charset):
        return True
    if any(octet in octets for octet in _SHIFTS):
        return False
    try:
        octets.decode("utf-8")
    except UnicodeError:
        return False
    return True


def raw_text(value: bytes, guess: Sequence[str] = GUESS) -> tuple[str, str]:
    """The text of octets without a label, and the codec that fits; the codec is empty if none does.

    With a codec, `text.encode(codec)` gives the octets back.
    """
    for name in guess:
        codec = _codec(name) or "utf-8"
        try:
            text = value.decode(codec)
        except UnicodeError:
            continue
        if codec == "utf-8" and "gb18030" in guess and _is_gb2312_by_chance(value, text):
            continue
        return text, codec
    texts = [value.decode(_codec(name) or "utf-8", "replace") for name in guess or GUESS]
    return min(texts, key=lambda text: text.count("\ufffd")), ""


def _is_gb2312_by_chance(value: bytes, text: str) -> bool:
    """Whether octets that are UTF-8 are far likelier two or more hanzi of GB 2312.

    通知, 通讯录 and 学校 in GBK happen to be UTF-8, of letters that no mail mixes. Text with a
    hanzi in UTF-8, or with nothing but Latin accents and signs, is never taken for it.
    """
    if _TWO_HANZI.search(value) is None or max(text) >= "\u0800":
        return False
    foreign = [letter for letter in text if letter >= "\x80"]
    return max(foreign) >= "\u0250" and _GB2312.fullmatch(value) is not None


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


def _label(charset: str) -> str:
    return charset.strip().strip("\"'").lower().partition("*")[0]


@remembered(256)
def _codec(charset: str) -> str:
    """Python's name of the codec, or empty if there is no such charset."""
    label = _label(charset)
    if label in _UNLABELLED or label in _NOT_CHARSETS:
        return ""
    # gb_2312-1980, gb18030-2022 and the like
    name = _SUPERSETS.get(label, "gb18030" if label.startswith("gb") else label)
    try:
        # rot13, zlib and base64 are codecs of Python too, but not of text. (Of no octets at all
        # Python decodes everything.)
        b"\0\0\0\0".decode(name, "replace")
    except (LookupError, ValueError):
        return ""
    return name
