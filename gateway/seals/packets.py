"""The outer form of OpenPGP: armour and packet headers, read with limits (RFC 9580, 4 and 6).

Own code because the library expands compressed packets without a limit and shows only the first
of several signatures; here nothing is expanded beyond `limit`, and no cryptography is done.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

PKESK, SIGNATURE, SKESK, ONE_PASS, COMPRESSED = 1, 2, 3, 4, 8
SED, LITERAL, SEIP, AEAD = 9, 11, 18, 20
SECRET = frozenset((5, 7))  # secret key and secret subkey
ENCRYPTED = frozenset((SED, SEIP, AEAD))
HIDDEN = "0" * 16
_PIECE = 1 << 16
MOST_PACKETS = 2_000

_BEGIN = re.compile(rb"^-----BEGIN PGP ([A-Z ]+)-----[ \t]*\r?\n", re.MULTILINE)
_HEADER = re.compile(rb"[^\r\n:]{1,64}: ?[^\r\n]*\r?\n")
_EMPTY = re.compile(rb"[ \t]*\r?\n")


class BrokenPackets(ValueError):
    """The octets are not OpenPGP, or go beyond our limits."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: its tag and what follows the header."""

    tag: int
    body: bytes

    def __bytes__(self) -> bytes:
        return bytes((0xC0 | self.tag, 0xFF)) + len(self.body).to_bytes(4, "big") + self.body


@dataclass(frozen=True, slots=True)
class Message:
    """A message without encryption: its content and the signatures over it."""

    content: bytes
    signatures: tuple[bytes, ...]  # one signature packet each


def dearmor(octets: bytes | memoryview) -> bytes:
    """The binary form of the first armoured block; binary input comes back as it is.

    Raises BrokenPackets if there is an armour that cannot be read. The old check sum is not
    looked at, as RFC 9580, 6.1 asks.
    """
    if bytes(octets[:1]) >= b"\x80":
        return bytes(octets)
    begin = _BEGIN.search(octets)
    if begin is None:
        raise BrokenPackets("there is no OpenPGP armour")
    at = begin.end()
    while header := _HEADER.match(octets, at):
        at = header.end()
    empty = _EMPTY.match(octets, at)
    end = re.compile(b"-----END PGP " + re.escape(begin[1]) + b"-----").search(octets, at)
    if empty is None or end is None:
        raise BrokenPackets("the OpenPGP armour is broken")
    try:
        return _decode(memoryview(octets)[empty.end() : end.start()])
    except binascii.Error:
        raise BrokenPackets("the OpenPGP armour is broken") from None


def _decode(text: memoryview) -> bytes:
    """Strict base64 without a check sum; in pieces, because copies of 25 MB add up."""
    out, held = BytesIO(), b""
    for start in range(0, len(text), _PIECE):
        clean = held + bytes(text[start : start + _PIECE]).translate(None, b" \t\r\n")
        # The end is held back: there may be padding and the check sum.
        usable = max(len(clean) - 16, 0) // 4 * 4
        if b"=" in clean[:usable]:
            raise binascii.Error("padding before the end")
        out.write(base64.b64decode(clean[:usable], validate=True))
        held = clean[usable:]
    if held[-5:-4] == b"=":
        held = held[:-5]
    out.write(base64.b64decode(held, validate=True))
    return out.getvalue()


def read_packets(octets: bytes, *, skip: frozenset[int] = frozenset()) -> Iterator[Packet]:
    """The packets one after another; those of the tags in `skip` come without a body.

    Raises BrokenPackets.
    """
    at = 0
    for _ in range(MOST_PACKETS):
        if at >= len(octets):
            return
        first = octets[at]
        if not first & 0x80:
            raise BrokenPackets("not an OpenPGP packet")
        if first & 0x40:
            tag = first & 0x3F
            body, at = _new_form(octets, at + 1, keep=tag not in skip)
            yield Packet(tag, body)
        else:
            size = 1 << (first & 3)
            end = len(octets)
            at += 1
            if size != 8:  # 8 stands for: to the end
                end = at + size + int.from_bytes(octets[at : at + size], "big")
                at += size
            if end > len(octets):
                raise BrokenPackets("a packet is cut short")
            tag = first >> 2 & 0x0F
            yield Packet(tag, b"" if tag in skip else octets[at:end])
            at = end
    raise BrokenPackets("too many packets")


