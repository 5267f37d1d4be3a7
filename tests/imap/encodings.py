"""Writes text and octets as mail carries them, for the generator."""

from __future__ import annotations

import base64
import binascii
import quopri
import re

from tests.imap import oddities

_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9]")


def word(raw: bytes, charset: str, way: str) -> bytes:
    """An encoded word (RFC 2047); `way` is b or q in either case."""
    if way in "bB":
        text = base64.b64encode(raw)
    else:
        text = _NOT_PLAIN.sub(lambda match: b"=%02X" % match[0][0], raw).replace(b"=20", b"_")
    return b"=?" + charset.encode() + b"?" + way.encode() + b"?" + text + b"?="


def octets(text: str, charset: str) -> bytes:
    """The text in that charset, without the letters that it lacks."""
    if charset == "iso-2022-cn":
        return _iso_2022_cn(text)
    return text.encode(oddities.CODECS.get(charset, charset), "ignore").replace(b"\n", b"")


def _iso_2022_cn(text: str) -> bytes:
    """GB 2312 in seven bits (RFC 1922), for which Python has no codec."""
    out, shifted, designated = b"", False, False
    for letter in text:
        octets = letter.encode("gb2312", "ignore")
        if (len(octets) == 2) != shifted:
            shifted = not shifted
            out += b"\x0e" if shifted else b"\x0f"
        if shifted and not designated:
            out = out[:-1] + b"\x1b$)A\x0e"
            designated = True
        out += bytes(octet & 0x7F for octet in octets)
    return out + (b"\x0f" if shifted else b"")


def encoded(body: bytes, encoding: bytes) -> bytes:
    """The body under a Content-Transfer-Encoding; as it is under one that is none."""
    if encoding == b"base64":
        return base64.encodebytes(body).replace(b"\n", b"\r\n")
    if encoding == b"quoted-printable":
        return quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    if b"uuencode" in encoding:
        lines = (binascii.b2a_uu(body[at : at + 45]) for at in range(0, len(body), 45))
        return b"begin 644 a.doc\r\n" + b"".join(lines).replace(b"\n", b"\r\n") + b"`\r\nend\r\n"
    return body
