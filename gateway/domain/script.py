"""Chinese words compared as people read them: one script, one width, one case.

Offices write 機密, 机密 and 機 密 and mean one thing, so every word list is compared after folding.
Only single characters are folded (the table of zhconv): phrases differ by region in vocabulary,
not in meaning, and a table of characters is the same for every text.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Characters that show nothing: they hide a word from a comparison but not from a reader.
INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
INVISIBLE += "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"


@cache
def _to_simplified() -> dict[int, str]:
    # Read here because zhconv's own loader leaves its file open, which is a warning, and to import
    # it takes half a second for a package of setuptools that it does not need.
    found = find_spec("zhconv")
    assert found is not None and found.origin is not None  # noqa: S101  # a dependency
    file = Path(found.origin).with_name("zhcdict.json")
    table: dict[str, str] = json.loads(file.read_bytes())["zh2Hans"]
    return {ord(old): new for old, new in table.items() if len(old) == 1 == len(new)}


@cache
def _in_place() -> dict[int, str]:
    width = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    return _to_simplified() | width | {0x3000: " ", 0x00A0: " "}


def fold(text: str) -> str:
    """The form in which words are compared: NFKC, simplified script, case folded.

    The length may change; use `fold_in_place` where positions matter.
    """
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFKC", text).translate(_to_simplified()).casefold()


def simplify(text: str) -> str:
    """NFKC and simplified script, case kept: for rules in which capitals mean something."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).translate(_to_simplified())


def fold_in_place(text: str) -> str:
    """Simplified script and half width, character by character, so that positions stay."""
    return text.translate(_in_place())


def visible(text: str) -> str:
    """The text without characters that show nothing (zero-width, soft hyphen, direction)."""
    return text if text.isascii() else text.translate(_REMOVAL)


_REMOVAL = dict.fromkeys(map(ord, INVISIBLE))
