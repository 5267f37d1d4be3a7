"""What a command shows people: plain text, aligned by the columns that each character takes.

Bold and colours only on a terminal, and never where `NO_COLOR` is set. What comes from mail or from
other people cannot steer the terminal: a control character is shown as �. Own code because `rich`
takes longer to import (0.13 s) than most commands take to answer.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

_GAP = "  "
_NARROWEST = 8  # a column is not folded below that

_CODES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "green": "32", "cyan": "36"}


def say(text: str = "") -> None:
    """Print one or more lines."""
    sys.stdout.write(f"{text}\n")


def paint(text: str, style: str) -> str:
    """The text in that style (`bold`, `red` ...) on a terminal, as it is elsewhere."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if coloured() else text


def coloured() -> bool:
    """Whether standard output is a terminal whose owner wants colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def clean(text: str) -> str:
    """The text on one line, each character that is none to be read replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def clean_lines(text: str) -> list[str]:
    """The same for a text of several lines."""
    return [clean(line) for line in text.split("\n")]


def width(text: str) -> int:
    """Columns that the text takes: a Chinese character takes two."""
    return sum(_columns(letter) for letter in text)


def pad(text: str, columns: int) -> str:
    """The text with spaces up to that many columns."""
    return text + " " * (columns - width(text))


def fold(text: str, columns: int) -> list[str]:
    """The text in pieces that take at most so many columns, broken at spaces where it can be."""
    lines: list[str] = []
    while width(text) > columns:
        end = at = used = 0
        for at, letter in enumerate(text):
            used += _columns(letter)
            if used > columns:
                break
            if letter == " ":
                end = at
        cut = end or max(at, 1)
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*lines, text]


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text with a heading, ending with a line feed.

    A cell may have several lines. On a terminal the widest columns are folded until all fits;
    elsewhere nothing is, so that `grep` and `awk` can read it.
    """
    cells = [[clean_lines(cell) for cell in row] for row in rows]
    heads = [[name] for name in columns]
    widths = [
        max(width(line) for cell in column for line in cell)
        for column in zip(heads, *cells, strict=True)
    ]
    if sys.stdout.isatty():
        _narrow(widths, shutil.get_terminal_size().columns)
    lines = [title] if title else []
    if any(columns):
        head = _GAP.join(pad(name, size) for name, size in zip(columns, widths, strict=True))
        lines.append(paint(head.rstrip(), "bold"))
    for row in cells:
        folded = [
            [piece for line in cell for piece in fold(line, size)]
            for cell, size in zip(row, widths, strict=True)
        ]
        for n in range(max(map(len, folded))):
            parts = (one[n] if n < len(one) else "" for one in folded)
            line = _GAP.join(pad(part, size) for part, size in zip(parts, widths, strict=True))
            lines.append(line.rstrip())
    return "".join(f"{line}\n" for line in lines)


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest column until all fit, or none can give any more."""
    while sum(widths) + len(_GAP) * (len(widths) - 1) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
