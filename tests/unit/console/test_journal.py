"""The log is one line an event, never content, and no value can begin a line of its own."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway import journal
from gateway.config import Log


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield io.StringIO()
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def say(form: str, out: io.StringIO, level: str = "info") -> None:
    journal.set_up(Log.model_validate({"format": form, "level": level}), stream=out)


def test_an_event_is_one_line_with_named_values(out: io.StringIO) -> None:
    say("console", out)
    structlog.stdlib.get_logger("yizhan.intake").info("accepted", document="01abc", octets=12)
    assert out.getvalue().endswith(" info    accepted document=01abc octets=12\n")


@pytest.mark.parametrize("form", ["console", "json", "journald"])
@pytest.mark.parametrize("name", ["subject", "title", "body", "filename", "password"])
def test_content_is_never_written(out: io.StringIO, form: str, name: str) -> None:
    say(form, out)
    structlog.stdlib.get_logger("yizhan.intake").warning("refused", **{name: "机密 2026"})
    assert "机密" not in out.getvalue()
    assert "not logged" in out.getvalue()


@pytest.mark.parametrize("form", ["console", "json", "journald"])
def test_a_hostile_value_cannot_begin_a_line(out: io.StringIO, form: str) -> None:
    say(form, out)
    structlog.stdlib.get_logger("yizhan").info("helo", name="a\n<3>broken in\x1b[31m\u2028b")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_the_journal_gets_priorities_on_every_line(out: io.StringIO) -> None:
    say("journald", out)
    log = structlog.stdlib.get_logger("yizhan")
    log.info("up")
    try:
        raise OSError("gone")
    except OSError:
        log.exception("failed", probe="x")
    first, *rest = out.getvalue().splitlines()
    assert first == "<6>up"
    assert rest[0] == "<3>failed probe=x"
    assert all(line.startswith("<3>") for line in rest)
    assert rest[-1].endswith("OSError: gone")


def test_json_has_time_level_and_event(out: io.StringIO) -> None:
    say("json", out)
    structlog.stdlib.get_logger("yizhan.x").warning("late", seconds=1.5, who="水务局")
    told = json.loads(out.getvalue())
    assert (told["event"], told["level"], told["seconds"]) == ("late", "warning", 1.5)
    assert told["timestamp"].endswith("Z")
    assert "水务局" in out.getvalue()


def test_other_libraries_speak_only_of_trouble(out: io.StringIO) -> None:
    say("console", out, "debug")
    foreign = logging.getLogger("mail.log")
    foreign.info("AUTH PLAIN c2VjcmV0")
    foreign.debug("Subject: secret")
    assert out.getvalue() == ""
    foreign.warning("trouble %s", "here")
    assert "warning trouble here" in out.getvalue()


@pytest.mark.parametrize("name", [(), ("intake",), ("yizhan",), ("yizhan.reminders",)])
def test_our_own_events_are_heard_whatever_their_logger(
    out: io.StringIO, name: tuple[str, ...]
) -> None:
    # The doors' logger was named `intake`, and all that it said at INFO was lost.
    say("console", out)
    structlog.stdlib.get_logger(*name).info("login")
    structlog.get_logger(*name).debug("nothing")
    assert out.getvalue().endswith(" info    login\n")
    assert out.getvalue().count("\n") == 1


def test_the_level_of_the_settings_holds(out: io.StringIO) -> None:
    say("console", out, "error")
    structlog.stdlib.get_logger("yizhan.x").warning("quiet")
    assert out.getvalue() == ""


def test_auto_knows_the_journals_own_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as stream:
        about = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        assert journal._is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        assert not journal._is_journal(stream)
    assert not journal._is_journal(io.StringIO())
