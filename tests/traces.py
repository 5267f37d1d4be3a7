"""Looks for what must not have been kept: a text in a folder, in every form in which it may lie."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHARSETS = ("utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be")
_LINE_ENDS = re.compile(rb"=?\r?\n|[\r\n\t ]+")


@dataclass(frozen=True)
class Trace:
    """Where a text was found, and how it was written there."""

    place: str
    text: str
    form: str


def forms(text: str) -> dict[bytes, str]:
    """The octets of a text by the ways in which databases and logs write it."""
    found: dict[bytes, str] = {}
    for charset, octets in _encoded(text):
        found[octets] = charset
        found[octets.hex().encode()] = found[octets.hex().upper().encode()] = f"hex of {charset}"
        found[repr(octets)[2:-1].encode()] = f"repr of {charset}"
        found[_quoted(octets).replace(b"=", b"%")] = f"percent of {charset}"
    escaped = "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in text)
    found[escaped.encode()] = found[escaped.upper().replace("\\U", "\\u").encode()] = "JSON"
    found["".join(f"&#{ord(c)};" for c in text).encode()] = "HTML"
    return found


def folded_forms(text: str) -> dict[bytes, str]:
    """The octets by the ways in which mail writes it, where a line may end in the middle."""
    found: dict[bytes, str] = {}
    for charset, octets in _encoded(text):
        found[_quoted(octets)] = f"quoted-printable of {charset}"
        for shift in range(3):
            found[_base64(octets, shift)] = f"base64 of {charset}"
    return found


def find(places: Iterable[tuple[str, bytes]], texts: Iterable[str]) -> list[Trace]:
    """Every trace of the texts in the named octets."""
    wanted = [(text, forms(text), folded_forms(text)) for text in texts]
    found = []
    for place, octets in places:
        joined = _LINE_ENDS.sub(b"", octets)
        for text, whole, folded in wanted:
            found += [Trace(place, text, name) for form, name in whole.items() if form in octets]
            found += [Trace(place, text, name) for form, name in folded.items() if form in joined]
    return found


def _encoded(text: str) -> Iterator[tuple[str, bytes]]:
    for charset in CHARSETS:
        try:
            yield charset, text.encode(charset)
        except UnicodeEncodeError:
            continue


def in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below the folder, and the names of all."""
    paths = sorted(folder.rglob("*"))
    yield "file names", "\n".join(str(path.relative_to(folder)) for path in paths).encode()
    for path in paths:
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def nameless_files(pid: int) -> Iterator[tuple[str, bytes]]:
    """Every regular file that the process holds open and that has no name any more."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if entry.is_file() and entry.stat().st_nlink == 0:
            yield f"open file {entry.name}", entry.read_bytes()


def _base64(octets: bytes, shift: int) -> bytes:
    """The letters that stand for these octets behind `shift` others, whatever surrounds them."""
    encoded = base64.b64encode(bytes(shift) + octets)
    first = (shift * 8 + 5) // 6
    return encoded[first : (shift + len(octets)) * 8 // 6]


def _quoted(octets: bytes) -> bytes:
    return b"".join(
        bytes((octet,)) if chr(octet).isascii() and chr(octet).isalnum() else b"=%02X" % octet
        for octet in octets
    )
