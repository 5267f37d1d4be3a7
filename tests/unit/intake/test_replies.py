"""Replies: one line where one was promised, English by default, Chinese where it can be read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Reply
from gateway.intake import replies

FIXED = [reply for reply in vars(replies).values() if isinstance(reply, Reply)]


def test_no_text_from_outside_can_begin_a_second_reply():
    text = "refused\r\n250 2.0.0 accepted\n\x00\u2028x"
    line = replies.octets(Reply(550, "5.7.1", text), utf8=True)
    assert line == b"550 5.7.1 refused 250 2.0.0 accepted x\r\n"


def test_what_is_not_ascii_is_replaced_where_it_cannot_be_sent():
    reply = Reply(550, "5.7.1", "没有印章")
    assert replies.octets(reply, utf8=False).isascii()
    assert replies.octets(reply, utf8=True).decode() == "550 5.7.1 没有印章\r\n"


def test_a_reply_in_two_languages_begins_with_the_readers_own():
    reply = Reply(550, "5.7.7", "No seal", "没有印章")
    english = "550-5.7.7 No seal\r\n550 5.7.7 没有印章\r\n"
    assert replies.octets(reply, utf8=True).decode() == english
    assert replies.octets(reply, utf8=True, first="en").decode() == english
    chinese = "550-5.7.7 没有印章\r\n550 5.7.7 No seal\r\n"
    assert replies.octets(reply, utf8=True, first="zh-CN").decode() == chinese
    for language in ("zh-CN", "en"):
        assert replies.octets(reply, utf8=False, first=language) == b"550 5.7.7 No seal\r\n"


def test_the_fixed_replies_have_english_in_ascii_and_a_class_that_agrees_with_the_status():
    for reply in FIXED:
        assert replies.octets(reply, utf8=False).isascii()
        assert not reply.text_zh.isascii() or not reply.text_zh
        assert "mailbox says why" not in replies.octets(reply, utf8=False).decode()
        if reply.enhanced:
            assert reply.enhanced[0] == str(reply.code)[0]


@given(
    st.text(max_size=700), st.text(max_size=700), st.booleans(), st.sampled_from(("zh-CN", "en"))
)
def test_every_line_keeps_to_512_octets_and_to_the_form_of_a_reply(text, chinese, utf8, first):
    octets = replies.octets(Reply(550, "5.7.1", text, chinese), utf8=utf8, first=first)
    assert utf8 or octets.isascii()
    lines = octets.decode().split("\r\n")
    assert lines.pop() == ""
    assert 1 <= len(lines) <= 2
    for place, line in enumerate(lines):
        assert len(line.encode()) <= 510
        assert line.startswith("550 " if place == len(lines) - 1 else "550-")
        assert "\r" not in line
        assert "\n" not in line
