"""Founding an office: whole or not at all, and never over anything."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.errors import CommandError, YizhanError
from gateway.founding import Plan, found

NOW = datetime(2026, 11, 21, 9, 55, tzinfo=UTC)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because gpg's sockets need a short path."""
    path = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def plan(folder: Path, **more: str) -> Plan:
    values = {"domain": "heping.test", "name": '和平区"政府"电子邮局', **more}
    return Plan(folder=folder / "etc", state=folder / "state", **values)  # type: ignore[arg-type]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_fails_half_way_is_taken_away_and_can_be_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed: without gpg the next `init` said that there was an office already."""
    with monkeypatch.context() as without_gpg:
        without_gpg.setenv("PATH", "/nonexistent")
        with pytest.raises(YizhanError, match="gpg"):
            found(plan(folder), NOW, lambda _sentence: None)
    assert files(folder) == []
    path = found(plan(folder), NOW, lambda _sentence: None)
    assert configuration.load(path).office.name == '和平区"政府"电子邮局'


@pytest.mark.parametrize("name", ["etc/tls.key", "state/letters.txt"])
def test_nothing_that_is_there_is_touched(folder: Path, name: str) -> None:
    mine = folder / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(CommandError, match="nothing was changed"):
        found(plan(folder), NOW, lambda _sentence: None)
    assert files(folder) == [mine.name]
    assert mine.read_text() == "mine"
