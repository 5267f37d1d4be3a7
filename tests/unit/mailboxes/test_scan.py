"""What the scanner promises, on hand-made mail, on the collected mail and on noise."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.decode import decode_body
from mailboxes.scan import MAX_DEPTH, MAX_HEADER, MAX_PARTS, scan
from mailboxes.structure import Part


def walk(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from walk(child)


def body(octets: bytes, part: Part) -> bytes:
    return octets[part.body_start : part.body_end]


def by_number(part: Part, number: str) -> Part:
    return next(each for each in walk(part) if each.number == number)


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


NESTED = crlf("""\
From: a@heping.test
Subject: =?utf-8?B?5rC0?=
\tfolded
Content-Type: multipart/mixed;
 boundary="outer"

preamble
--outer

first
--outer
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=gb2312

two.1
--inner
Content-Type: text/html

<p>two.2</p>

--inner--
epilogue of the inner
--outer
Content-Type: message/rfc822

Subject: single

three
--outer--
epilogue
""")


def test_part_numbers_are_those_of_imap() -> None:
    root = scan(NESTED)
    assert [(part.number, part.media_type) for part in walk(root)] == [
        ("", "multipart/mixed"),
        ("1", "text/plain"),
        ("2", "message/rfc822"),
        ("2", "multipart/alternative"),
        ("2.1", "text/plain"),
        ("2.2", "text/html"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    assert scan(b"Subject: x\r\n\r\nhello\r\n").number == "1"


def test_the_line_end_before_a_boundary_belongs_to_the_boundary() -> None:
    root = scan(NESTED)
    assert body(NESTED, by_number(root, "1")) == b"first"
    assert body(NESTED, by_number(root, "2.2")) == b"<p>two.2</p>\r\n"
    assert body(NESTED, by_number(root, "3.1")) == b"three"


def test_an_embedded_message_keeps_its_header() -> None:
    root = scan(NESTED)
    part = by_number(root, "3")
    assert body(NESTED, part) == b"Subject: single\r\n\r\nthree"
    inner = part.children[0]
    assert (inner.header_start, inner.body_end) == (part.body_start, part.body_end)


def test_unfolding_keeps_the_white_space() -> None:
    subject = scan(NESTED).fields[1]
    assert subject.value == b"=?utf-8?B?5rC0?=\tfolded"
    assert NESTED[subject.start : subject.end].startswith(b"Subject:")
    assert NESTED[subject.start : subject.end].endswith(b"folded\r\n")


def test_a_part_may_end_with_the_empty_line_of_its_header() -> None:
    octets = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n\n--b\n--b\n\n--b--\n")
    root = scan(octets)
    assert [body(octets, part) for part in root.children] == [b"", b"", b""]
    first = root.children[0]
    assert octets[first.header_start : first.body_start] == b"X: y\r\n\r\n"
    assert first.faults == ()


def test_bare_line_feeds_hide_neither_a_header_nor_a_boundary() -> None:
    octets = NESTED.replace(b"\r\n", b"\n")
    assert [part.number for part in walk(scan(octets))] == [
        part.number for part in walk(scan(NESTED))
    ]
    root = scan(b"Subject: a\nX-Evil: b\r\n\r\nbody")
    assert [field.name for field in root.fields] == ["Subject", "X-Evil"]


def test_the_first_empty_line_ends_the_header_whatever_the_second_looks_like() -> None:
    root = scan(b"Subject: a\n\n\r\nbody")
    assert (root.body_start, root.faults) == (12, ())
    assert scan(b"Subject: a\r\n\r\n\nbody").body_start == 14


def test_similar_boundaries_are_told_apart() -> None:
    octets = crlf("""\
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary="b2"

--b2

one
--b2

two
--b2--
--b

