"""What the index keeps of one content: its header as text, and the text of its body.

`prepare` does all that costs time, so that whoever holds a writer only puts rows down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailboxes.addresses import take_apart
from mailboxes.tokens import fold, short_tokens, tokens

NAMED = ("subject", "from", "to", "cc", "bcc")  # the fields that have a column each


class State(StrEnum):
    """How much of a content's text is known."""

    WHOLE = "whole"
    PARTLY = "partly"  # an attachment could not be read, or there is more than is kept
    HEADER = "header"  # the body is encrypted or cannot be read at all


@dataclass(frozen=True, slots=True)
class Entry:
    """One content as it is read for the index."""

    content_id: int
    key: str
    kind: str
    blob: (
        str  # of which it is a view: all views of one share its texts; empty: the content is alone
    )
    created: int  # Unix milliseconds
    fields: tuple[tuple[str, str], ...]  # name and decoded value of each header field
    texts: (
        tuple[str, ...] | None
    )  # of the body, each of one place; None: those of the blob are known
    title: str = ""  # what the index finds it by beside the body; empty: the subject
    state: State = State.WHOLE
    reason: str = ""  # what is missing, and why

    @property
    def subject(self) -> str:
        """The first field of that name."""
        return next((value for name, value in self.fields if name.lower() == "subject"), "")


@dataclass(frozen=True, slots=True)
class Grams:
    """The tokens of a text: in their order, and the short ones."""

    title: tuple[str, ...]
    body: tuple[str, ...]
    title_short: tuple[str, ...]
    body_short: tuple[str, ...]

    @classmethod
    def of(cls, title: str, body: str) -> Grams:
        """Of a folded title and a folded body."""
        return cls(
            tuple(tokens(title)),
            tuple(tokens(body)),
            tuple(sorted(short_tokens(title))),
            tuple(sorted(short_tokens(body))),
        )

    @property
    def all(self) -> list[str]:
        """Each once, for an index without an order."""
        return sorted({*self.title, *self.body, *self.title_short, *self.body_short})


@dataclass(frozen=True, slots=True)
class Head:
    """What is searched of a header, folded."""

    named: dict[str, str | None]  # by NAMED; several fields of one name are lines
    text: str  # "\nname: value" for each field

    @classmethod
    def of(cls, fields: Sequence[tuple[str, str]]) -> Head:
        """Of the decoded fields."""
        folded = [(fold(name), fold(value).strip()) for name, value in fields]
        named = {
            name: "\n".join(values) if values else None
            for name in NAMED
            for values in [[_spelled(name, value) for other, value in folded if other == name]]
        }
        return cls(named, "".join(f"\n{name}: {value}" for name, value in folded))

    def has(self, text: str, field: str) -> bool:
        """Whether a field of that name, or any field, contains the folded text."""
        if field in NAMED:
            return text in (self.named[field] or "") and self.named[field] is not None
        return text in self.text if not field else head_has(self.text, text, field)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry ready to be put down; without a body if that of its blob is known."""

    entry: Entry
    head: Head
    title: str
    body: str | None
    grams: Grams | None


def _spelled(name: str, value: str) -> str:
    """A field's text, for an address field with addresses without what may stand inside them."""
    if name == "subject" or "(" not in value:
        return value
    specs = [f"{one.mailbox}@{one.host}" for one in take_apart(value) if one.mailbox and one.host]
    return "\n".join([value, *(spec for spec in specs if spec not in value)])


def prepare(entry: Entry) -> Prepared:
    """Fold an entry's texts and cut them into tokens."""
    title = fold(entry.title or entry.subject).strip()
    head = Head.of(entry.fields)
    if entry.texts is None:
        return Prepared(entry, head, title, None, None)
    body = body_of(entry.texts)
    return Prepared(entry, head, title, body, Grams.of(title, body))


def body_of(texts: Sequence[str]) -> str:
    """The texts as one, folded; what is sought never goes from one of them into the next."""
    return "\n".join(filter(None, (fold(text).strip() for text in texts)))


def head_has(head: str, text: str, field: str) -> bool:
    """Whether a field of that name contains the folded text, in a kept header."""
    start = f"{field}: "
    return any(
        line.startswith(start) and text in line[len(start) :] for line in head.split("\n")[1:]
    )
