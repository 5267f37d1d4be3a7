"""Tokens: what an index needs in order to find every substring, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.tokens import fold, needle, short_tokens, tokens


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("和政办发〔２０２６〕４５号", "和政办发〔2026〕45号"),
        ("Ｗater　ＢＵＲＥＡＵ", "water bureau"),
        ("⽔务局", "水务局"),  # radicals of Kangxi, as in many a PDF
        ("水\u200b务\u00ad局\ufeff", "水务局"),
        ("第一行的\n水务局", "第一行的水务局"),
        ("第一行，  \r\n第二行", "第一行,第二行"),
        ("一段\n　　另一段", "一段 另一段"),  # an indent begins a paragraph
        ("一段\n\n另一段", "一段 另一段"),
        ("two\nlines \t here", "two lines here"),
        ("Straße ÎLE ﬁn", "strasse île fin"),
        ("a\0b\x07c", "abc"),
        ("十一月二十五日 ", "十一月二十五日 "),
        ("", ""),
    ],
)
def test_forms_that_look_alike_are_one(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_run_of_hanzi_is_its_pairs_and_its_last_letter() -> None:
    assert list(tokens("水务局")) == ["水务", "务局", "局"]
    assert list(tokens("水")) == ["水"]


def test_another_run_is_its_threes_and_its_end() -> None:
    assert list(tokens("2026 ab")) == ["202", "026", "26", "ab"]
    assert list(tokens("第5号")) == ["第", "5", "号"]


def test_short_tokens_are_letters_signs_and_twos() -> None:
    assert short_tokens("水a1") == {"水", "a", "1", "a1"}
    assert short_tokens("(水)") == {"水", "\ue028", "\ue029"}


@pytest.mark.parametrize(
    ("text", "phrases", "short", "exact"),
    [
        ("水务局", ("水务 务局",), (), True),
        ("水", (), ("水",), True),
        ("ab", (), ("ab",), True),
        ("abc", ("abc",), (), True),
        ("〔2026〕45号", ("202 026 26", "45"), (), False),
        ("发2", ("发",), (), False),
        ("a b", (), ("a", "b"), False),
        ("5号文件", ("号文 文件",), (), False),
        ("  ", (), (), False),
        ("", (), (), False),
    ],
)
def test_a_needle_says_what_every_text_with_it_has(
    text: str, phrases: tuple[str, ...], short: tuple[str, ...], exact: bool
) -> None:
    made = needle(text)
    assert tuple(" ".join(phrase) for phrase in made.phrases) == phrases
    assert (made.short, made.exact) == (short, exact)


LETTERS = st.sampled_from("水务局关于的通知ab1 2，。〔〕-.\n")


def has_phrase(found: list[str], phrase: tuple[str, ...]) -> bool:
    size = len(phrase)
    return any(tuple(found[at : at + size]) == phrase for at in range(len(found) - size + 1))


@given(st.text(LETTERS, max_size=40), st.text(LETTERS, max_size=6))
def test_tokens_never_hide_a_needle_and_are_exact_where_they_say_so(text: str, sought: str) -> None:
    folded, wanted = fold(text), needle(sought)
    found = list(tokens(folded))
    named = all(has_phrase(found, phrase) for phrase in wanted.phrases) and (
        set(wanted.short) <= short_tokens(folded)
    )
    if wanted.text in folded:
        assert named
    elif wanted.exact:
        assert not named


@given(st.text(max_size=60))
def test_what_is_folded_folds_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)
