"""The threat model names an answer and a test for each threat, and the tests are there."""

from __future__ import annotations

import re

import pytest

from tests.office import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
THREATS = PAGE.partition("## Threats")[2].partition("## What is not answered")[0]
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in THREATS.splitlines()
    if line.startswith("|") and not re.match(r"\|(---| threat )", line)
]
NAMES = {
    name
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M)
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_threat_has_an_answer_and_a_test_that_is_there(row: tuple[str, ...]) -> None:
    threat, answer, tests = row
    assert threat and answer
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [name for name in named if name not in NAMES] == []


def test_the_five_threats_of_a_private_network_are_there() -> None:
    headings = re.findall(r"^### (.*)$", THREATS, re.M)
    for words in ("stolen password", "curious", "hostile peer, a broken client", "lost disk"):
        assert any(words in heading for heading in headings), words
    assert len(ROWS) > 40
    assert "## What is not answered" in PAGE


def test_the_security_page_says_how_to_report_and_what_is_supported() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for heading in ("Reporting", "Supported versions", "In scope", "Out of scope"):
        assert f"\n## {heading}\n" in page
    assert "docs/threat-model.md" in page
