"""The values that IMAP commands are made of, as the grammar reads them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

STAR = 0
"""`*` in a set: the largest number there is."""


@dataclass(frozen=True, slots=True)
class NumberSet:
    """A sequence-set of message numbers or UIDs; `STAR` stands for the largest."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False  # `$`: the result of the last SEARCH with SAVE (RFC 5182)

    def bounded(self, largest: int) -> list[tuple[int, int]]:
        """The ranges in rising order, disjoint, `*` replaced; what is above `largest` is kept."""
        ordered = sorted(
            tuple(sorted((low or largest, high or largest))) for low, high in self.ranges
        )
        merged: list[tuple[int, int]] = []
        for low, high in ordered:
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        return merged


def chosen(numbers: Iterable[int], ranges: Sequence[tuple[int, int]] | None) -> list[int]:
    """Those of the numbers that are in one of the ranges, as `bounded` gives them; rising. None:
    all of them."""
    rising = sorted(numbers)
    if ranges is None:
        return rising
    found: list[int] = []
    for low, high in ranges:
        found.extend(rising[bisect_left(rising, low) : bisect_right(rising, high)])
    return found


def numbers_text(numbers: list[int]) -> str:
    """Rising numbers as a sequence-set, ranges drawn together."""
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in _ranges(numbers))


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    start = end = 0
    for number in numbers:
        if start and number == end + 1:
            end = number
            continue
        if start:
            yield start, end
        start = end = number
    if start:
        yield start, end


@dataclass(frozen=True, slots=True)
class Section:
    """What is between the brackets of BODY[...]: a part, and what of it."""

    part: tuple[int, ...] = ()
    text: str = ""  # HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME; empty: all
    fields: tuple[bytes, ...] = ()  # as the client wrote them


@dataclass(frozen=True, slots=True)
class FetchItem:
    """One attribute of FETCH."""

    name: str  # ENVELOPE, FLAGS, BODY[], BINARY[], BINARY.SIZE[] ...
    section: Section | None = None
    peek: bool = False
    partial: tuple[int, int] | None = None  # first octet, how many


class SearchName(StrEnum):
    """Search keys that the grammar tells apart by their argument."""

    ALL = "ALL"
    AND = "AND"
    OR = "OR"
    NOT = "NOT"
    FLAG = "FLAG"  # texts[0]: the flag
    HEADER = "HEADER"  # texts: field name, what is looked for
    BODY = "BODY"
    TEXT = "TEXT"
    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"
    SENTBEFORE = "SENTBEFORE"
    SENTON = "SENTON"
    SENTSINCE = "SENTSINCE"
    LARGER = "LARGER"
    SMALLER = "SMALLER"
    YOUNGER = "YOUNGER"
    OLDER = "OLDER"
    SEQUENCE = "SEQUENCE"
    UID = "UID"
    MODSEQ = "MODSEQ"
    EMAILID = "EMAILID"
    THREADID = "THREADID"


@dataclass(frozen=True, slots=True)
class SearchKey:
    """A search key with what it asks for."""

    name: SearchName
    texts: tuple[str, ...] = ()
    number: int = 0
    day: date | None = None
    numbers: NumberSet | None = None
    keys: tuple[SearchKey, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchProgram:
    """A whole SEARCH, or the part of SORT and THREAD that says which messages."""

    key: SearchKey
    returns: tuple[str, ...] | None = None  # RETURN (RFC 4731); None: the old answer


@dataclass(frozen=True, slots=True)
class QResync:
    """What a client knows of a mailbox that it selects again (RFC 7162)."""

    uidvalidity: int
    modseq: int
    known: NumberSet | None = None
    pairs: tuple[NumberSet, NumberSet] | None = None  # message numbers and their UIDs


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """The parenthesis behind the name in SELECT."""

    condstore: bool = False
    qresync: QResync | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """LIST and LSUB (RFC 5258)."""

    reference: str
    patterns: tuple[str, ...]
    selects: frozenset[str] = frozenset()  # SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE
    returns: frozenset[str] = frozenset()  # SUBSCRIBED, CHILDREN, SPECIAL-USE
    status: tuple[str, ...] = ()  # STATUS items to return (RFC 5819)
    extended: bool = False


@dataclass(frozen=True, slots=True)
class StoreChange:
    """STORE's way and flags."""

    way: str  # "+", "-" or "" for a replacement
    flags: tuple[str, ...]
    silent: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class AppendHead:
    """What stands before a message in APPEND."""

    flags: tuple[str, ...] = ()
    arrived: datetime | None = None
    size: int = 0
    sync: bool = True  # the client waits for our "+"
    binary: bool = False  # literal8
    utf8: bool = False  # inside UTF8 (...)


@dataclass(frozen=True, slots=True)
class FetchQuery:
    """FETCH: what, and the modifiers of RFC 7162."""

    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