def signatures_in(octets: bytes) -> tuple[bytes, ...]:
    """All signature packets of a detached signature. Raises BrokenPackets."""
    return tuple(bytes(p) for p in read_packets(dearmor(octets)) if p.tag == SIGNATURE)


def recipients_of(octets: bytes) -> tuple[str, ...] | None:
    """Key ids (version 3) or fingerprints (version 6) to which a binary message is encrypted.

    Upper-case hex; HIDDEN where the sender has hidden one. None: it is not encrypted at all.
    Raises BrokenPackets.
    """
    found: list[str] = []
    for packet in read_packets(octets, skip=ENCRYPTED):
        if packet.tag == PKESK and packet.body[:1] == b"\x03":
            found.append(packet.body[1:9].hex().upper())
        elif packet.tag == PKESK and packet.body[:1] == b"\x06":
            length = packet.body[1] if len(packet.body) > 1 else 0
            found.append(packet.body[3 : 2 + length].hex().upper() or HIDDEN)
        elif packet.tag in ENCRYPTED or packet.tag == SKESK:
            return tuple(found)
        elif packet.tag in (LITERAL, COMPRESSED, ONE_PASS, SIGNATURE):
            return None
    raise BrokenPackets("there is no OpenPGP message")


def read_message(octets: bytes, *, limit: int) -> Message:
    """The content and the signatures of a binary message whose encryption is off.

    Raises BrokenPackets, also if it expands beyond `limit` octets, is compressed twice or holds
    more than one content: then the signatures could be about another one than is shown.
    """
    packets = list(read_packets(octets))
    if len(packets) == 1 and packets[0].tag == COMPRESSED:
        packets = list(read_packets(_expand(packets[0].body, limit)))
    contents = [_literal(packet.body) for packet in packets if packet.tag == LITERAL]
    strange = [p for p in packets if p.tag not in (LITERAL, SIGNATURE, ONE_PASS)]
    if len(contents) != 1 or strange:
        raise BrokenPackets("the message has not exactly one content")
    return Message(contents[0], tuple(bytes(p) for p in packets if p.tag == SIGNATURE))


def _new_form(octets: bytes, at: int, *, keep: bool) -> tuple[bytes, int]:
    """Body and next offset of a packet whose length stands at `at` (RFC 9580, 4.2.1).

    Where the body is not to be kept it is empty, but all its lengths are checked.
    """
    pieces: list[bytes] = []
    while True:
        first = octets[at : at + 1]
        if not first:
            raise BrokenPackets("a packet is cut short")
        value, partial = first[0], False
        at += 1
        if value == 255:
            value = int.from_bytes(octets[at : at + 4], "big")
            at += 4
        elif value >= 224:
            value, partial = 1 << (value & 0x1F), True
        elif value >= 192:
            value = (value - 192 << 8) + int.from_bytes(octets[at : at + 1], "big") + 192
            at += 1
        if at + value > len(octets):
            raise BrokenPackets("a packet is cut short")
        pieces.append(octets[at : at + value] if keep else b"")
        at += value
        if not partial:
            return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), at


def _literal(body: bytes) -> bytes:
    """The content of a literal packet: after its form, file name and date."""
    return body[2 + (body[1] if len(body) > 1 else 0) + 4 :]


def _expand(body: bytes, limit: int) -> bytes:
    """Expanded octets of a compressed packet, never more than `limit` of them."""
    try:
        match body[:1]:
            case b"\x00":
                return body[1:]
            case b"\x01":
                raw = zlib.decompressobj(-15)
                expanded, done = raw.decompress(body[1:], limit), raw.eof
            case b"\x02":
                wrapped = zlib.decompressobj()
                expanded, done = wrapped.decompress(body[1:], limit), wrapped.eof
            case b"\x03":
                bzip = bz2.BZ2Decompressor()
                expanded, done = bzip.decompress(body[1:], limit), bzip.eof
            case _:
                raise BrokenPackets("an unknown compression")
    except (zlib.error, OSError, ValueError) as error:
        raise BrokenPackets(f"the compression is broken: {error}") from None
    if not done:
        raise BrokenPackets("it expands beyond the limit, or is cut short")
    return expanded
