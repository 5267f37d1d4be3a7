"""Takes address fields apart (RFC 5322, 3.4) the way mail programs do: tolerant, never raising."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailboxes.remembered import remembered

_MAX_ADDRESSES = 10_000
_MAX_LENGTH = 500_000  # letters of one field
_REMEMBERED = 1_000  # letters of a field that is remembered
_TOKEN = re.compile(
    r'\s++|"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)|\(|\[[^\[\]\\]*+\]|[<>,;:]|[^\s()<>,;:"\[]++|.',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)


_Word = tuple[str, bool, bool]  # text, whether it was quoted, white space in front of it


@dataclass(frozen=True, slots=True)
class RawAddress:
    """One address as written; encoded words are not decoded. A group is a start and an end."""

    name: str  # display name without its quotes, else the comment, else empty
    route: str  # obsolete source route, e.g. @a,@b
    mailbox: str  # local part without its quotes, or the name of a group that starts here
    host: str  # empty if there is none
    group: str = ""  # "start" or "end", or empty for an address
    rest: str = ""  # what stands behind the angle brackets, which some programs show instead


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[RawAddress] = []
        self.in_group = False
        self.clear()

    def clear(self) -> None:
        self.words: list[_Word] = []
        self.comment = ""
        self.angle: list[_Word] | None = None
        self.rest: list[_Word] = []
        self.route = ""

    def read(self) -> list[RawAddress]:
        position, spaced, inside = 0, False, False
        while position < len(self.text) and len(self.found) < _MAX_ADDRESSES:
            match = _TOKEN.match(self.text, position)
            if match is None:
                break
            piece, position = match[0], match.end()
            if piece.isspace():
                spaced = True
                continue
            if piece == "(":
                position = self._take_comment(position)
            elif match[1] is not None:
                self._add(_ESCAPED.sub(r"\1", match[1]), True, spaced, inside)
            elif inside:
                inside = self._inside_angle(piece, spaced)
            elif piece == "<":
                self.rest += self.angle or []
                self.angle, inside = [], True
            elif piece in ",;":
                self._finish()
                if piece == ";" and self.in_group:
                    self.in_group = False
                    self.found.append(RawAddress("", "", "", "", "end"))
            elif piece == ":" and not self.in_group and self.angle is None:
                self.found.append(RawAddress("", "", _phrase(self.words), "", "start"))
                self.in_group = True
                self.clear()
            elif piece != ">":
                self._add(piece, False, spaced, inside)
            spaced = False
        self._finish()
        if self.in_group:
            self.found.append(RawAddress("", "", "", "", "end"))
        return self.found

    def _inside_angle(self, piece: str, spaced: bool) -> bool:
        words = self.angle if self.angle is not None else []
        if piece == ">":
            return False
        if piece == ":":
            self.route = "".join(text for text, _, _ in words)
            self.angle = []
        elif piece == "," and words and not words[0][0].startswith("@"):
            self._finish()  # the ">" is missing: the next address begins here
            return False
        elif piece != "<":
            words.append((piece, False, spaced))
        return True

    def _add(self, text: str, quoted: bool, spaced: bool, inside: bool) -> None:
        if inside and self.angle is not None:
            self.angle.append((text, quoted, spaced))
        elif self.angle is None:
            self.words.append((text, quoted, spaced))
        else:
            self.rest.append((text, quoted, spaced))

    def _take_comment(self, position: int) -> int:
        depth, start = 1, position
        for match in _COMMENT_MARK.finditer(self.text, position):
            depth += {"(": 1, ")": -1}.get(match[0], 0)
            if depth == 0:
                self.comment = _ESCAPED.sub(r"\1", self.text[start : match.start()])
                return match.end()
        self.comment = self.text[start:]
        return len(self.text)

    def _finish(self) -> None:
        words = self.words if self.angle is None else self.angle
        name = self.comment.strip() if self.angle is None else _phrase(self.words) or self.comment
        runs = _runs(words)
        specs = [run for run in runs if any("@" in text and not quoted for text, quoted, _ in run)]
        if self.angle is None and specs and runs.index(specs[0]):
            name = name or _phrase([word for run in runs[: runs.index(specs[0])] for word in run])
        rest = _phrase(self.rest)
        if specs:
            self.found += [RawAddress(name, self.route, *_split(run), rest=rest) for run in specs]
        elif words or self.angle is not None:
            self.found.append(RawAddress(name, self.route, _phrase(words), "", rest=rest))
        self.clear()


def take_apart(text: str) -> Sequence[RawAddress]:
    """The addresses of a field value, in order, with the starts and ends of groups."""
    if len(text) > _REMEMBERED:
        return _Reader(text[:_MAX_LENGTH]).read()
    return _take_apart(text)


@remembered(256)
def _take_apart(text: str) -> tuple[RawAddress, ...]:
    return tuple(_Reader(text).read())


def _phrase(words: list[_Word]) -> str:
    return "".join((" " if spaced else "") + text for text, _, spaced in words).strip()


def _runs(words: list[_Word]) -> list[list[_Word]]:
    """Words that belong together: white space parts them, but not around an @ or a dot.

    A forgotten comma between two addresses must not make one of them.
    """
    runs: list[list[_Word]] = []
    for word in words:
        text, _, spaced = word
        if runs and (not spaced or text[:1] in "@." or runs[-1][-1][0][-1:] in "@."):
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _split(words: list[_Word]) -> tuple[str, str]:
    """Local part and domain, at the last @ outside quotes."""
    for index in range(len(words) - 1, -1, -1):
        text, quoted, _ = words[index]
        if not quoted and "@" in text:
            local, _, host = text.rpartition("@")
            before = "".join(word for word, _, _ in words[:index])
            after = "".join(word for word, _, _ in words[index + 1 :])
            return before + local, host + after
    return _phrase(words), ""
