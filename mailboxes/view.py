"""What a reader fetches: our own header fields, then the original without the fields cut from it.

The body is never touched, so signatures hold, and the structure of a view follows from that of the
original by shifting offsets: `restructure` equals a fresh scan of the view's octets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from mailboxes.scan import scan_fields
from mailboxes.structure import HeaderField, Part

PIECE = 65_536

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class View:
    """`prefix` (whole header fields, each with its line end) and the original minus `cuts`.

    Cuts are ascending, separate ranges start..end of whole fields of the original's top header.
    """

    prefix: bytes
    size_original: int
    cuts: tuple[tuple[int, int], ...] = ()

    @property
    def size(self) -> int:
        """Octets that a reader gets."""
        return len(self.prefix) + self.size_original - sum(end - start for start, end in self.cuts)

    def read(self, open_original: Opener, start: int, length: int) -> bytes:
        """Octets start..start+length of the view, less where it ends; opens the original if needed.

        Raises what opening and reading raises.
        """
        return b"".join(self._range(open_original, max(start, 0), max(length, 0)))

    def span(self, open_original: Opener, start: int, length: int) -> Iterator[bytes]:
        """The same in pieces of at most 64 KiB."""
        return self._range(open_original, max(start, 0), max(length, 0))

    def pieces(self, open_original: Opener) -> Iterator[bytes]:
        """All octets in pieces of at most 64 KiB; the original is opened at the first of them."""
        return self._range(open_original, 0, self.size)

    def _range(self, open_original: Opener, start: int, length: int) -> Iterator[bytes]:
        stop = min(start + length, self.size)
        own = self.prefix[start:stop]
        for offset in range(0, len(own), PIECE):
            yield own[offset : offset + PIECE]
        if stop <= max(start, len(self.prefix)):
            return
        with open_original() as original:
            for kept_start, kept_stop, place in self._kept():
                first = kept_start + max(start - place, 0)
                last = min(kept_stop, kept_start + stop - place)
                if first < last:
                    yield from _read(original, first, last)

    def _kept(self) -> Iterator[tuple[int, int, int]]:
        """The ranges of the original that stay, each with its place in the view."""
        position, place = 0, len(self.prefix)
        for start, end in (*self.cuts, (self.size_original, self.size_original)):
            yield position, start, place
            place += start - position
            position = end


def _read(original: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    original.seek(start)
    while start < stop:
        piece = original.read(min(PIECE, stop - start))
        if not piece:
            raise EOFError("the original is shorter than its view says")
        start += len(piece)
        yield piece


def view_of(part: Part, size: int, prefix: bytes, cut: Callable[[HeaderField], bool]) -> View:
    """The view of an original of that size that hides the top fields for which `cut` is true.

    Lines that are no field in front of the first field go too: a white space there would make them
    a continuation of our own last field.
    """
    spans = [(field.start, field.end) for field in part.fields if cut(field)]
    if part.fields and part.fields[0].start > part.header_start:
        spans.insert(0, (part.header_start, part.fields[0].start))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return View(prefix, size, tuple(merged))


def restructure(part: Part, view: View) -> Part:
    """The structure of the view, given that of the original.

    Exact for every original that has a field of its own. One that has none, and starts with white
    space, would continue our last field; no such mail has a sender.

    Raises ValueError if the prefix is more than header fields, if a cut is not made of whole
    fields of the top header, or if either touches a Content field.
    """
    added = scan_fields(view.prefix)
    _check(part, view, added)
    removed = sum(end - start for start, end in view.cuts)
    shift = len(view.prefix) - removed
    kept: list[HeaderField] = []
    cuts = list(view.cuts)
    gone = 0
    for field in part.fields:
        while cuts and cuts[0][1] <= field.start:
            gone += cuts[0][1] - cuts[0][0]
            cuts.pop(0)
        if cuts and cuts[0][0] <= field.start:
            continue
        moved = len(view.prefix) - gone
        kept.append(HeaderField(field.name, field.value, field.start + moved, field.end + moved))
    fields = (*added, *kept)
    body_start = part.body_start + shift
    return replace(
        part,
        body_start=body_start,
        body_end=part.body_end + shift,
        fields=fields,
        children=tuple(_shifted(child, shift) for child in part.children),
        faults=_faults(part, fields, body_start),
    )


def _check(part: Part, view: View, added: tuple[HeaderField, ...]) -> None:
    if sum(field.end - field.start for field in added) != len(view.prefix) or (
        view.prefix and not view.prefix.endswith(b"\n")
    ):
        raise ValueError("a prefix is made of whole header fields")
    starts = {part.header_start, *(field.start for field in part.fields)}
    ends = {part.header_start, *(field.end for field in part.fields)}
    if part.fields:
        ends.add(part.fields[0].start)
    for start, end in view.cuts:
        if start not in starts or end not in ends or start > end:
            raise ValueError("a cut is made of whole header fields")
    hidden = (
        field for field in part.fields
        if any(start <= field.start < end for start, end in view.cuts)
    )  # fmt: skip
    if any(field.name.lower().startswith("content-") for field in (*added, *hidden)):
        raise ValueError("a view leaves the Content fields alone")


def _faults(part: Part, fields: tuple[HeaderField, ...], body_start: int) -> tuple[str, ...]:
    """Whether there are still lines that are no field, now that some may have been cut."""
    position, junk = 0, False
    for field in fields:
        junk = junk or field.start > position
        position = field.end
    ended = "no-header-end" not in part.faults
    # The empty line is one or two octets; one more line with its end is at least one more.
    junk = junk or body_start - position > (2 if ended else 0)
    faults = [fault for fault in part.faults if fault != "bad-header" or junk]
    return tuple(faults)


def _shifted(part: Part, shift: int) -> Part:
    return replace(
        part,
        header_start=part.header_start + shift,
        body_start=part.body_start + shift,
        body_end=part.body_end + shift,
        fields=tuple(
            HeaderField(field.name, field.value, field.start + shift, field.end + shift)
            for field in part.fields
        ),
        children=tuple(_shifted(child, shift) for child in part.children),
    )
