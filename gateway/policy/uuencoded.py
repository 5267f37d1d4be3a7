"""Finds uuencoded files in a text: `begin 644 name`, lines, `end`; linear in the length."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEGIN = re.compile(rb"^begin[ \t]++[0-7]{3,4}[ \t]++([^\s][^\r\n]*+)\r?\n", re.MULTILINE)
_END = re.compile(rb"^end[ \t]*+\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Uuencoded:
    """One file, still encoded, with its lines `begin` and `end`."""

    name: bytes
    octets: bytes


def take_out(text: bytes) -> tuple[list[Uuencoded], bytes]:
    """The files in a text, and the text without them.

    A `begin` that no `end` follows is text, and so is every one behind it: what begins is looked
    for once and what ends is looked for once, because one expression for both reads a text of
    nothing but beginnings as often as it has lines.
    """
    found: list[Uuencoded] = []
    kept: list[bytes] = []
    position = 0
    while begin := _BEGIN.search(text, position):
        end = _END.search(text, begin.end())
        if end is None:
            break
        found.append(Uuencoded(begin[1].strip(), text[begin.start() : end.end()]))
        kept.append(text[position : begin.start()])
        position = end.end()
    if not found:
        return found, text
    return found, b"".join((*kept, text[position:]))
