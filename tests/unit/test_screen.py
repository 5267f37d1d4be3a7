"""What commands show is aligned for Chinese, plain in a pipe, and steers nobody's terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gateway.cli import screen
from gateway.cli.when import ago, span


class Terminal:
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "sys", SimpleNamespace(stdout=Terminal()))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "30")


def test_columns_stand_below_each_other_though_chinese_takes_two_places() -> None:
    shown = screen.table(
        "", ("code", "name", "state"), [("water", "水务局", "active"), ("a", "b", "c")]
    )
    starts = {screen.width(line[: line.index(word)]) for line, word in zip(
        shown.splitlines(), ("state", "active", "c"), strict=True)}  # fmt: skip
    assert len(starts) == 1


def test_what_is_not_a_terminal_gets_whole_lines_without_colours() -> None:
    shown = screen.table("", ("a", "b"), [("x" * 300, "一" * 200)])
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_heading_is_bold_and_nothing_is_wider_than_it() -> None:
    shown = screen.table("", ("name", "text"), [("water", "关于做好防汛工作的通知 " * 4)])
    head, *rows = shown.splitlines()
    assert head.startswith("\x1b[1m") and head.endswith("\x1b[0m")
    assert max(screen.width(row) for row in rows) <= 30
    assert "".join(rows).replace(" ", "") == "water" + "关于做好防汛工作的通知" * 4


@pytest.mark.usefixtures("terminal")
def test_who_does_not_want_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert screen.paint("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen.paint("x", "red") == "x"


@pytest.mark.parametrize("attack", ["\x1b]0;owned\x07", "\x9b2J", "a\rb", "\u202eevil"])
def test_text_of_others_cannot_steer_the_terminal(attack: str) -> None:
    shown = screen.table("", ("title",), [(attack,)])
    assert all(letter.isprintable() for line in shown.splitlines() for letter in line)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=5), "less than a minute"),
        (timedelta(seconds=61), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=3, hours=5), "3 days"),
    ],
)
def test_a_length_of_time_is_told_in_the_unit_that_says_most(length: timedelta, words: str) -> None:
    assert span(length) == words
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert ago(now - length, now) in (f"{words} ago", "just now")
