"""Which sections a message has for BODY[...], and where they stand (RFC 3501, 6.4.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailboxes.structure import Part


@dataclass(frozen=True)
class Section:
    """The name between the brackets, and the octets of the message that it means."""

    name: str
    start: int
    stop: int
    part: Part
    parents: tuple[Part, ...] = ()


def sections(root: Part, size: int) -> Iterator[Section]:
    """All sections of a message of so many octets."""
    yield Section("", 0, size, root)
    yield Section("HEADER", 0, root.body_start, root)
    yield Section("TEXT", root.body_start, root.body_end, root)
    if not root.children:
        yield Section("1.MIME", 0, root.body_start, root)
        yield Section("1", root.body_start, root.body_end, root)
    else:
        yield from _inside(root, ())


def _inside(part: Part, parents: tuple[Part, ...]) -> Iterator[Section]:
    """Those of the parts of a multipart, or of the message that a part holds."""
    parents = (*parents, part)
    for child in part.children:
        if part.media_type.startswith("multipart/"):
            yield from _numbered(child, parents)
        else:
            number = part.number
            yield Section(f"{number}.HEADER", child.header_start, child.body_start, child, parents)
            yield Section(f"{number}.TEXT", child.body_start, child.body_end, child, parents)
            if child.media_type.startswith("multipart/") and child.children:
                yield from _inside(child, parents)
            else:
                yield from _numbered(child, parents)


def _numbered(part: Part, parents: tuple[Part, ...]) -> Iterator[Section]:
    yield Section(f"{part.number}.MIME", part.header_start, part.body_start, part, parents)
    yield Section(part.number, part.body_start, part.body_end, part, parents)
    yield from _inside(part, parents)
