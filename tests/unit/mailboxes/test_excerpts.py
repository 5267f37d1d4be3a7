"""A reader sees why a document was found: the words in the text as it was written."""

from __future__ import annotations

import pytest

from mailboxes.excerpts import excerpt


def marked(text: str, *words: str, **options: int) -> str:
    found = excerpt(text, words, **options)
    pieces, at = [], 0
    for start, end in found.marks:
        pieces += [found.text[at:start], "[", found.text[start:end], "]"]
        at = end
    return "".join([*pieces, found.text[at:]])


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("关于防汛工作的通知", ["防汛"], "关于[防汛]工作的通知"),
        ("关于防汛工作", ["防汛", "汛工"], "关于[防汛工]作"),
        ("和政办发〔２０２６〕４５号", ["2026"], "和政办发〔[２０２６]〕４５号"),
        ("Water LEVEL", ["level", "wat"], "[Wat]er [LEVEL]"),
        ("第一行的\n水务局\n\n另一段", ["的水务"], "第一行[的水务]局 另一段"),
        ("a\u0301b 与 ﬁn", ["fi"], "a\u0301b 与 [ﬁ]n"),
        ("没有", ["防汛"], "没有"),
        ("", ["防汛"], ""),
    ],
)
def test_words_are_marked_as_they_were_written(text: str, words: list[str], shown: str) -> None:
    assert marked(text, *words) == shown


def test_a_long_text_is_cut_around_the_first_word() -> None:
    text = "前" * 100 + "防汛" + "后" * 200
    assert marked(text, "防汛", around=3, most=10) == "…前前前[防汛]后后后后后…"


def test_a_mark_at_the_end_of_a_piece_is_cut_with_it() -> None:
    assert marked("防汛工作", "防汛工作", most=2) == "[防汛]…"
