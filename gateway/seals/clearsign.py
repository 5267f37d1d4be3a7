"""Text signed in place (RFC 9580, 7): what of a text the signatures cover, and what they do not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.seals.packets import BrokenPackets, signatures_in

_BEGIN = re.compile(rb"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\r?\n", re.MULTILINE)
_SIGNATURE = re.compile(rb"^-----BEGIN PGP SIGNATURE-----[ \t]*\r?$", re.MULTILINE)
_END = re.compile(rb"^-----END PGP SIGNATURE-----[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
# Anything else up there is shown to the reader, but the signature does not cover it.
# Possessive: a space that two of its parts could take would cost twice as much with each line.
_HASH = re.compile(rb"(?:Hash:[A-Za-z0-9, /-]++\r?\n)*+[ \t]*+\r?\n")
_LINE_END = re.compile(rb"[ \t]*\r?\n")
MOST_BLOCKS = 32


@dataclass(frozen=True, slots=True)
class Block:
    """One signed block: the octets that the signatures are about, and those signatures."""

    octets: bytes  # CRLF, no white space at line ends, dash escapes removed
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Clearsigned:
    """A text with signed blocks."""

    blocks: tuple[Block, ...]
    whole: bool  # one block, and nothing but white space outside it
    broken: str = ""  # why a block cannot be read


def read_clearsigned(text: bytes) -> Clearsigned | None:
    """The signed blocks of a text, its charset untouched; None if there is not one."""
    blocks: list[Block] = []
    outside = b""
    broken = ""
    at = 0
    while len(blocks) < MOST_BLOCKS and (begin := _BEGIN.search(text, at)) is not None:
        outside += text[at : begin.start()].strip()
        head = _HASH.match(text, begin.end())
        signature = _SIGNATURE.search(text, begin.end())
        end = _END.search(text, signature.end()) if signature is not None else None
        if head is None or signature is None or end is None or head.end() > signature.start():
            broken = "a signed text without its end, or with foreign header lines"
            at = begin.end()
            break
        try:
            found = signatures_in(text[signature.start() : end.end()])
        except BrokenPackets as error:
            broken, found = str(error), ()
        blocks.append(Block(_signed_octets(text[head.end() : signature.start()]), found))
        at = end.end()
    if not blocks and not broken:
        return None
    outside += text[at:].strip()
    return Clearsigned(tuple(blocks), len(blocks) == 1 and not outside, broken)


def _signed_octets(text: bytes) -> bytes:
    """The signed form of the lines; the last line end belongs to the armour (RFC 9580, 7.2)."""
    lines = _LINE_END.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return b"\r\n".join(line.removeprefix(b"- ").rstrip(b" \t\r") for line in lines)
