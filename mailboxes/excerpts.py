"""Where sought words stand in a text as people wrote it, and a piece of it that shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailboxes.tokens import fold, spaceless_turns

LOOKED_AT = 50_000  # characters of a text; what stands behind them is found but not shown


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text on one line, and where the words are in it."""

    text: str
    marks: tuple[tuple[int, int], ...]  # start and end, ascending, apart from each other

    @property
    def data(self) -> dict[str, object]:
        """For a program to read."""
        return {"text": self.text, "marks": [list(mark) for mark in self.marks]}


def excerpt(text: str, words: Sequence[str], *, around: int = 30, most: int = 120) -> Excerpt:
    """The piece around the first word that the text has, at most some `most` characters.

    `around`: characters that stand before it. Without any of the words it has no marks.
    """
    shown, places = _folded(text[:LOOKED_AT])
    folded = "".join(letter for letter, _ in places)
    marks = _apart(
        (places[at][1], places[at + len(word) - 1][1] + 1)
        for word in filter(None, map(fold, words))
        for at in _all(folded, word)
    )
    start = max(min((mark[0] for mark in marks), default=0) - around, 0)
    end = start + most
    piece = shown[start:end]
    lead = "…" if start else ""
    inside = [(max(a, start), min(b, end)) for a, b in marks if a < end and b > start]
    moved = tuple((a - start + len(lead), b - start + len(lead)) for a, b in inside)
    return Excerpt(f"{lead}{piece}{'…' if end < len(shown) else ''}", moved)


def _folded(text: str) -> tuple[str, list[tuple[str, int]]]:
    """The text on one line, and each folded letter with its place in that."""
    text = " ".join(spaceless_turns(text).split())
    places: list[tuple[str, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        for letter in fold(text[start:end]):
            if letter != " " or not places or places[-1][0] != " ":
                places.append((letter, start))
        start = end
    return text, places


def _all(text: str, word: str) -> list[int]:
    found, at = [], text.find(word)
    while at >= 0:
        found.append(at)
        at = text.find(word, at + 1)
    return found


def _apart(marks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Marks that touch or overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(marks):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
