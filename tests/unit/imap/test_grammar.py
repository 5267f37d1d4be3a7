"""IMAP commands are read as RFC 3501 and 9051 write them, and what cannot be read says where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.imap.grammar import Grammar, SyntaxFault, UnknownCharset
from mailboxes.imap.syntax import (
    AppendHead,
    FetchItem,
    FetchQuery,
    ListQuery,
    NumberSet,
    QResync,
    SearchKey,
    SearchName,
    SearchProgram,
    Section,
    SelectOptions,
    StoreChange,
    numbers_text,
)

Read = Callable[[Grammar], Any]


def read(octets: bytes, how: Read, *, utf8: bool = False) -> Any:
    """What the grammar makes of all of it."""
    grammar = Grammar(octets, utf8=utf8)
    found = how(grammar)
    grammar.end()
    return found


def key(name: SearchName, *texts: str, **more: Any) -> SearchKey:
    return SearchKey(name, texts, **more)


SEEN = key(SearchName.FLAG, "\\Seen")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"INBOX", b"INBOX"),
        (b"a]b", b"a]b"),
        (b'""', b""),
        (b'"with \\"quotes\\" and \\\\"', b'with "quotes" and \\'),
        (b"{5}\r\nhello", b"hello"),
        (b"{5+}\r\n) {3}", b") {3}"),
        (b"{0}\r\n", b""),
        ('"签收"'.encode(), "签收".encode()),
    ],
)
def test_a_word_a_quoted_string_and_a_literal_are_the_same_thing(
    octets: bytes, expected: bytes
) -> None:
    assert read(octets, Grammar.astring) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"(", b'"open', b'"a\\n"', b'"line\r\nbreak"', b"{5}\r\nhell", b"{2}\r\n\0x",
        b"a\x7f",
    ],
)  # fmt: skip
def test_what_is_no_string_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.astring)


def test_nil_is_no_string_but_a_word_that_begins_so_is_an_error() -> None:
    assert read(b"nil", Grammar.nstring) is None
    assert read(b'"NIL"', Grammar.nstring) == b"NIL"
    with pytest.raises(SyntaxFault):
        read(b"nilly", Grammar.nstring)


@pytest.mark.parametrize(
    ("octets", "utf8", "expected"),
    [
        (b"&ZYdO9mfc-", False, "文件柜"),
        (b'"&ZYdO9mfc-/&ZTZlhw-"', False, "文件柜/收文"),
        (b"R&-D", False, "R&D"),
        (b"R&D", True, "R&D"),
        ('"文件柜"'.encode(), True, "文件柜"),
        ('"文件柜"'.encode(), False, "文件柜"),
    ],
)
def test_names_of_mailboxes_come_in_modified_utf7_or_utf8(
    octets: bytes, utf8: bool, expected: str
) -> None:
    assert read(octets, Grammar.mailbox, utf8=utf8) == expected


@pytest.mark.parametrize("octets", [b"&2D0-", b"&A-", b'"\xff\xfe"'])
def test_a_name_that_cannot_be_one_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.mailbox)


@pytest.mark.parametrize(
    ("octets", "largest", "expected"),
    [
        (b"1", 10, [(1, 1)]),
        (b"1:*", 10, [(1, 10)]),
        (b"*:4", 10, [(4, 10)]),
        (b"*", 10, [(10, 10)]),
        (b"5:2,3,9,10,1", 10, [(1, 5), (9, 10)]),
        (b"12:*", 10, [(10, 12)]),  # RFC 3501: it names the largest, whatever the other end
        (b"4294967295", 10, [(4_294_967_295, 4_294_967_295)]),
    ],
)
def test_sets_of_numbers_are_put_in_order(
    octets: bytes, largest: int, expected: list[tuple[int, int]]
) -> None:
    assert read(octets, Grammar.numbers).bounded(largest) == expected


@pytest.mark.parametrize("octets", [b"0", b"1:0", b"4294967296", b"a", b":3", b"1,,2", b"1:2:3"])
def test_what_is_no_set_of_numbers_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.numbers)


@given(st.sets(st.integers(1, 200)))
def test_a_set_that_was_written_is_read_back(numbers: set[int]) -> None:
    text = numbers_text(sorted(numbers))
    if not numbers:
        assert text == ""
        return
    ranges = read(text.encode(), Grammar.numbers).bounded(1)
    assert {n for low, high in ranges for n in range(low, high + 1)} == numbers
    assert text.count(",") == sum(n - 1 not in numbers for n in numbers) - 1


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"FAST", [FetchItem(n, peek=True) for n in ("FLAGS", "INTERNALDATE", "RFC822.SIZE")]),
        (b"(UID FLAGS)", [FetchItem("UID", peek=True), FetchItem("FLAGS", peek=True)]),
        (b"rfc822.text", [FetchItem("RFC822.TEXT")]),
        (b"BODY", [FetchItem("BODY", peek=True)]),
        (b"BODY[]", [FetchItem("BODY[]", Section())]),
        (b"BODY.PEEK[]<0.65536>", [FetchItem("BODY[]", Section(), True, (0, 65_536))]),
        (b"BODY[2.1.MIME]", [FetchItem("BODY[]", Section((2, 1), "MIME"))]),
        (b"BODY[1]", [FetchItem("BODY[]", Section((1,)))]),
        (
            b'BODY.PEEK[HEADER.FIELDS (From "x-note" {2}\r\nTo)]',
            [FetchItem("BODY[]", Section((), "HEADER.FIELDS", (b"From", b"x-note", b"To")), True)],
        ),
        (
            b"BODY[3.HEADER.FIELDS.NOT (Received)]",
            [FetchItem("BODY[]", Section((3,), "HEADER.FIELDS.NOT", (b"Received",)))],
        ),
        (b"BINARY.PEEK[1]<4.8>", [FetchItem("BINARY[]", Section((1,)), True, (4, 8))]),
        (b"BINARY.SIZE[2.3]", [FetchItem("BINARY.SIZE[]", Section((2, 3)), True)]),
    ],
)
def test_fetch_attributes(octets: bytes, expected: list[FetchItem]) -> None:
    assert read(octets, Grammar.fetch_query).items == tuple(expected)


def test_fetch_has_modifiers() -> None:
    assert read(b"(FLAGS) (CHANGEDSINCE 9223372036854775807 VANISHED)", Grammar.fetch_query) == (
        FetchQuery((FetchItem("FLAGS", peek=True),), (1 << 63) - 1, True)
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"BODIES", b"(FAST)", b"()", b"(UID", b"BODY[0]", b"BODY[1.]", b"BODY[MIME]", b"BODY[TEXT",
        b"BODY[]<1.0>", b"BODY[]<1>", b"BODY[HEADER.FIELDS ()]", b"BINARY[TEXT]", b"UID FLAGS",
        b"FLAGS (SINCE 4)", b"ENVELOPE[1]",
    ],
)  # fmt: skip
def test_what_is_no_fetch_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.fetch_query)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"FLAGS (\\Seen)", StoreChange("", ("\\Seen",))),
        (b"+FLAGS.SILENT \\Deleted", StoreChange("+", ("\\Deleted",), True)),
        (b"-flags ($Forwarded work)", StoreChange("-", ("$Forwarded", "work"))),
        (b"FLAGS ()", StoreChange("", ())),
        (b"+FLAGS \\Seen \\Flagged", StoreChange("+", ("\\Seen", "\\Flagged"))),
        (
            b"(UNCHANGEDSINCE 12) +FLAGS (\\Seen)",
            StoreChange("+", ("\\Seen",), unchanged_since=12),
        ),
    ],
)
def test_store(octets: bytes, expected: StoreChange) -> None:
    assert read(octets, Grammar.store_change) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", SelectOptions()),
        (b" (CONDSTORE)", SelectOptions(True)),
        (b" (QRESYNC (7 20))", SelectOptions(True, QResync(7, 20))),
        (
            b" (QRESYNC (7 20 1:5,9 (1,3 10,30)))",
            SelectOptions(
                True,
                QResync(
                    7, 20, NumberSet(((1, 5), (9, 9))),
                    (NumberSet(((1, 1), (3, 3))), NumberSet(((10, 10), (30, 30)))),
                ),
            ),
        ),
        (
            b" (QRESYNC (7 20 (1 10)))",
            SelectOptions(
                True, QResync(7, 20, None, (NumberSet(((1, 1),)), NumberSet(((10, 10),))))
            ),
        ),
    ],
)  # fmt: skip
def test_select_options(octets: bytes, expected: SelectOptions) -> None:
    assert read(octets, Grammar.select_options) == expected


@pytest.mark.parametrize("octets", [b" (QRESYNC (7 20 1:*))", b" (X)", b" CONDSTORE", b" ()"])
def test_what_is_no_select_option_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.select_options)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b'"" "*"', ListQuery("", ("*",))),
        (b'"" %', ListQuery("", ("%",))),
        (b"&ZYdO9mfc-/ *", ListQuery("文件柜/", ("*",))),
        (
            b'(SUBSCRIBED RECURSIVEMATCH) "" (INBOX "a b" c%) '
            b"RETURN (CHILDREN STATUS (MESSAGES UNSEEN))",
            ListQuery(
                "", ("INBOX", "a b", "c%"), frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
                frozenset({"CHILDREN"}), ("MESSAGES", "UNSEEN"), True,
            ),
        ),
        (
            b'"" "*" RETURN (SPECIAL-USE)',
            ListQuery("", ("*",), returns=frozenset({"SPECIAL-USE"}), extended=True),
        ),
        (b'() "" "*"', ListQuery("", ("*",), extended=True)),
    ],
)  # fmt: skip
def test_list(octets: bytes, expected: ListQuery) -> None:
    assert read(octets, Grammar.list_query) == expected


@pytest.mark.parametrize(
    "octets", [b'(RECURSIVEMATCH) "" *', b'(X) "" *', b'"" * RETURN (X)', b'"" *)', b'"" ()']
)
def test_what_is_no_list_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.list_query)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"{310}", AppendHead(size=310)),
        (b"(\\Seen) {3+}", AppendHead(("\\Seen",), size=3, sync=False)),
        (
            b'() " 2-Nov-2026 17:55:00 +0800" ~{9}',
            AppendHead((), datetime(2026, 11, 2, 9, 55, tzinfo=UTC), 9, binary=True),
        ),
        (b"UTF8 (~{9}", AppendHead(size=9, binary=True, utf8=True)),
    ],
)
def test_what_stands_before_a_message_in_append(octets: bytes, expected: AppendHead) -> None:
    assert read(octets, Grammar.append_head) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b'"31-Feb-2026 10:00:00 +0000" {1}', b'"1-Jan-2026 24:00:00 +0000" {1}',
        b'"1-Jan-2026 10:00:00 +9900" {1}', b'"1-Jan-0001 00:00:00 +0800" {1}',
        b'"1-Jan-2026" {1}', b"nothing", b"(\\Seen)",
    ],
)  # fmt: skip
def test_what_cannot_stand_before_a_message_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.append_head)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"ALL", key(SearchName.ALL)),
        (b"unseen", key(SearchName.NOT, keys=(SEEN,))),
        (b"RECENT", key(SearchName.FLAG, "\\Recent")),
        (b"2:4", key(SearchName.SEQUENCE, numbers=NumberSet(((2, 4),)))),
        (b"$", key(SearchName.SEQUENCE, numbers=NumberSet((), saved=True))),
        (b"UID *", key(SearchName.UID, numbers=NumberSet(((0, 0),)))),
        (b'SUBJECT "a b"', key(SearchName.HEADER, "subject", "a b")),
        (b'HEADER Message-ID ""', key(SearchName.HEADER, "message-id", "")),
        (
            b"CHARSET GBK TEXT {4}\r\n" + "防汛".encode("gbk"),
            key(SearchName.TEXT, "防汛"),
        ),
        (b'BODY "' + "防汛".encode() + b'"', key(SearchName.BODY, "防汛")),
        (b"SINCE 1-Nov-2026", key(SearchName.SINCE, day=date(2026, 11, 1))),
        (b'SENTON "01-nov-2026"', key(SearchName.SENTON, day=date(2026, 11, 1))),
        (b"LARGER 100", key(SearchName.LARGER, number=100)),
        (b"UNKEYWORD work", key(SearchName.NOT, keys=(key(SearchName.FLAG, "work"),))),
        (b'MODSEQ "/flags/\\\\draft" all 620', key(SearchName.MODSEQ, number=620)),
        (b"MODSEQ 620", key(SearchName.MODSEQ, number=620)),
        (b"EMAILID M12", key(SearchName.EMAILID, "M12")),
        (
            b"OR SEEN (NOT 1 ALL) DELETED",
            key(
                SearchName.AND,
                keys=(
                    key(
                        SearchName.OR,
                        keys=(
                            SEEN,
                            key(
                                SearchName.AND,
                                keys=(
                                    key(
                                        SearchName.NOT,
                                        keys=(
                                            key(
                                                SearchName.SEQUENCE,
                                                numbers=NumberSet(((1, 1),)),
                                            ),
                                        ),
                                    ),
                                    key(SearchName.ALL),
                                ),
                            ),
                        ),
                    ),
                    key(SearchName.FLAG, "\\Deleted"),
                ),
            ),
        ),
    ],
)
def test_search_keys(octets: bytes, expected: SearchKey) -> None:
    assert read(octets, Grammar.search_program) == SearchProgram(expected)


def test_search_says_what_it_wants_back() -> None:
    found = read(b"RETURN (MIN COUNT) UNDELETED", Grammar.search_program)
    assert found.returns == ("MIN", "COUNT")
    assert read(b"RETURN () ALL", Grammar.search_program).returns == ("ALL",)
    assert read(b"ALL", Grammar.search_program).returns is None


def test_sort_and_thread_name_their_charset_first() -> None:
    assert read(b"(REVERSE DATE subject)", Grammar.sort_criteria) == [
        ("DATE", True), ("SUBJECT", False),
    ]  # fmt: skip
    assert read(b"UTF-8 ALL", Grammar.sorted_program) == SearchProgram(key(SearchName.ALL))


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"FOO", b"NOT", b"OR ALL", b"(ALL", b"()", b"SUBJECT", b"SINCE yesterday",
        b"SENTON 30-Feb-2026", b"LARGER x", b"RETURN (X) ALL", b"ALL ALL ", b"MODSEQ x",
        b"(" * 60 + b"ALL" + b")" * 60, b"NOT " * 200 + b"ALL", b"ALL " * 1_200 + b"ALL",
        b'TEXT "\xff\xfe"',
    ],
)  # fmt: skip
def test_what_is_no_search_is_a_fault(octets: bytes) -> None:
    with pytest.raises(SyntaxFault):
        read(octets, Grammar.search_program)


def test_a_charset_that_nobody_knows_has_an_error_of_its_own() -> None:
    with pytest.raises(UnknownCharset):
        read(b"CHARSET KLINGON ALL", Grammar.search_program)


def test_a_fault_says_what_was_expected_and_where() -> None:
    with pytest.raises(SyntaxFault, match=r"expected a blank at octet 3, found: \)x"):
        read(b"1:)x", lambda g: (g.number(), g.expect(b":"), g.space()))
    with pytest.raises(SyntaxFault, match="a FETCH attribute is missing at the end"):
        read(b"", Grammar.fetch_query)


READERS: list[Read] = [
    Grammar.astring, Grammar.nstring, Grammar.mailbox, Grammar.pattern, Grammar.numbers,
    Grammar.fetch_query, Grammar.store_change, Grammar.select_options, Grammar.list_query,
    Grammar.status_items, Grammar.append_head, Grammar.search_program, Grammar.sort_criteria,
    Grammar.date_time, Grammar.flags, Grammar.tag,
]  # fmt: skip
_WORDS = [
    b"(", b")", b" ", b'"', b"\\", b"{3}\r\nabc", b"{9999999999999999999}\r\n", b"~{1}\r\n\0",
    b"[", b"]", b"<", b">", b"1", b"*", b":", b",", b"$", b"0", b"BODY", b"HEADER.FIELDS", b"OR",
    b"NOT", b"TEXT", b"RETURN", b"CHARSET", b"UTF-8", b"\\Seen", b"&ZYc-", b"&", b"-", b"\r\n",
    b"\xe7\xad\xbe", b"\xff", b"\0", b"1-Jan-2026", b"QRESYNC", b"UNCHANGEDSINCE",
]  # fmt: skip
_PIECES = st.sampled_from(_WORDS)


@pytest.mark.parametrize("how", READERS, ids=lambda how: how.__name__)
@given(pieces=st.lists(_PIECES | st.binary(max_size=8), max_size=25), utf8=st.booleans())
def test_no_input_raises_anything_but_its_own_errors(
    how: Read, pieces: list[bytes], utf8: bool
) -> None:
    try:
        read(b"".join(pieces), how, utf8=utf8)
    except (SyntaxFault, UnknownCharset) as fault:
        assert str(fault).isprintable()


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b'("name" "script")', [b"name", b"script"]),
        (b'( "name" NIL )', [b"name", None]),  # aioimaplib; was answered BAD
        (b"( )", []),
        (b"()", []),
    ],
)
def test_a_loose_list_may_have_a_blank_inside_its_parentheses(
    octets: bytes, expected: list[bytes | None]
) -> None:
    assert read(octets, lambda g: g.several(g.nstring, empty=True, loose=True)) == expected
    if b"( " in octets:
        with pytest.raises(SyntaxFault):
            read(octets, lambda g: g.several(g.nstring, empty=True))
