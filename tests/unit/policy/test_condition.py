"""Sentences of rules: what they mean, and that a wrong one is found when it is loaded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.checks import known_facts
from gateway.policy.condition import InvalidRule, read_condition
from gateway.policy.facts import FactKind, Facts, Value

KNOWN = known_facts()
CALM = settings(deadline=None)  # a busy machine is no fault


def holds(text: str, **values: Value) -> bool:
    facts = Facts({name.replace("_", "-"): value for name, value in values.items()})
    return read_condition(text, KNOWN).holds(facts)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("seal is other-unit or cancelled", "cancelled", True),
        ("seal is other-unit or cancelled", "valid", False),
        ("seal is valid, partly or missing", "partly", True),
        ("seal is not valid", "valid", False),
        ("seal is not valid or partly", "missing", True),
        ("kind is not 请示", "函", True),
        ("virus-name is empty", "", True),
        ("virus-name is not empty", "", False),
        ("sender-unit is water or finance", "finance", True),
        ("passed-here is yes", True, True),
        ("passed-here is no", True, False),
        ("hops is over 30", 30, False),
        ("hops is at least 30", 30, True),
        ("hops is under 30", 30, False),
        ("hops is at most 30", 30, True),
        ("hops is 30", 30, True),
        ("load is over 2 GB", 2 * 1024**3 + 1, True),
        ("load is at most 30 MB", 30 * 1024**2, True),
        ("directions are only up", ("up",), True),
        ("directions are only up or level", ("up", "level"), True),
        ("directions are only up", ("up", "down"), False),
        ("directions are only up", (), False),
        ("directions include down", ("up", "down"), True),
        ("directions do not include down", ("up",), True),
        ("blind-copies are empty", (), True),
        ("blind-copies are not empty", ("a@b.test",), True),
        ("file-endings\n  include exe,\n  com or bat", ("bat", "pdf"), True),
    ],
)
def test_a_sentence_means_what_it_says(text: str, value: Value, expected: bool) -> None:
    name = text.split(maxsplit=1)[0]
    assert read_condition(text, KNOWN).holds(Facts({name: value})) is expected


def test_one_fact_may_be_looked_up_among_the_words_of_another() -> None:
    text = "class is among unchecked-classes"
    assert holds(text, class_="mail") is False
    facts = Facts({"class": "mail", "unchecked-classes": ("document", "mail")})
    assert read_condition(text, KNOWN).holds(facts)
    assert not read_condition("class is not among unchecked-classes", KNOWN).holds(facts)


SENTENCES = {
    FactKind.WORD: "{} is not none",
    FactKind.TEXT: "{} is not empty",
    FactKind.WORDS: "{} are empty",
    FactKind.NUMBER: "{} is at least 0",
    FactKind.FLAG: "{} is no",
}


@pytest.mark.parametrize("name", KNOWN)
def test_no_sentence_about_an_absent_fact_holds(name: str) -> None:
    fact = KNOWN[name]
    sentence = SENTENCES[fact.kind].format(name)
    if fact.kind is FactKind.WORD:
        sentence = f"{name} is not {fact.choices[-1]}"
    assert not read_condition(sentence, KNOWN).holds(Facts({}))
    assert not read_condition("class is not among unchecked-classes", KNOWN).holds(
        Facts({"class": "mail"})
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour is red", "there is no fact 'colour'"),
        ("", "there is no fact ''"),
        ("seal is good", "seal is never 'good', only valid"),
        ("seal is", "cannot understand"),
        ("seal", "cannot understand"),
        ("seal is over 3", "seal is never 'over 3'"),
        ("seal is or", "seal is never 'or'"),
        ("directions include sideways", "never 'sideways'"),
        ("directions is up", "cannot understand"),
        ("hops is many", "say `is over 30 MB`"),
        ("hops is over 30 TB", "cannot understand"),
        ("hops over 30", "cannot understand"),
        ("passed-here is true", "say `is yes` or `is no`"),
        ("class is among directions-of-wind", "not a fact of several words"),
        ("file-endings include exe com", "more than one word"),
        ("file-endings include ,", "a word is missing"),
    ],
)
def test_a_sentence_that_cannot_be_meant_is_found(text: str, says: str) -> None:
    with pytest.raises(InvalidRule, match=says.replace("(", r"\(")):
        read_condition(text, KNOWN)


@CALM
@given(st.text(), st.sampled_from([*KNOWN, "nothing"]))
def test_any_text_is_understood_or_refused_with_a_sentence(text: str, name: str) -> None:
    try:
        condition = read_condition(f"{name} {text}", KNOWN)
    except InvalidRule as error:
        assert str(error).startswith("when: ")
    else:
        assert condition.holds(Facts({name: KNOWN[name].usual})) in (True, False)


@CALM
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_over_and_at_most_are_opposites(value: int, limit: int) -> None:
    over = holds(f"load is over {limit}", load=value)
    assert over is not holds(f"load is at most {limit}", load=value)
    assert over is (value > limit)
