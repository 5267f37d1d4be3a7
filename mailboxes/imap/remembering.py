"""Answers to FETCH that depend on a content alone, kept until there is no room for more.

A content never changes, so nothing here can be out of date.
"""

from __future__ import annotations

from collections import OrderedDict

_LARGEST = 16_384  # octets of one answer
_LONGEST = 1_024  # letters of what was asked; a client may ask for fields with names of a megabyte
_OVERHEAD = 200  # octets that an entry costs beside its own


class Rendered:
    """The last answers, by content and by what was asked; for one process."""

    def __init__(self, capacity: int = 33_554_432) -> None:
        """`capacity`: octets."""
        self._capacity = capacity
        self._kept: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self._size = 0

    def get(self, content_id: int, what: str) -> bytes | None:
        """The answer, if it is kept."""
        return self._kept.get((content_id, what))

    def put(self, content_id: int, what: str, answer: bytes) -> None:
        """Keep an answer; the oldest go."""
        if len(answer) > _LARGEST or len(what) > _LONGEST or (content_id, what) in self._kept:
            return
        self._kept[content_id, what] = answer
        self._size += len(answer) + len(what) + _OVERHEAD
        while self._size > self._capacity:
            (_, asked), gone = self._kept.popitem(last=False)
            self._size -= len(gone) + len(asked) + _OVERHEAD
