"""The patterns of LIST: `*` stands for any letters, `%` for any but the separator of levels.

Not a regular expression: one with many stars takes longer than anybody lives, and a client writes
the names as well as the patterns. Here the work is the pattern's length times the name's.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"[*%]{2,}")


class Pattern:
    """One pattern, behind the reference."""

    def __init__(self, reference: str, pattern: str) -> None:
        whole = pattern if pattern.startswith("/") else reference + pattern
        if whole.upper() == "INBOX" or whole.upper().startswith("INBOX/"):
            whole = "INBOX" + whole[5:]
        self._text = _RUN.sub(lambda match: "*" if "*" in match[0] else "%", whole)
        body = self._text[:-1]
        self._simple = "*" not in body and "%" not in body

    def matches(self, name: str) -> bool:
        """Whether the whole name fits."""
        text = self._text
        if not self._simple:
            return self._walk(name)
        if not text.endswith(("*", "%")):
            return name == text
        return name.startswith(text[:-1]) and (text[-1] == "*" or "/" not in name[len(text) - 1 :])

    def _walk(self, name: str) -> bool:
        """Bit n of `reached`: what was read of the pattern fits the first n letters."""
        size = len(name)
        letters: dict[str, int] = {}
        for place, letter in enumerate(name):
            letters[letter] = letters.get(letter, 0) | 1 << place
        reached = 1
        for sign in self._text:
            if sign == "*":
                reached = _from_lowest(reached, (1 << size + 1) - 1)
            elif sign == "%":
                start = 0
                for level in name.split("/"):
                    end = start + len(level)
                    within = (1 << end + 1) - (1 << start)
                    reached |= _from_lowest(reached & within, within)
                    start = end + 1
            else:
                reached = (reached & letters.get(sign, 0)) << 1
            if not reached:
                return False
        return bool(reached >> size & 1)


def _from_lowest(bits: int, mask: int) -> int:
    """All bits of the mask from the lowest of those on."""
    return mask & -(bits & -bits) if bits else 0
