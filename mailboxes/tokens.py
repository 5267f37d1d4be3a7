"""Text as search compares it, and the tokens by which an index finds every substring of it.

A mail program's search is for substrings (RFC 3501, 6.4.4), and Chinese is written without spaces,
so words are no help: whoever cuts 市政府采购 into words never finds 政府. Text is cut into runs
instead, and a run into overlapping pieces:

- a run of hanzi, kana or hangul into pairs, and its last letter: 水务局 is 水务 务局 局;
- a run of other letters and digits into threes, and its last two: 2026 is 202 026 26.

The end of each run is a token of its own, so tokens that follow each other in the index are letters
that follow each other in the text. What is shorter than a pair or three is found by a second set of
tokens: every letter and sign that occurs, and every two letters of a run of the second kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_WIDE_SIGNS = "\u2e80-\u2fdf\u3001-\u303f\uff01-\uff60\ufe30-\ufe4f“”‘’…—·"
_WIDE = (
    "\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_HAN = "\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SPACELESS = f"[{_WIDE_SIGNS}{_HAN}]"
# Controls, and what is there but not seen: soft hyphens, joiners, marks of direction, selectors.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_TURN = re.compile(rf"(?<={_SPACELESS})[ \t\r]*\n(?={_SPACELESS})")
_SPACE = re.compile(r"\s+")
_RUN = re.compile(rf"([{_WIDE}]+)|([^\W_{_WIDE}]+)")
_RUNS, _PHRASE = 8, 32  # of a needle, and tokens of each; what is longer is compared with the text
_SIGNS = 0xE000  # signs of ASCII are letters of the private area in tokens: FTS5 skips them


def fold(text: str) -> str:
    """The text as it is compared: compatibility forms and case made equal, white space one space.

    Full-width letters are plain ones, Kangxi radicals (of many a PDF) the hanzi that they look
    like. A line that ends and goes on between letters of a script without spaces is one line.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", spaceless_turns(text)).casefold()
        text = unicodedata.normalize("NFKC", text)
    else:
        text = text.lower()
    # The controls that normalization may have brought out too.
    return _SPACE.sub(" ", _UNSEEN.sub("", text))


def spaceless_turns(text: str) -> str:
    """The text without what nobody sees, and without the ends of lines that go on."""
    return _TURN.sub("", _UNSEEN.sub("", text))


def tokens(text: str) -> Iterator[str]:
    """The tokens of a folded text, in its order."""
    for wide, other in _RUN.findall(text):
        if wide:
            yield from _pairs(wide)
            yield wide[-1]
        else:
            yield from _threes(other)
            yield other[-2:]


def short_tokens(text: str) -> set[str]:
    """What is shorter than a token: each letter and sign, and each two letters but of wide ones."""
    found = {_sign(letter) for letter in set(text) if not letter.isspace()}
    for _, other in _RUN.findall(text):
        found.update(map(str.__add__, other, other[1:]))
    return found


@dataclass(frozen=True, slots=True)
class Needle:
    """What is sought: a folded text, and which tokens every text has that contains it."""

    text: str
    phrases: tuple[tuple[str, ...], ...]  # of `tokens`, in each of them one behind the other
    short: tuple[str, ...]  # of `short_tokens`, where there is no phrase
    exact: bool  # a text that has the one phrase, or the one short token, contains the needle

    @property
    def unindexed(self) -> bool:
        """Whether no token says anything: it is empty or white space."""
        return not self.phrases and not self.short


def needle(text: str) -> Needle:
    """A needle of any text, as somebody has typed it."""
    folded = fold(text)
    runs = list(_RUN.finditer(folded))
    phrases: list[tuple[str, ...]] = []
    for run in runs[:_RUNS]:
        # The first may be the end of a longer run, the last its beginning: then nobody knows all
        # of its tokens, perhaps none.
        begun, ended = run.start() > 0, run.end() < len(folded)
        found = tuple(islice(_run_tokens(run, begun=begun, ended=ended), _PHRASE + 1))
        if found:
            phrases.append(found[:_PHRASE])
    whole = len(runs) == 1 and runs[0].end() - runs[0].start() == len(folded)
    if phrases:
        return Needle(folded, tuple(phrases), (), whole and len(found) <= _PHRASE)
    if whole:
        return Needle(folded, (), (folded,), exact=True)
    return Needle(folded, (), tuple(sorted(short_tokens(folded))), exact=False)


def _run_tokens(run: re.Match[str], *, begun: bool, ended: bool) -> Iterator[str]:
    """The tokens that follow each other wherever the needle stands; `begun` and `ended`: the run
    begins and ends there too, else it may be a piece of a longer one."""
    wide, other = run[1], run[2]
    if wide:
        yield from _pairs(wide)
        if ended:
            yield wide[-1]
        return
    yield from _threes(other)
    if ended and (begun or len(other) > 1):
        yield other[-2:]


def _pairs(run: str) -> Iterator[str]:
    return map(str.__add__, run, run[1:])


def _threes(run: str) -> Iterator[str]:
    return (run[at : at + 3] for at in range(len(run) - 2))


def _sign(letter: str) -> str:
    if letter.isascii() and not letter.isalnum():
        return chr(_SIGNS + ord(letter))
    return letter
