"""Encoded words: every program reads back what was written, whatever the text."""

from __future__ import annotations

from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.words import encoded_words

_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)


@given(_TEXTS, st.integers(2, 60))
def test_what_was_written_is_read_back(text: str, before: int) -> None:
    written = encoded_words(text, before=before)
    assert str(make_header(decode_header(written.replace("\r\n", "")))) == text


@given(_TEXTS, st.integers(2, 40))
def test_no_line_and_no_word_is_too_long(text: str, before: int) -> None:
    lines = ("x" * before + encoded_words(text, before=before)).split("\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert all(len(line.strip()) <= 75 for line in lines[1:])


def test_a_letter_is_never_split_between_two_words() -> None:
    for word in encoded_words("关于印发《和平区2026年度重点工作任务分解表》的通知" * 3).split(
        "\r\n "
    ):
        [(octets, charset)] = decode_header(word)
        assert charset == "utf-8"
        octets.decode("utf-8")


def test_of_no_text_there_is_no_word() -> None:
    assert encoded_words("") == ""
