"""Whatever a message holds, it ends where it ends, and its octets are what they were."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.pop3.stuffing import Stuffing, first_lines

LINES = st.lists(st.sampled_from([b".", b"\r\n", b"\n", b"\r", b"a", b"\0", b"\xff"])).map(b"".join)


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[start:end] for start, end in pairwise(places)]


def sent(pieces: list[bytes]) -> bytes:
    stuffing = Stuffing()
    return b"".join(map(stuffing.piece, pieces)) + stuffing.end()


def received(octets: bytes) -> tuple[bytes, bytes]:
    """What a program takes for the answer that takes LF for a line's end, and what is left."""
    found = b""
    while True:
        line, end, octets = octets.partition(b"\n")
        assert end, "there is no end"
        if line == b".\r":
            return found, octets
        found += line.removeprefix(b".") + end if line.startswith(b".") else line + end


@given(LINES, st.lists(st.integers(0, 100), max_size=5))
def test_a_message_comes_back_as_it_was_however_it_is_cut(octets: bytes, cuts: list[int]) -> None:
    found, rest = received(sent(pieces_of(octets, cuts)))
    assert rest == b""
    assert found == (octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n")


@given(LINES)
def test_no_message_ends_its_answer_early(octets: bytes) -> None:
    answer = sent([octets])
    end = answer.index(b"\r\n.\r\n") + 5 if not answer.startswith(b".\r\n") else 3
    assert end == len(answer)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, b""), (1, b"a\r\n"), (2, b"a\r\n\r\n"), (3, b"a\r\n\r\nbc\n"), (4, None), (10**9, None)],
)
def test_the_first_lines_are_so_many_in_pieces_of_any_size(
    most: int, expected: bytes | None, size: int
) -> None:
    whole = b"a\r\n\r\nbc\nd"
    pieces = iter([whole[n : n + size] for n in range(0, len(whole), size)])
    assert b"".join(first_lines(pieces, most)) == (whole if expected is None else expected)
