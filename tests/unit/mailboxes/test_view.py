"""A view reads exactly as it says, and its structure is that of its octets."""

from __future__ import annotations

import io
from typing import BinaryIO

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailboxes.scan import scan
from mailboxes.structure import HeaderField, Part
from mailboxes.view import PIECE, View, restructure, view_of

PREFIX = (
    b"Return-Path: <office@heping.test>\r\n"
    b"Authentication-Results: mail.heping.test;\r\n\tauth=pass\r\n"
    b"Subject: =?utf-8?B?44CU54m55oCl44CV?= x\r\n"
)
FOREIGN = ("authentication-results", "subject", "x-yizhan-id")


def foreign(field: HeaderField) -> bool:
    return field.name.lower() in FOREIGN


def shown(octets: bytes, view: View) -> bytes:
    cut = octets
    for start, end in reversed(view.cuts):
        cut = cut[:start] + cut[end:]
    return view.prefix + cut


def test_a_view_hides_foreign_fields_and_leaves_the_body() -> None:
    octets = (
        b"X-Yizhan-ID: 1\r\nSubject: a\r\n b\r\nFrom: c\r\nAuthentication-Results: d\r\n\r\nbody"
    )
    view = view_of(scan(octets), len(octets), PREFIX, foreign)
    expected = PREFIX + b"From: c\r\n\r\nbody"
    assert b"".join(view.pieces(lambda: io.BytesIO(octets))) == expected
    assert view.size == len(expected)
    part = restructure(scan(octets), view)
    assert part == scan(expected)
    assert [field.name for field in part.fields][-1] == "From"


def test_reading_a_range_never_loads_the_whole() -> None:
    octets = b"Subject: a\r\n\r\n" + b"0123456789" * 100_000
    view = view_of(scan(octets), len(octets), PREFIX, foreign)
    asked: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    def open_original() -> BinaryIO:
        return Watched(octets)

    assert view.read(open_original, len(PREFIX) + 2 + 500_000, 10) == b"0123456789"
    assert asked == [10]
    pieces = list(view.pieces(open_original))
    assert max(len(piece) for piece in pieces) <= PIECE
    assert b"".join(pieces) == shown(octets, view)


def test_the_prefix_is_read_without_the_original() -> None:
    def unwanted() -> BinaryIO:
        raise AssertionError("the original is not needed")

    view = View(PREFIX, 1000, ((0, 10),))
    assert view.read(unwanted, 5, 20) == PREFIX[5:25]
    assert view.read(unwanted, view.size, 10) == b""


def test_an_original_that_is_too_short_is_an_error() -> None:
    view = View(b"", 100)
    with pytest.raises(EOFError):
        view.read(lambda: io.BytesIO(b"short"), 0, 100)


@given(
    st.binary(max_size=60),
    st.binary(max_size=20),
    st.lists(st.tuples(st.integers(0, 59), st.integers(1, 9)), max_size=4),
    st.integers(-2, 90),
    st.integers(-2, 90),
)
def test_any_range_of_any_view_is_that_of_its_octets(
    octets: bytes, prefix: bytes, pairs: list[tuple[int, int]], start: int, length: int
) -> None:
    cuts: list[tuple[int, int]] = []
    for begin, size in sorted(pairs):
        end = min(begin + size, len(octets))
        if begin < end and (not cuts or cuts[-1][1] <= begin):
            cuts.append((begin, end))
    view = View(prefix, len(octets), tuple(cuts))
    whole = shown(octets, view)
    assert view.size == len(whole)
    wanted = whole[max(start, 0) : max(start, 0) + max(length, 0)]
    assert view.read(lambda: io.BytesIO(octets), start, length) == wanted


_LINES = [
    b"Subject: a\r\n", b"subject: b\r\n c\r\n", b"X-Yizhan-Id:\r\n", b"From: x\n", b"junk\r\n",
    b" starts with space\r\n", b"Authentication-Results: y\n\tz\r\n", b"To: t", b"\r\n", b"\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n", b"Subject: in a part\r\n",
    b"--b--\r\n", b"text\r\n", b"Content-Type: message/rfc822\r\n", b"Content-Type: text/html\r\n",
    b"x", b"xy\n", b"\t\r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(_LINES), max_size=14), st.sampled_from([PREFIX, b"A: b\n", b""]))
def test_the_structure_of_a_view_is_that_of_a_fresh_scan(lines: list[bytes], prefix: bytes) -> None:
    octets = b"".join(lines)
    part = scan(octets)
    # Without any field of its own, a mail that starts with white space continues our last one.
    assume(part.fields or not octets.startswith((b" ", b"\t")))
    view = view_of(part, len(octets), prefix, foreign)
    # With no field left at all, a bare line end that was a bad header line would end the header.
    assume(prefix or len(view.cuts) == 0 or any(not foreign(field) for field in part.fields))
    assert restructure(part, view) == scan(shown(octets, view))


def test_the_structures_of_views_of_all_collected_mail_hold(corpus: dict[str, bytes]) -> None:
    for name, octets in corpus.items():
        part = scan(octets)
        view = view_of(part, len(octets), PREFIX, foreign)
        if part.fields or not octets.startswith(b" "):
            assert restructure(part, view) == scan(shown(octets, view)), name


@pytest.mark.parametrize(
    "view",
    [
        View(b"no field\r\n", 40),
        View(b"A: b", 40),
        View(b"A: b\r\n\r\n", 40),
        View(b"Content-Type: text/html\r\n", 40),
        View(b"", 40, ((0, 3),)),
        View(b"", 40, ((12, 38),)),
    ],
)
def test_a_view_that_would_change_the_mail_is_an_error(view: View) -> None:
    part: Part = scan(b"Subject: x\r\nContent-Type: text/plain\r\n\r\n")
    with pytest.raises(ValueError, match=r"."):
        restructure(part, view)
