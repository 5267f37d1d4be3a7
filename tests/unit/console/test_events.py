"""Every line of the log has one style, and the manual names each event and each value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from gateway.journal import CONTENT_NAMES
from tests.office import ROOT

PAGE = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
OF_STRUCTLOG = {"exc_info"}


class Call(NamedTuple):
    """One place where something is logged."""

    place: str
    level: str
    event: str
    names: tuple[str, ...]


def _calls() -> Iterator[Call]:
    for folder in ("gateway", "mailboxes"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            told = _told(tree)
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call):
                    continue
                level = _level(node.func)
                if level:
                    names = [name for k in node.keywords for name in ([k.arg] if k.arg else told)]
                    first = node.args[0] if node.args else None
                    event = first.value if isinstance(first, ast.Constant) else ""
                    place = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Call(place, level, str(event), tuple(names))


def _level(called: ast.expr) -> str:
    if isinstance(called, ast.IfExp):
        return _level(called.body)
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return ""
    return called.attr if called.value.id in ("log", "_log") and called.attr in LEVELS else ""


def _told(tree: ast.Module) -> list[str]:
    """The names of a dictionary `told`, which is passed as `**told`."""
    return [
        str(key.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        if any(isinstance(one, ast.Name) and one.id == "told" for one in node.targets)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]


CALLS = tuple(_calls())
ROWS = dict(re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \|", PAGE, re.M))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_an_event_is_a_fixed_word_of_the_manual_with_known_names(call: Call) -> None:
    assert re.fullmatch(r"[a-z]+[0-9]?(-[a-z]+)*", call.event), (
        "a word, not a sentence and not computed"
    )
    assert call.event in ROWS
    level = "error" if call.level == "exception" else call.level
    assert level in ROWS[call.event]
    values = set(re.findall(r"`(\w+)`", PAGE.partition("## Values")[2].partition("Another")[0]))
    assert set(call.names) - OF_STRUCTLOG <= values
    assert not set(call.names) & CONTENT_NAMES


def test_the_manual_names_no_event_that_is_never_written() -> None:
    assert len(CALLS) > 30
    assert set(ROWS) == {call.event for call in CALLS}


def test_what_concerns_a_document_says_which() -> None:
    about = ("accepted", "refused", "outbox-failed", "reminder", "reminder-handed-over",
             "reminder-not-taken", "reminder-failed", "reminder-unknown")  # fmt: skip
    lacking = [c.place for c in CALLS if c.event in about and "document" not in c.names]
    assert lacking == []
    lacking = [c.place for c in CALLS if "reminder" in c.names and "document" not in c.names]
    assert lacking == []
