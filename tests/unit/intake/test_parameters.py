"""The arguments of MAIL and RCPT, piece by piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.intake import replies
from gateway.intake.parameters import (
    MailParameters,
    RecipientParameters,
    read_mail,
    read_recipient,
    split_path,
)


def xtext(text: str) -> str:
    """RFC 3461, section 4, from the other side."""
    return "".join(c if 33 <= ord(c) <= 126 and c not in "+=" else f"+{ord(c):02X}" for c in text)


def test_all_that_mail_may_say_is_kept():
    words = ["SIZE=5", "body=8bitmime", "SMTPUTF8", "RET=full", "ENVID=a+2Bb", "AUTH=x+3Dy"]
    said = read_mail([*words, "MT-PRIORITY=-9", "BY=+60;rt"])
    assert said == MailParameters(5, True, "FULL", "a+b", -9, 60, "RT")
    assert read_mail([]) == MailParameters()


def test_all_that_rcpt_may_say_is_kept():
    said = read_recipient(["NOTIFY=failure,DELAY", "ORCPT=rfc822;a+2Bb@heping.test"])
    assert said == RecipientParameters(frozenset({"FAILURE", "DELAY"}), "rfc822;a+b@heping.test")
    assert read_recipient(["ORCPT=utf-8;水@heping.test"]).orcpt == "utf-8;水@heping.test"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_xtext_comes_back_as_it_was_meant(text):
    encoded = xtext(text)
    if encoded and len(encoded) <= 100:
        assert read_mail([f"ENVID={encoded}"]).envid == text


@given(st.text(max_size=60))
def test_whatever_is_said_is_read_or_refused_in_one_printable_line(text):
    for read in (read_mail, read_recipient):
        try:
            read(text.split())
        except Refused as error:
            assert error.reply.code in (501, 555)
            line = replies.octets(error.reply, utf8=False)
            assert line.isascii()
            assert line.count(b"\r\n") == 1


@given(st.text(max_size=40))
def test_a_path_is_found_or_the_syntax_explained(text):
    try:
        path, words = split_path(f"FROM:{text}", "FROM:", replies.MAIL_SYNTAX)
    except Refused as error:
        assert error.reply == replies.MAIL_SYNTAX
    else:
        assert f"<{path}>" in text
        assert all(word in text for word in words)


@pytest.mark.parametrize(
    "word",
    ["BY=1", "BY=1;X", "BY=1234567890;N", "BY=-1;R", "BY=1;NTT", "RET=", "ENVID=" + "a" * 101],
)
def test_values_at_the_edge_are_refused(word):
    with pytest.raises(Refused):
        read_mail([word])
