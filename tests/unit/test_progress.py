"""What a long command says on the way, and when it says nothing."""

from __future__ import annotations

import pytest

from gateway.cli import progress
from gateway.cli.progress import Progress


def test_lines_come_every_few_seconds_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told = Progress()
    for second in range(12):
        now[0] = 100.0 + second
        told("rows", second * 1000)
    told.end()
    assert capsys.readouterr().err == "rows: 5,000\nrows: 10,000\n"


def test_a_terminal_has_one_line_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "_ON_TERMINAL_SECONDS", -1.0)
    told = Progress()
    told("blobs", 2, 5_000_000)
    told.say("3 of 4 documents")
    told.end()
    said = capsys.readouterr().err
    assert "\n" not in said and said.endswith("\r\033[K")
    assert "blobs: 2, 5.0 MB" in said and "3 of 4 documents" in said


def test_a_program_that_reads_the_output_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", -1.0)
    Progress(quiet=True)("rows", 1)
    assert capsys.readouterr().err == ""
