"""The log is one line an event, never content, and no value can begin a line of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway import journal
from gateway.config import Log
from gateway.journald import JournalStream


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield io.StringIO()
    for handler in root.handlers:
        stream = getattr(handler, "stream", None)
        if isinstance(stream, JournalStream):
            stream.close()
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


def _entry(octets: bytes) -> dict[str, str]:
    """An entry as the journal reads it."""
    found = {}
    while octets:
        head, _, rest = octets.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()] = value.decode()
        octets = rest
    return found


def test_the_journal_gets_a_field_for_each_value_and_no_value_makes_one(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("journal")
        monkeypatch.setattr("gateway.journald.SOCKET", Path("journal"))
        monkeypatch.setattr(journal, "_is_journal", lambda _out: True)
        say("auto", out)
        log = structlog.stdlib.get_logger("yizhan.x")
        log.warning(
            "accepted", document="06f3", who="水务局\nPRIORITY=0\n\udcff", password="secret"
        )
        told = _entry(listening.recv(65_536))
        assert told.pop("MESSAGE").startswith("accepted document=06f3 who=")
        assert told == {
            "PRIORITY": "4", "SYSLOG_IDENTIFIER": "yizhan", "YIZHAN_EVENT": "accepted",
            "YIZHAN_DOCUMENT": "06f3", "YIZHAN_WHO": "水务局\nPRIORITY=0\n\\udcff",
            "YIZHAN_PASSWORD": "(not logged)", "YIZHAN_LOGGER": "yizhan.x",
        }  # fmt: skip
        try:
            raise OSError("gone")
        except OSError:
            log.exception("failed", probe="x")
        told = _entry(listening.recv(65_536))
        assert told["MESSAGE"].splitlines()[0] == "failed probe=x"
        assert told["MESSAGE"].endswith("OSError: gone")
    assert out.getvalue() == ""


def test_a_journal_that_is_gone_costs_the_fields_and_not_the_line(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gateway.journald.SOCKET", Path("journal"))
    monkeypatch.setattr(journal, "_is_journal", lambda _out: True)
    say("journald", out)
    structlog.stdlib.get_logger("yizhan").info("up")
    assert out.getvalue() == "<6>up\n", "nobody listens: as before"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("journal")
        say("journald", out)
    structlog.stdlib.get_logger("yizhan").info("still", who="水")
    assert out.getvalue() == "<6>up\nstill who=水\n"
