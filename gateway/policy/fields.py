"""What header fields say about senders, and which of them occur twice, in a message and below it.

A person sees a display name, words behind the address or a Sender long before an addr-spec; so
every address that such a field shows must be the sender's, wherever in the field it stands.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from gateway.domain.script import fold, visible
from mailboxes import addresses as address_fields
from mailboxes.charset import raw_text
from mailboxes.decode import addresses, decode_text
from mailboxes.structure import Part

SENDER_FIELDS = ("sender", "resent-from", "resent-sender", "reply-to")

_CONTENT_FIELDS = frozenset((
    "content-type", "content-transfer-encoding", "content-disposition", "content-id",
    "content-description",
))  # fmt: skip
_BEFORE = re.compile(r"[^\s<>()\[\]\\\",;:@]+\s*\Z")
_BEHIND = re.compile(r"\s*([^\s<>()\[\]\\\",;:@]+)")
_QUOTES = ".'`‘’“”"
_REACH = 320  # letters to each side of an @
_LONGEST = 20_000  # letters of one field that are searched
_MOST = 50


def shown_addresses(structure: Part, name: str) -> tuple[str, ...]:
    """Whatever looks like an address in the fields of that name, folded, in order, once each.

    Display names, comments and what stands outside an address count. A field with words but no
    address gives an empty text.
    """
    found: list[str] = []
    for value in _values(structure, name):
        if not value.strip():
            continue
        text = decode_text(value)[:_LONGEST]
        named = [address.casefold() for _, address in addresses(value)]
        shown = list(_look_like_addresses(fold(visible(text))))
        found += [address for address in named if "@" in address] + shown or [""]
    return tuple(dict.fromkeys(found))[:_MOST]


def _look_like_addresses(text: str) -> Iterator[str]:
    for at in itertools.islice(re.finditer("@", text), _MOST):
        before = _BEFORE.search(text[max(at.start() - _REACH, 0) : at.start()])
        behind = _BEHIND.match(text[at.end() : at.end() + _REACH])
        if before is not None and behind is not None:
            local, host = before[0].strip(), behind[1].replace("。", ".").rstrip(_QUOTES)
            if "." in host:
                yield f"{local.lstrip(_QUOTES)}@{host}"


def sender_fields(structure: Part) -> tuple[tuple[str, str], ...]:
    """Each address in a field that names a sender beside From, with the name of that field."""
    return tuple(
        (name, address) for name in SENDER_FIELDS for address in shown_addresses(structure, name)
    )


def is_unclear(structure: Part) -> bool:
    """Whether From holds more than mailboxes: a group, a route, words behind an address."""
    return any(
        bool(entry.group or entry.route or entry.rest)
        for value in _values(structure, "from")
        for entry in address_fields.take_apart(raw_text(value)[0])
    )


def repeated(structure: Part) -> Iterator[str]:
    """Content fields that occur twice in a part below the root: programs take different ones."""
    waiting = list(structure.children)
    while waiting:
        part = waiting.pop()
        waiting += part.children
        seen: set[str] = set()
        for field in part.fields:
            name = field.name.lower()
            if name in _CONTENT_FIELDS and name in seen:
                yield name
            seen.add(name)


def faults(structure: Part) -> Iterator[str]:
    """The faults of every part."""
    waiting = [structure]
    while waiting:
        part = waiting.pop()
        yield from part.faults
        waiting += part.children


def _values(structure: Part, name: str) -> Iterator[bytes]:
    return (field.value for field in structure.fields if field.name.lower() == name)
