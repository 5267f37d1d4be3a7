"""Takes marks like ours out of a subject that came from outside: 〔章✓〕, [Seal ✓] and their likes.

Compared is what a person sees: without letters that show nothing, one width, one script, one case,
and any pair of brackets, since few people know one kind from another.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from gateway.domain.script import fold, visible
from mailboxes.remembered import remembered

_WORDS = (
    r"部分|未验|已验|已?过期|已?注销|不明|伪|假|真|有效|无效|已核|ok|valid|true|false|checked|"
    r"verified|good|partly|not|expired|cancelled|unknown|duplicate"
)
_SIGNS = r"[^\w<>]"  # brackets are written as < and > here
# All of it says nothing but what a mark of ours says.
_MARK = re.compile(
    rf"<{_SIGNS}*+(?:无?章|疑重发|(?:no {_SIGNS}*+)?seal|possible)(?:{_SIGNS}|{_WORDS})*+> ?"
)
# It begins like one: the brackets go, the words stay.
_LIKE = re.compile(rf"<({_SIGNS}*+(?:无?章(?!程|节|法|句|回)|疑重发|(?:no +)?seal(?![a-z])))")
_MOST_ROUNDS = 8
_LONGEST = 4_000  # letters that are looked at; a longer subject is cut, as programs cut it too


@remembered(512)
def without_marks(subject: str) -> str:
    """The subject without anything that a reader could take for a mark of this office."""
    subject = subject[:_LONGEST]
    for _ in range(_MOST_ROUNDS):
        shorter = _round(subject)
        if shorter == subject:
            return subject
        subject = shorter
    # Nested deeper than anybody writes: without brackets there is no mark.
    return "".join(letter for letter in subject if not _bracket(letter))


def _round(subject: str) -> str:
    shown, places = _shown(subject)
    if "<" not in shown:
        return subject
    gone: set[int] = set()
    for mark in _MARK.finditer(shown):
        gone.update(range(places[mark.start()], places[mark.end() - 1] + 1))
    if not gone:
        for like in _LIKE.finditer(shown):
            gone.add(places[like.start()])
            close = shown.find(">", like.end())
            if close >= 0 and "<" not in shown[like.end() : close]:
                gone.add(places[close])
    return "".join(letter for place, letter in enumerate(subject) if place not in gone)


def _shown(subject: str) -> tuple[str, list[int]]:
    """What a person sees, brackets as < and >, and the place of each of its letters."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(subject):
        folded = _seen(letter)
        letters.append(folded)
        places += [place] * len(folded)
    return "".join(letters), places


@lru_cache(16_384)
def _seen(letter: str) -> str:
    """What a person sees of a letter; empty if nothing."""
    if unicodedata.category(letter) in ("Cf", "Mn", "Me", "Cc") or not visible(letter):
        return ""
    return _bracket(letter) or fold(letter)


def _bracket(letter: str) -> str:
    if letter in "<>‹›«»≪≫":
        return "<" if letter in "<‹«≪" else ">"
    return {"Ps": "<", "Pe": ">"}.get(unicodedata.category(letter), "")
