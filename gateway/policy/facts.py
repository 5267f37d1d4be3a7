"""Facts: what the checks found out about one message, as named plain values that rules speak of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

Value = bool | int | str | tuple[str, ...]


class FactKind(StrEnum):
    """The form of a fact; it decides which sentences a rule may make with it."""

    WORD = "word"  # one of a fixed list
    WORDS = "words"  # any number of words, in order of appearance
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that a check may set.

    `usual` is its value for a harmless plain mail: a test case names only what differs from it.
    `quotable` facts may stand in a sentence to the sender; nothing taken from subject, text or
    file names is ever quotable, since a reply is logged by clients and relays.
    """

    name: str
    kind: FactKind
    meaning: str
    usual: Value
    choices: tuple[str, ...] = ()  # the words that can occur; empty: any
    quotable: bool = False

    def faults(self, value: object) -> str:
        """What is wrong with that value for this fact; empty if nothing."""
        match self.kind:
            case FactKind.FLAG if not isinstance(value, bool):
                return f"{self.name} is yes or no (true or false)"
            case FactKind.NUMBER if isinstance(value, bool) or not isinstance(value, int):
                return f"{self.name} is a number"
            case FactKind.WORD | FactKind.TEXT if not isinstance(value, str):
                return f"{self.name} is one word"
            case FactKind.WORDS if not (
                isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
            ):
                return f"{self.name} is a list of words"
            case FactKind.WORD | FactKind.WORDS if self.choices:
                words = [value] if isinstance(value, str) else list(_words(value))
                strange = [word for word in words if word not in self.choices]
                if strange:
                    return f"{self.name} is never {strange[0]}, only {', '.join(self.choices)}"
        return ""


def _words(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield from (word for word in value if isinstance(word, str))


class Facts:
    """The facts about one message. A fact whose check is off is absent; it decides nothing."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = MappingProxyType(dict(values))

    def get(self, name: str) -> Value | None:
        """The value; None if its check did not run."""
        return self._values.get(name)

    def items(self) -> Iterator[tuple[str, Value]]:
        """All facts in the order in which checks set them."""
        yield from self._values.items()

    def also(self, values: Mapping[str, Value]) -> Facts:
        """The same facts with these too."""
        return Facts({**self._values, **values})
