"""The examples of docs/markings.md are what the rules do."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from gateway.domain.marking import find_markings

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "markings.md"


def _rows(heading: str) -> list[list[str]]:
    section = MANUAL.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    cells = [[cell.strip(" ").replace("\\|", "|") for cell in row] for row in rows]
    return [[row[0], row[1].strip("`").replace("⏎", "\n"), *row[2:]] for row in cells]


@pytest.mark.parametrize(("place", "text", "level"), _rows("Refused"))
def test_a_mark_in_its_form_and_place_is_found(place: str, text: str, level: str) -> None:
    assert (level, place) in find_markings(text, place)


@pytest.mark.parametrize(("place", "text"), _rows("Accepted"))
def test_talk_about_secrets_passes(place: str, text: str) -> None:
    assert find_markings(text, place) == []


def test_the_seed_texts_bear_no_mark(seeds: list[Path]) -> None:
    for path in seeds:
        assert find_markings(path.read_text(encoding="utf-8"), "body") == [], path.name


@pytest.mark.parametrize(
    "mark", ["机密★1年", "秘密", "绝　密", "【機密】", "密级：秘密", "机\u200b密"]
)
def test_a_mark_on_a_line_of_a_seed_text_is_found_wherever_it_stands(
    seeds: list[Path], mark: str
) -> None:
    for path in seeds:
        lines = path.read_text(encoding="utf-8").splitlines()
        for position in {0, 1, len(lines) // 2, len(lines)}:
            text = "\n".join([*lines[:position], mark, *lines[position:]])
            assert find_markings(text, "body"), (path.name, position)


def test_a_seed_text_wrapped_at_any_width_still_passes(seeds: list[Path]) -> None:
    for path in seeds:
        text = path.read_text(encoding="utf-8")
        for width in (18, 25, 38, 76):
            pieces = [
                line[start : start + width]
                for line in text.splitlines()
                for start in range(0, max(len(line), 1), width)
            ]
            assert find_markings("\n".join(pieces), "body") == [], (path.name, width)


@pytest.mark.parametrize(
    "text",
    ["1" * 200_000 + "密", "特急" * 100_000 + "密", "[" * 200_000 + "密", " " * 200_000 + "密",
     "机 " * 100_000 + "密", "密级 " * 70_000, "机密 " * 70_000, "-" * 200_000 + "机密 x",
     "no." * 30 + "机密 x", "机密 x" + "-" * 2_000 + "x", ("机密" + "a-" * 990 + "\n") * 50],
)  # fmt: skip
@pytest.mark.parametrize("place", ["body", "subject", "attachment-name"])
def test_hostile_text_costs_no_more_than_its_length(text: str, place: str) -> None:
    before = time.process_time()
    find_markings(text, place)
    assert time.process_time() - before < 3


def test_the_tables_of_the_page_are_read() -> None:
    assert len(_rows("Refused")) > 50
    assert len(_rows("Accepted")) > 30
