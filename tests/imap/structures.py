"""Compares two servers' ENVELOPE, BODYSTRUCTURE and BODY, piece by piece.

What differs is a finding: the place, both values, and what is needed to judge it. Nothing is judged
here; `differences` does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailboxes.charset import wire_octets
from mailboxes.structure import Part

Value = Any  # as `client` reads it

_NAMES = (
    "date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id",
)  # fmt: skip
_PEOPLE = _NAMES[2:8]
_BORROWED = ("sender", "reply-to")  # they are From where they are missing
_LEAF = (
    "type", "subtype", "parameters", "content-id", "content-description",
    "content-transfer-encoding", "size",
)  # fmt: skip
_TAIL = ("content-disposition", "content-language", "content-location")


@dataclass(frozen=True)
class Finding:
    """One value that is not the same."""

    kind: str  # text, addresses, type, parameters, encoding, disposition, languages, number, parts
    name: str  # of the field, or what a number counts
    ours: Value
    theirs: Value
    part: Part  # that it is about
    parents: tuple[Part, ...]  # the parts that it is in, the root first

    @property
    def faults(self) -> set[str]:
        """Of this part and of all parts that it is in."""
        return {fault for part in (*self.parents, self.part) for fault in part.faults}

    @property
    def values(self) -> list[bytes]:
        """The values of all fields of that name; Sender and Reply-To may stand for From."""
        found = values(self.part, self.name)
        if self.name in _BORROWED and not any(found):
            return found + values(self.part, "from")
        return found


def values(part: Part, name: str) -> list[bytes]:
    """The values of all fields of that name."""
    return [field.value for field in part.fields if field.name.lower() == name]


def from_modules(value: Value) -> Value:
    """A value of `mailboxes.imapdata` as the client would read it from a server."""
    if isinstance(value, str):
        return wire_octets(value)
    if not isinstance(value, list):
        return value
    found = [from_modules(one) for one in value]
    return [*found[0], *found[1:]] if _is_multipart(value) else found


def _is_multipart(value: list[Value]) -> bool:
    """Whether it is [[body, ...], subtype, ...], and not a list of addresses."""
    return (
        len(value) > 1 and isinstance(value[0], list) and isinstance(value[1], str)
        and all(isinstance(one, list) for one in value[0])
    )  # fmt: skip


def envelopes(
    part: Part, ours: Value, theirs: Value, parents: tuple[Part, ...] = ()
) -> Iterator[Finding]:
    """What differs between two envelopes of the message `part`."""
    for name, mine, other in zip(_NAMES, ours, theirs, strict=True):
        if mine != other:
            kind = "addresses" if name in _PEOPLE else "text"
            yield Finding(kind, name, mine, other, part, parents)


def bodies(
    part: Part, ours: Value, theirs: Value, *, extended: bool, parents: tuple[Part, ...] = ()
) -> Iterator[Finding]:
    """What differs between two body structures of `part`; not extended is BODY."""
    return _Bodies(part, extended, parents).compare(ours, theirs)


@dataclass(frozen=True)
class _Bodies:
    """A comparison of what two servers say of one part."""

    part: Part
    extended: bool
    parents: tuple[Part, ...]

    @property
    def _inside(self) -> tuple[Part, ...]:
        return (*self.parents, self.part)

    def compare(self, ours: Value, theirs: Value) -> Iterator[Finding]:
        if ours == theirs:
            return
        mine, other = _children(ours), _children(theirs)
        held = len(self.part.children) if mine else 0
        if not len(mine) == len(other) == held or (not mine and len(ours) != len(theirs)):
            yield self._finding("parts", "content-type", ours, theirs)
        elif mine:
            for child, one, two in zip(self.part.children, mine, other, strict=True):
                yield from bodies(child, one, two, extended=self.extended, parents=self._inside)
            yield from self._multipart(ours[held:], theirs[held:])
        else:
            yield from self._leaf(ours, theirs)

    def _finding(self, kind: str, name: str, ours: Value, theirs: Value) -> Finding:
        return Finding(kind, name, ours, theirs, self.part, self.parents)

    def _multipart(self, ours: Value, theirs: Value) -> Iterator[Finding]:
        yield from self._word("type", "content-type", ours[0], theirs[0])
        if self.extended:
            yield from self._parameters("content-type", ours[1], theirs[1])
            yield from self._tail(ours[2:], theirs[2:])

    def _leaf(self, ours: Value, theirs: Value) -> Iterator[Finding]:
        for name, one, two in zip(_LEAF, ours, theirs, strict=False):
            if name in ("type", "subtype"):
                yield from self._word("type", "content-type", one, two)
            elif name == "parameters":
                yield from self._parameters("content-type", one, two)
            elif name == "content-transfer-encoding":
                yield from self._word("encoding", name, one, two)
            elif one != two:
                yield self._finding("number" if name == "size" else "text", name, one, two)
        yield from self._behind(ours[len(_LEAF) :], theirs[len(_LEAF) :])

    def _behind(self, ours: Value, theirs: Value) -> Iterator[Finding]:
        """What follows the size: of a message, its envelope and body; the lines; the extension."""
        if len(ours) > 1 and isinstance(ours[0], list) and isinstance(ours[1], list):
            if self.part.children:
                message = self.part.children[0]
                yield from envelopes(message, ours[0], theirs[0], self._inside)
                yield from bodies(
                    message, ours[1], theirs[1], extended=self.extended, parents=self._inside
                )
            elif ours[:2] != theirs[:2]:
                yield self._finding("parts", "content-type", ours, theirs)
            ours, theirs = ours[2:], theirs[2:]
        if ours and isinstance(ours[0], int):
            if ours[0] != theirs[0]:
                yield self._finding("number", "lines", ours[0], theirs[0])
            ours, theirs = ours[1:], theirs[1:]
        if self.extended:
            if ours[0] != theirs[0]:
                yield self._finding("text", "content-md5", ours[0], theirs[0])
            yield from self._tail(ours[1:], theirs[1:])

    def _tail(self, ours: Value, theirs: Value) -> Iterator[Finding]:
        for name, one, two in zip(_TAIL, ours, theirs, strict=True):
            if name == "content-disposition" and one is not None and two is not None:
                yield from self._word("disposition", name, one[0], two[0])
                yield from self._parameters(name, one[1], two[1])
            elif one != two:
                kind = {"content-disposition": "disposition", "content-language": "languages"}
                yield self._finding(kind.get(name, "text"), name, one, two)

    def _word(self, kind: str, name: str, ours: Value, theirs: Value) -> Iterator[Finding]:
        """Words mean the same in any case."""
        if _lower(ours) != _lower(theirs):
            yield self._finding(kind, name, ours, theirs)

    def _parameters(self, name: str, ours: Value, theirs: Value) -> Iterator[Finding]:
        """Names mean the same in any case; their order means nothing."""
        if _pairs(ours) != _pairs(theirs):
            yield self._finding("parameters", name, ours, theirs)


def _children(value: Value) -> list[Value]:
    found: list[Value] = []
    for one in value:
        if not isinstance(one, list):
            break
        found.append(one)
    return found


def _pairs(value: Value) -> list[tuple[bytes, bytes]]:
    flat = value or []
    return sorted(zip((_lower(one) for one in flat[::2]), flat[1::2], strict=True))


def _lower(value: Value) -> Value:
    return value.lower() if isinstance(value, bytes) else value