three
--b--
""")
    root = scan(octets)
    assert [part.number for part in walk(root)] == ["", "1", "1.1", "1.2", "2"]
    assert body(octets, by_number(root, "2")) == b"three"
    assert root.faults == ("similar-boundary",)


def test_a_similar_boundary_in_the_first_line_is_named() -> None:
    octets = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--bc\n\nhidden\n--b\n\none\n--b--\n"
    )
    root = scan(octets)
    assert [body(octets, part) for part in root.children] == [b"one"]
    assert root.faults == ("similar-boundary",)


def test_the_boundary_of_an_outer_multipart_is_ambiguous() -> None:
    """To most programs the first end boundary ends the inner one, and what follows is a part."""
    octets = crlf("""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/mixed; boundary=b

--b

one
--b--
--b
Content-Type: application/x-msdownload

two
--b--
""")
    assert scan(octets).children[0].faults[0] == "ambiguous-boundary"
    apart = octets.replace(
        b"boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--", b"boundary=c\r\n\r\n--c\r\n\r\none\r\n--c--"
    )
    assert [part.faults for part in walk(scan(apart))] == [(), (), (), ()]


def test_what_follows_white_space_in_the_line_of_a_boundary_does_not_count() -> None:
    octets = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b x\n\none\n--b-- y\nepilogue\n")
    root = scan(octets)
    assert [body(octets, part) for part in root.children] == [b"one"]
    assert root.faults == ("similar-boundary",), "some programs take such a line for text"
    padded = scan(octets.replace(b" x", b" \t").replace(b" y", b" "))
    assert padded.faults == ()


def test_the_empty_line_of_an_embedded_header_may_stand_before_a_boundary() -> None:
    octets = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: message/rfc822\n\nSubject: in\n\n--b--\n"
    )
    part = scan(octets).children[0]
    assert body(octets, part) == b"Subject: in\r\n\r\n"
    assert part.children[0].faults == ()


def test_a_missing_end_boundary_loses_nothing() -> None:
    octets = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nlast words\n")
    root = scan(octets)
    assert root.faults == ("no-end-boundary",)
    assert body(octets, root.children[0]) == b"last words\r\n"


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=zz"],
)
def test_a_multipart_without_parts_is_a_leaf(content_type: str) -> None:
    octets = crlf(f"Content-Type: {content_type}\n\n--b\n\ntext\n")
    root = scan(octets)
    assert (root.number, root.children, root.faults) == ("1", (), ("no-boundary",))
    assert body(octets, root) == b"--b\r\n\r\ntext\r\n"


def test_the_parts_of_a_digest_are_messages() -> None:
    octets = crlf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\nx\n--b--\n")
    part = scan(octets).children[0]
    assert part.media_type == "message/rfc822"
    assert part.children[0].fields[0].value == b"in"


def test_an_encoded_message_is_named_as_a_fault() -> None:
    octets = crlf(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDog\n"
    )
    assert scan(octets).faults == ("encoded-message",)
    assert scan(octets).children == ()


def test_lines_that_are_no_field_are_passed_over() -> None:
    root = scan(b"From me Mon Jan 1\r\nSubject : x\r\ngarbage\r\n more\r\nTo: y\r\n\r\nz")
    assert [(field.name, field.value) for field in root.fields] == [("Subject", b"x"), ("To", b"y")]
    assert root.faults == ("bad-header",)


def test_depth_and_number_of_parts_are_bounded() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)
    )
    parts = list(walk(scan(deep)))
    assert len(parts) == MAX_DEPTH + 1
    assert "too-deep" in parts[-1].faults
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 10_000
    root = scan(wide)
    assert len(root.children) == MAX_PARTS
    assert "too-many-parts" in root.faults
    letters = b"Content-Type: message/rfc822\r\n\r\n" * 500
    assert len(list(walk(scan(letters)))) == MAX_DEPTH + 1


def test_a_large_mail_is_scanned_without_a_copy_and_a_small_one_in_no_time() -> None:
    big = NESTED.replace(b"first", (b"A" * 76 + b"\r\n") * 330_000)
    start = time.perf_counter()
    root = scan(memoryview(big))
    assert time.perf_counter() - start < 1
    assert by_number(root, "1").lines == 330_000
    start = time.perf_counter()
    for _ in range(100):
        scan(NESTED)
    assert (time.perf_counter() - start) / 100 < 0.005


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\r\n" * 500_000,
        b"Content-Type: text/plain; a=\"" + b"\\\"" * 500_000 + b"\r\n\r\n",
        b"Content-Type: text/plain" + b"; a=(" * 300_000 + b"\r\n\r\n",
        b"X" * 3_000_000,
        b"X: y\r\n" * 500_000,
        b"\r\n" * 1_000_000,
        b"Subject: x\r\n" + b" \r\n" * 500_000,
        b"\n" * 10 + b":" * 1_000_000,
    ],
)  # fmt: skip
def test_a_hostile_mail_costs_no_more_than_its_size(octets: bytes) -> None:
    start = time.perf_counter()
    scan(octets)
    assert time.perf_counter() - start < 3


def _check(octets: bytes, part: Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.body_start
    # The empty line of a header may be the line end in front of the boundary.
    assert part.body_start <= part.body_end <= end + 2
    position = part.header_start
    for field in part.fields:
        assert position <= field.start < field.end <= part.body_start
        position = field.end
    position = part.body_start
    for child in part.children:
        _check(octets, child, position, part.body_end)
        position = max(position, child.header_start)


_PIECES = [
    b"\r\n", b"\n", b"\r", b"--b", b"--b\r\n", b"--b--\r\n", b"--c\r\n", b" ", b"\t", b"a: b\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: multipart/digest;\r\n boundary=\"c\"\r\n", b"Content-Type: text/plain", b":",
    b"Content-Transfer-Encoding: base64\r\n", b"\xb9\xab\\\xce\xc4", "密".encode(), b"\x00", b"x",
    b"Content-Disposition: attachment; filename*0*=utf-8''%E5; filename*1=b\r\n", b"\"", b";",
]  # fmt: skip
MESSAGES = st.lists(st.sampled_from(_PIECES) | st.binary(max_size=6), max_size=40).map(b"".join)


@given(MESSAGES)
def test_noise_never_raises_and_offsets_stay_inside(octets: bytes) -> None:
    _check(octets, scan(octets), 0, len(octets))


def test_all_collected_mail_has_a_structure(corpus: dict[str, bytes]) -> None:
    for octets in corpus.values():
        root = scan(octets)
        assert root.body_end == len(octets)
        _check(octets, root, 0, len(octets))


def test_the_parts_of_sound_mail_are_those_that_the_standard_library_finds(
    corpus: dict[str, bytes],
) -> None:
    compared = 0
    for name, octets in corpus.items():
        root = scan(octets)
        if any(part.faults for part in walk(root)):
            continue
        # The standard library takes a delivery status apart, which is one part for IMAP.
        if any(part.media_type == "message/delivery-status" for part in walk(root)):
            continue
        message = email.message_from_bytes(octets, policy=email.policy.compat32)
        theirs = [
            part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()
        ]
        if any(part.defects for part in message.walk()):
            continue
        ours = [
            decode_body(body(octets, part), part.encoding)
            for part in walk(root)
            if not part.children
        ]
        assert [part.replace(b"\r\n", b"\n") for part in ours] == [
            part.replace(b"\r\n", b"\n") for part in theirs if isinstance(part, bytes)
        ], name
        compared += 1
    assert compared > 80 or not corpus


def test_the_headers_of_all_parts_share_one_limit() -> None:
    line = b"X-A: " + b"\xb9" * 900 + b"\r\n"
    part = b"--b\r\n" + line * 400 + b"\r\nx\r\n"
    root = scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 30 + b"--b--\r\n")
    kept = sum(field.end - field.start for child in root.children for field in child.fields)
    assert len(root.children) == 30
    assert kept <= MAX_HEADER
    assert [child.faults for child in root.children] == [()] * 2 + [("header-too-long",)] * 28
