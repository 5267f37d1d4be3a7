"""Mail that is made to hold up the daemon, or to hide a mark from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.domain.marking import find_markings
from gateway.domain.metadata import SUBJECT_LENGTH, read_metadata
from gateway.policy.archives import Budget
from gateway.policy.checks.metadata import read_subject
from gateway.policy.examine import examine
from gateway.policy.extract import NeedsChild, extract, read_plainly
from gateway.policy.inspection import Inspection, Reading
from gateway.policy.markup import html_text
from gateway.policy.uuencoded import take_out
from gateway.policy.weight import is_light
from gateway.seals.book import SealBook
from mailboxes.decode import addresses, charset_text, decode_text
from mailboxes.scan import scan
from tests.unit.inspection import files
from tests.unit.inspection.files import message

MARK = "<p>机密★1年</p>"


def seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def look(octets: bytes) -> Inspection:
    return examine(
        octets, unit_id=1, book=SealBook(()), at=datetime(2026, 3, 1, tzinfo=UTC), clock_skew=900,
        opener=None, office_host="mail.heping.test", mt_priority=None,
        read_attachment=lambda name, kind, file: extract(name, kind, file, Budget()),
    )  # fmt: skip


def test_a_text_of_nothing_but_beginnings_of_files_is_read_once() -> None:
    # 65 KB of these once froze every client for 25 seconds.
    text = b"begin 644 x\r\n" * 50_000
    assert seconds(lambda: take_out(text)) < 1
    assert take_out(text) == ([], text)
    found, rest = take_out(b"a\nbegin 644 x\nbegin 644 y\nend\nb\nbegin 644 z\n")
    assert [file.name for file in found] == [b"x"]
    assert rest == b"a\n\nb\nbegin 644 z\n"


@pytest.mark.parametrize(
    "subject",
    ["关于" + "." * 60_000 + "x", "关于" + "-" * 60_000 + "x", "Re:" * 20_000, "【特急】" * 20_000,
     "关于x" + "根据政办发〔2010〕56号a" * 2_000, "【" + "\u3000" * 60_000, "(a)" * 20_000,
     "." * 1_000 + "x" + "(a)" * 300],
)  # fmt: skip
def test_a_subject_of_any_length_is_read_in_no_time(subject: str) -> None:
    assert seconds(lambda: (read_metadata(subject, ""), read_subject(subject))) < 0.5
    assert len(read_metadata(subject, "")[0].title) <= SUBJECT_LENGTH


def test_a_line_that_can_be_read_in_many_ways_is_read_in_one() -> None:
    assert seconds(lambda: find_markings("no." * 40 + "机密x", "body")) < 0.5


def test_nineteen_thousand_fields_of_one_name_cost_no_more_than_their_number() -> None:
    octets = b"To: a@b\r\n" * 19_000 + b"\r\nx"
    assert seconds(lambda: look(octets)) < 5
    assert "to" in look(octets).repeated_headers


def test_more_header_than_can_be_searched_is_a_fault_that_policy_refuses() -> None:
    def headers(count: int) -> bytes:
        return "".join(f"X-{n}: {'a' * 1_900}\r\n" for n in range(count)).encode()

    assert "header-too-long" in look(headers(200) + b"\r\nx").structure.faults
    assert "header-too-long" not in look(headers(100) + b"\r\nx").structure.faults


@pytest.mark.parametrize(
    "heavy",
    ["X: a\r\n" * 600 + "\r\nx", f"X: {'a' * 70_000}\r\n\r\nx", "X: a\r\n\r\n" + "a" * 300_000,
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 200 + "--b--"],
)  # fmt: skip
def test_only_small_mail_is_examined_in_the_process_of_the_daemon(heavy: str) -> None:
    assert not is_light(scan(heavy.encode()))
    assert is_light(scan(message("正文", ("a.png", b"x"))))
    with pytest.raises(NeedsChild):
        read_plainly("a.txt", "text/plain", b"a" * 300_000)


@pytest.mark.parametrize(
    "source",
    [
        "<p>" + "İ" * 60 + "</p><style>p{}</style>" + MARK,
        "<title><style></title>" + MARK,
        "<textarea><script></textarea>" + MARK,
        "<svg><style/></svg>" + MARK,
        "<svg><style>" + MARK + "</style></svg>",
        "<!-- x --!>" + MARK + "<!-- y -->",
        "<!-->" + MARK + "<!-- y -->",
        "<xmp><!--</xmp>" + MARK + "<!-- y -->",
        "<style>p{}" + MARK,
        "<img alt='> <style>'>" + MARK + "<style></style>",
    ],
)
def test_no_trick_of_html_hides_what_a_reader_is_shown(source: str) -> None:
    assert find_markings(html_text(source), "body")


def test_what_html_does_not_show_is_no_text() -> None:
    assert html_text("<style>p{}</STYLE><script>x()</script><!-- y --><p>a</p>b") == "a\nb"


@pytest.mark.parametrize(
    "source",
    ["<!--机" * 20_000 + "-->", "<style>机" * 20_000 + "</style>", "<!--" * 20_000 + "机-->",
     "<style>a" * 20_000 + "</style>机", "<title><style>" * 10_000, "<a " * 40_000],
)  # fmt: skip
def test_html_costs_no_more_than_its_length(source: str) -> None:
    assert seconds(lambda: html_text(source)) < 2


def test_nul_reaches_no_text_and_hides_no_mark() -> None:
    assert decode_text(b"a\0b =?utf-8?B?AGM=?=") == "ab c"
    assert charset_text("机\0密".encode(), "utf-8") == "机密"
    assert addresses(b'"a\0b" <c\0d@heping.test>') == [("ab", "c\ufffdd@heping.test")]
    found = look(message("机\0密\n", ("a.txt", b"x\0y")))
    assert [marking.level for marking in found.markings] == ["secret"]
    assert not any("\0" in text.text for text in found.texts)


def test_text_in_a_charset_that_nothing_here_decodes_is_a_finding() -> None:
    cn = b"\x1b$)A\x0e;zCk\x0f"  # ISO-2022-CN, RFC 1922
    head = b"Subject: x\r\nContent-Type: text/plain; charset=iso-2022-cn\r\n"
    found = look(head + b"\r\n" + cn)
    assert [file.reading for file in found.attachments] == [Reading.UNREADABLE]
    named = b"Content-Disposition: attachment; filename=a.txt\r\n"
    assert look(head + named + b"\r\n" + cn).attachments[0].reading is Reading.UNREADABLE
    assert look(head + b"\r\nplain").attachments == ()
    other = b"Subject: x\r\nContent-Type: text/plain; charset=gb18030-2022\r\n\r\n"
    assert [m.level for m in look(other + "机密".encode("gb18030")).markings] == ["secret"]


def test_names_in_an_archive_are_known_though_its_contents_are_not() -> None:
    members = {"a.txt": bytes(3_000_000), "机密-方案.txt": b"x"}
    packed = files.zipped(members, packed=True)
    found = look(message("x", ("a.zip", packed)))
    assert found.attachments[0].reading is Reading.BOMB
    assert {marking.place for marking in found.markings} == {"attachment-name"}
    assert len(found.attachments[0].members) == len(found.attachments[0].member_types) == 2


@pytest.mark.parametrize("prefix", ["Re:", "AW: ", "SV:", "Fwd[2]:", "回复：", "转发:", "转寄："])
def test_a_reply_is_a_reply_to_marking_metadata_and_policy_alike(prefix: str) -> None:
    subject = f"{prefix}机密 关于检查的通知"
    assert find_markings(subject, "subject")
    assert read_subject(subject) == ("none", True)
    assert read_metadata(subject, "")[0].title == "机密 关于检查的通知"
