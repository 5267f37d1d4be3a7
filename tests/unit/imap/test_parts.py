"""Sections of a message, and NUL in one that came as a literal8."""

from __future__ import annotations

import time

import pytest

from mailboxes.decode import decode_body
from mailboxes.imap.sections import choose_fields, find_part, section_range
from mailboxes.imap.syntax import Section
from mailboxes.imap.unbinary import NotEncodable, without_nul
from mailboxes.scan import scan

INNER = (
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\nfirst\r\n--i\r\nContent-Type: text/html\r\n\r\nsecond\r\n--i--\r\n"
)
MAIL = (
    b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Language: en\r\n\r\nhello\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER + b"\r\n--o--\r\n"
)  # fmt: skip


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        ((), "", MAIL), ((), "HEADER", MAIL[: MAIL.index(b"--o")]),
        ((), "TEXT", MAIL[MAIL.index(b"--o") :]), ((1,), "", b"hello"),
        ((1,), "MIME", b"Content-Language: en\r\n\r\n"), ((1,), "HEADER", None),
        ((1,), "TEXT", None), ((1, 1), "", None), ((2,), "", INNER),
        ((2,), "HEADER", INNER[: INNER.index(b"--i")]),
        ((2,), "TEXT", INNER[INNER.index(b"--i") :]),
        ((2, 1), "", b"first"), ((2, 2), "", b"second"),
        ((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n"), ((3,), "", None), ((2, 3), "", None),
    ],
)  # fmt: skip
def test_sections(part: tuple[int, ...], text: str, expected: bytes | None) -> None:
    """RFC 3501, 6.4.5."""
    found = section_range(scan(MAIL), len(MAIL), Section(part, text))
    assert (None if found is None else MAIL[slice(*found)]) == expected


def test_the_only_part_of_a_plain_message_is_number_one() -> None:
    mail = b"Subject: a\r\n\r\nbody\r\n"
    root = scan(mail)
    assert section_range(root, len(mail), Section((1,))) == (14, len(mail))
    assert find_part(root, (2,)) is None
    assert find_part(root, (1, 1)) is None


def test_fields_are_taken_whole_and_in_their_order() -> None:
    header = b"To: a,\r\n\tb\r\nSubject: x\r\nto : c\r\nX-To: d\r\n\r\n"
    assert choose_fields(header, (b"TO",), leave_out=False) == b"To: a,\r\n\tb\r\nto : c\r\n\r\n"
    rest = choose_fields(header, (b"TO", b"none"), leave_out=True)
    assert rest == b"Subject: x\r\nX-To: d\r\n\r\n"
    assert choose_fields(header, (b".*",), leave_out=False) == b"\r\n"
    many = (b"to", *(b"x-%d" % number for number in range(1_000)))
    few = choose_fields(header, (b"to",), leave_out=False)
    assert choose_fields(header, many, leave_out=False) == few


def test_a_line_that_is_no_field_is_left_out_and_holds_up_nobody() -> None:
    """One of 65,000 letters took a minute, in which no other client heard a word; of one with a
    colon in it the word before that was taken for a field."""
    header = b"Subject: a\r\n" + b"a" * 65_536 + b"\r\nno field: b\r\nTo: c\r\n\r\n"
    begun = time.perf_counter()
    rest = choose_fields(header, (b"subject",), leave_out=True)
    assert time.perf_counter() - begun < 2
    assert rest == b"To: c\r\n\r\n"


def test_only_parts_with_nul_are_encoded() -> None:
    binary = bytes(range(256)) * 3
    mail = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n"
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain \xff\r\n--b\r\n"
        b"Content-Type: application/x\r\nContent-Transfer-Encoding:\r\n binary\r\nX-A: b\r\n\r\n"
        + binary + b"\r\n--b\r\n\r\n\0\r\n--b--\r\n"
    )  # fmt: skip
    found = without_nul(mail)
    assert b"\0" not in found
    root = scan(found)
    assert [part.encoding for part in root.children] == ["8bit", "base64", "base64"]
    decoded = [
        decode_body(found[part.body_start : part.body_end], part.encoding) for part in root.children
    ]
    assert decoded == [b"plain \xff", binary, b"\0"]
    assert b"X-A: b\r\n" in found
    assert found.count(b"Content-Transfer-Encoding") == 3
    assert without_nul(found) is found


@pytest.mark.parametrize(
    "mail",
    [
        b"Subject: \0\r\n\r\nx", b"\0", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\0\r\n"
        b"--b\r\n\r\nx\r\n--b--\r\n",
    ],
)  # fmt: skip
def test_nul_where_nothing_can_be_encoded_is_said(mail: bytes) -> None:
    with pytest.raises(NotEncodable):
        without_nul(mail)
