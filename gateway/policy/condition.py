"""A condition: one sentence of a rule about one fact, understood once, when the policy is loaded.

    seal is other-unit or cancelled          load is over 30 MB
    kind is not 请示                          hops is at least 30
    passed-here is yes                       file-endings include exe, com or bat
    class is among unchecked-classes         blind-copies are not empty
    directions are only up                   groups do not include all

A fact that is absent, because its check is off, makes every condition on it false.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.policy.facts import Fact, FactKind, Facts, Value

_UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "minutes": 60, "hours": 3600}
_ORDER: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "over": operator.gt,
    "under": operator.lt,
    "at least": operator.ge,
    "at most": operator.le,
}
_NUMBER = re.compile(r"(?:(over|under|at least|at most) )?(\d+)(?: (KB|MB|GB|minutes|hours))?")
_LIST = re.compile(r" *, *| +or +")


class InvalidRule(ValueError):
    """A rule cannot be understood; the message names the key and what is wrong."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One sentence of a rule. `holds` is false when a fact that it needs is absent."""

    text: str
    fact: str
    test: Callable[[Value, Facts], bool]

    def holds(self, facts: Facts) -> bool:
        """Whether the sentence is true of that message."""
        value = facts.get(self.fact)
        return value is not None and self.test(value, facts)


def read_condition(text: str, known: Mapping[str, Fact]) -> Condition:
    """Understand one sentence.

    Raises InvalidRule if the fact does not exist or the sentence does not suit it.
    """
    text = " ".join(text.split())
    name, _, rest = text.partition(" ")
    fact = known.get(name)
    if fact is None:
        raise InvalidRule(f"when: there is no fact {name!r}; see `yizhan policy checks`")
    if (test := _TESTS[fact.kind](fact, rest, known)) is None:
        raise InvalidRule(f"when: cannot understand {text!r}; {_SAY[fact.kind]}")
    return Condition(text, name, test)


Test = Callable[[Value, Facts], bool]


def _word_test(fact: Fact, rest: str, known: Mapping[str, Fact]) -> Test | None:
    match = re.fullmatch(r"is (not )?(among )?(.+)", rest)
    if not match:
        return None
    negated, among, said = bool(match[1]), bool(match[2]), match[3]
    if among:
        other = known.get(said)
        if other is None or other.kind is not FactKind.WORDS:
            raise InvalidRule(f"when: {said} is not a fact of several words")

        def among_test(value: Value, facts: Facts) -> bool:
            words = facts.get(said)
            return isinstance(words, tuple) and (value in words) is not negated

        return among_test
    if fact.kind is FactKind.TEXT and said == "empty":
        return lambda value, _: (value == "") is not negated
    choices = _listed(fact, said)
    return lambda value, _: (value in choices) is not negated


def _words_test(fact: Fact, rest: str, _known: Mapping[str, Fact]) -> Test | None:
    if match := re.fullmatch(r"(?:is|are) (not )?empty", rest):
        wanted = not match[1]
        return lambda value, _: (value == ()) is wanted
    if match := re.fullmatch(r"(?:is|are) only (.+)", rest):
        allowed = set(_listed(fact, match[1]))
        return lambda value, _: isinstance(value, tuple) and value != () and set(value) <= allowed
    if match := re.fullmatch(r"(do not include|does not include|include|includes) (.+)", rest):
        wanted = "not" not in match[1]
        sought = set(_listed(fact, match[2]))
        return lambda value, _: (
            isinstance(value, tuple) and (not sought.isdisjoint(value)) is wanted
        )
    return None


def _number_test(_fact: Fact, rest: str, _known: Mapping[str, Fact]) -> Test | None:
    match = re.fullmatch(r"(?:is|are) (.+)", rest)
    said = match and _NUMBER.fullmatch(match[1])
    if not said:
        return None
    limit = int(said[2]) * _UNITS.get(said[3] or "", 1)
    order = _ORDER[said[1] or ""]
    return lambda value, _: isinstance(value, int) and order(value, limit)


def _flag_test(_fact: Fact, rest: str, _known: Mapping[str, Fact]) -> Test | None:
    if rest not in ("is yes", "is no"):
        return None
    wanted = rest == "is yes"
    return lambda value, _: value is wanted


_TESTS: dict[FactKind, Callable[[Fact, str, Mapping[str, Fact]], Test | None]] = {
    FactKind.WORD: _word_test,
    FactKind.TEXT: _word_test,
    FactKind.WORDS: _words_test,
    FactKind.NUMBER: _number_test,
    FactKind.FLAG: _flag_test,
}
_SAY = {
    FactKind.WORD: "say `is A or B`, `is not A`, `is among` another fact",
    FactKind.TEXT: "say `is A`, `is not A`, `is empty`",
    FactKind.WORDS: "say `include A or B`, `do not include A`, `are only A`, `are (not) empty`",
    FactKind.NUMBER: "say `is over 30 MB`, `is under`, `is at least`, `is at most`, `is 3`",
    FactKind.FLAG: "say `is yes` or `is no`",
}


def _listed(fact: Fact, said: str) -> tuple[str, ...]:
    words = tuple(word for word in _LIST.split(said) if word)
    if not words:
        raise InvalidRule(f"when: {fact.name}: a word is missing")
    for word in words:
        if fact.choices and word not in fact.choices:
            raise InvalidRule(
                f"when: {fact.name} is never {word!r}, only {', '.join(fact.choices)}"
            )
        if " " in word:
            raise InvalidRule(f"when: {word!r} is more than one word; join words with `or`")
    return words
