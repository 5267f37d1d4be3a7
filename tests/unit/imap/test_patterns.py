"""The patterns of LIST, beside the regular expression that they would be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.imap.patterns import Pattern


def expected(pattern: str, name: str) -> bool:
    pieces = {"*": ".*", "%": "[^/]*"}
    text = "".join(pieces.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(text, name, re.DOTALL) is not None


@given(st.text("ab/*%", max_size=9), st.text("ab/", max_size=12))
def test_stars_and_percent_signs_stand_for_what_they_should(pattern: str, name: str) -> None:
    assert Pattern("", pattern).matches(name) == expected(pattern, name)


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "fits"),
    [
        ("", "inbox", "INBOX", True), ("", "Inbox/%", "INBOX/a", True),
        ("", "inboxes", "INBOXES", False), ("a/", "%", "a/b", True), ("a/", "%", "a/b/c", False),
        ("a/", "/b", "/b", True), ("文件", "*", "文件柜/甲", True), ("", "*柜*", "文件柜/甲", True),
        ("", "a.b", "axb", False), ("", "[a]*x*", "[a]yx", True), ("", "", "", True),
    ],
)  # fmt: skip
def test_reference_and_pattern_together(
    reference: str, pattern: str, name: str, fits: bool
) -> None:
    assert Pattern(reference, pattern).matches(name) is fits


def test_many_stars_are_no_more_work_than_few() -> None:
    """As a regular expression this one is not done before the sun goes out."""
    name = "/".join(["a" * 24] * 20)
    assert not Pattern("", "*a" * 200 + "b").matches(name)
    assert Pattern("", "*a%a" * 100 + "*").matches(name)
    assert not Pattern("", "%a*" * 100_000 + "b").matches(name)
