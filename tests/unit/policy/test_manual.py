"""docs/policy.md names every check, fact, word, rule decision, sentence and warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.policy.checks import CHECKS, DECIDED
from gateway.policy.engine import Policy

MANUAL = Path(__file__).parents[3] / "docs" / "policy.md"
TEXT = MANUAL.read_text(encoding="utf-8")
POLICY = Policy.load(None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_has_a_heading_with_its_description(check: object) -> None:
    assert f"### `{check.name}`: {check.description}\n" in TEXT  # type: ignore[attr-defined]


FACTS = [fact for check in CHECKS for fact in check.facts] + list(DECIDED)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_every_fact_has_a_row_that_is_true(fact: object) -> None:
    words = ", ".join(f"`{word}`" for word in fact.choices)  # type: ignore[attr-defined]
    quotable = "yes" if fact.quotable else ""  # type: ignore[attr-defined]
    row = f"| `{fact.name}` | {fact.kind} | {fact.meaning} | {words} | {quotable} |"  # type: ignore[attr-defined]
    assert row in TEXT


def test_no_check_or_fact_is_documented_that_does_not_exist() -> None:
    section = TEXT.partition("## Checks and facts")[2].partition("## Sentences")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert rows == [fact.name for fact in FACTS]
    assert section.count("### `") == len(CHECKS)


def test_every_sentence_has_a_row_with_its_rules_and_answer() -> None:
    for key in POLICY.sentences.sentence_keys():
        rules = [rule for file in POLICY.files for rule in file.rules if rule.sentence == key]
        names = ", ".join(f"`{rule.name}`" for rule in rules)
        decides = POLICY.files[0].decides
        assert f"| `{key}` | {names} | {rules[0].outcome(decides)} |" in TEXT


def test_every_warning_has_a_row() -> None:
    section = TEXT.partition("## Warnings")[2].partition("## Known limits")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(POLICY.sentences.warning_keys())
