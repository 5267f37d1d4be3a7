"""Makes text and octets out of what mail carries, for checks and for people; never raises.

Tolerant in the ways that Chinese mail needs: raw GBK in headers, encoded words that split a letter
in two, gb2312 labels on GB18030 text, file names in RFC 2231, RFC 2047 or raw octets.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Sequence
from io import BytesIO

from mailboxes import addresses as address_fields
from mailboxes.charset import GUESS, charset_text, raw_text, storable, wire_octets
from mailboxes.parameters import Parameters
from mailboxes.remembered import remembered

__all__ = ["addresses", "charset_text", "decode_body", "decode_text", "parameter"]

_WORD = re.compile(r"=\?([!->@-~]{1,60})\?([BbQq])\?([^?\n]*+)\?=")
_NOT_BASE64 = bytes(
    octet for octet in range(256)
    if not (chr(octet).isascii() and chr(octet).isalnum()) and octet not in b"+/="
)  # fmt: skip
_MAX_RUNS = 10_000
_REMEMBERED = 1_000  # octets of a field that is remembered
_PIECE = 1 << 16
_PADDING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_UU_BEGIN = re.compile(rb"^begin[ \t]+[0-7]{3,4}[ \t][^\n]*\n", re.MULTILINE)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def decode_text(value: bytes, *, guess: Sequence[str] = GUESS) -> str:
    """The text of an unstructured field value: encoded words (RFC 2047) and raw octets.

    Octets of neighbouring words in one charset are joined before they are decoded, because some
    programs split a letter between two words. Raw octets are read in the first charset of `guess`
    that fits.
    """
    if len(value) > _REMEMBERED:
        return _decoded(bytes(value), tuple(guess))
    return _remembered(bytes(value), tuple(guess))


def _decoded(value: bytes, guess: Sequence[str]) -> str:
    if value.isascii() and b"=?" not in value:
        return storable(value.decode("ascii"))
    return storable(_words_text(raw_text(value, guess)[0]))


_remembered = remembered(512)(_decoded)


def parameter(parameters: Parameters, name: str) -> str:
    """The text of a parameter: RFC 2231, else RFC 2047 or raw octets; empty if it is absent."""
    found = dict(reversed(parameters))
    extended = found.get(f"{name}*")
    if extended is not None:
        text = _extended_text(wire_octets(extended))
        if text:
            return text
    return decode_text(wire_octets(found.get(name, "")))


def decode_body(octets: bytes | memoryview, encoding: str) -> bytes:
    """The octets behind a Content-Transfer-Encoding (RFC 2045, 6); an unknown one changes nothing.

    Lenient, so that nothing hides behind broken padding or stray letters: what mail programs would
    show is decoded. A memoryview of a large part saves the caller a copy of it.
    """
    match encoding.strip().lower():
        case "base64":
            return _base64(octets)
        case "quoted-printable":
            return _quoted_printable(octets)
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return _uuencoded(octets)
        case _:
            return bytes(octets)


def addresses(value: bytes) -> list[tuple[str, str]]:
    """Display name and addr-spec of each address of a field value, members of groups included.

    The display name is decoded, the addr-spec is as written; text without an @ is given as it
    stands, so that a caller sees that something was there. A NUL becomes U+FFFD: left out, it would
    make one address of another.
    """
    found = address_fields.take_apart(raw_text(bytes(value))[0])
    return [
        (
            storable(_words_text(entry.name)),
            storable(
                (f"{entry.mailbox}@{entry.host}" if entry.host else entry.mailbox).replace(
                    "\0", "\ufffd"
                )
            ),
        )
        for entry in found
        if not entry.group and (entry.mailbox or entry.host)
    ]


def _words_text(text: str) -> str:
    if "=?" not in text:
        return text
    pieces: list[str] = []
    charset, waiting, position = "", b"", 0
    for match in _WORD.finditer(text):
        between = text[position : match.start()]
        label = match[1].lower().partition("*")[0]
        if waiting and (label != charset or between.strip()):
            pieces.append(charset_text(waiting, charset))
            waiting = b""
        if between.strip() or position == 0:
            pieces.append(between)
        charset = label
        waiting += _word_octets(match[2], match[3])
        position = match.end()
    pieces.append(charset_text(waiting, charset))
    pieces.append(text[position:])
    return "".join(pieces)


def _word_octets(encoding: str, text: str) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    if encoding in "Bb":
        return _base64(octets)
    return binascii.a2b_qp(octets.replace(b" ", b"_"), header=True)


def _extended_text(value: bytes) -> str:
    """RFC 2231, 4; a value without its quotes is read as UTF-8 or GB18030."""
    charset, quote, rest = value.partition(b"'")
    _language, second, text = rest.partition(b"'")
    if not quote or not second:
        charset, text = b"", value
    octets = _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), text)
    return charset_text(octets, charset.decode("ascii", "replace"))


def _base64(octets: bytes | memoryview) -> bytes:
    """Decoded piece by piece: with copies of the whole, 25 MB of a file would take 120."""
    out = BytesIO()
    held, runs, begun = b"", 0, False
    for start in range(0, len(octets), _PIECE):
        clean = bytes(octets[start : start + _PIECE]).translate(None, _NOT_BASE64)
        while (end := clean.find(b"=")) >= 0:
            if runs >= _MAX_RUNS:
                clean = clean.replace(b"=", b"")
                break
            run, clean = held + clean[:end], clean[end + 1 :]
            runs += begun or bool(run)
            out.write(_base64_run(run))
            held, begun = b"", False
        whole = held + clean
        begun = begun or bool(whole)
        usable = len(whole) - len(whole) % 4
        out.write(binascii.a2b_base64(whole[:usable]))
        held = whole[usable:]
    out.write(_base64_run(held))
    return out.getvalue()


def _base64_run(run: bytes) -> bytes:
    rest = len(run) % 4
    if rest == 1:
        run, rest = run[:-1], 0
    return binascii.a2b_base64(run + b"=" * (-rest % 4) if rest else run)


def _quoted_printable(octets: bytes | memoryview) -> bytes:
    """Decoded in pieces that end with a line, for the same reason."""
    if len(octets) <= _PIECE:
        return binascii.a2b_qp(_PADDING.sub(b"", bytes(octets)))
    octets = bytes(octets)
    out = BytesIO()
    start = 0
    while start < len(octets):
        end = octets.find(b"\n", start + _PIECE)
        end = len(octets) if end < 0 else end + 1
        out.write(binascii.a2b_qp(_PADDING.sub(b"", octets[start:end])))
        start = end
    return out.getvalue()


def _uuencoded(octets: bytes | memoryview) -> bytes:
    octets = bytes(octets)
    begin = _UU_BEGIN.search(octets)
    if begin is None:
        return octets
    return b"".join(_uu_lines(octets, begin.end()))


def _uu_lines(octets: bytes, position: int) -> Iterator[bytes]:
    while position < len(octets):
        stop = octets.find(b"\n", position)
        stop = len(octets) if stop < 0 else stop
        line = octets[position:stop].rstrip(b"\r")
        position = stop + 1
        if line.rstrip() == b"end":
            return
        if not line or not 32 <= line[0] <= 96:
            continue
        try:
            yield binascii.a2b_uu(line)
        except binascii.Error:
            # Some encoders write more or fewer letters than the count at the front calls for.
            wanted = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                yield binascii.a2b_uu(line[:wanted].ljust(wanted))
            except binascii.Error:
                continue
