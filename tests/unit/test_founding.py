"""Founding an office: whole or not at all, and never over anything."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway import config as configuration
from gateway import config_file
from gateway.demo import office as demo
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
    assert config_file.load(path).office.name == '和平区"政府"电子邮局'


def test_nobody_else_can_read_what_an_office_keeps(folder: Path) -> None:
    found(plan(folder), NOW, lambda _sentence: None)
    for name in ("yizhan.db", "identity"):
        assert stat.S_IMODE((folder / "state" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["etc/tls.key", "state/letters.txt"])
def test_nothing_that_is_there_is_touched(folder: Path, name: str) -> None:
    mine = folder / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(CommandError, match="nothing was changed"):
        found(plan(folder), NOW, lambda _sentence: None)
    assert files(folder) == [mine.name]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"domain": "和平.test"}, "not a domain name"),
        ({"domain": "heping"}, "not a domain name"),
        ({"domain": 'a"b.test'}, "not a domain name"),
        ({"name": ""}, "not a name"),
        ({"name": "a\nb"}, "not a name"),
        ({"name_en": "a\x00"}, "not a name"),
        ({"address": "localhost"}, "not an IP address"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    more: dict[str, str], sentence: str, folder: Path
) -> None:
    with pytest.raises(CommandError, match=sentence):
        found(plan(folder, **more), NOW, lambda _sentence: None)
    assert list(folder.iterdir()) == []


def test_without_its_first_people_there_is_no_office_either(folder: Path) -> None:
    """It stayed: an operator's login that was refused left an office that nobody could enter."""

    def fill(_connection: Connection, config: configuration.Config) -> None:
        assert config.office.domain == "heping.test"
        raise CommandError("'Op!' is not a login")

    with pytest.raises(CommandError, match="not a login"):
        found(plan(folder), NOW, lambda _sentence: None, fill)
    assert files(folder) == []


def test_a_demo_office_that_is_stopped_half_way_is_made_whole_the_next_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed: `make run` then served an office without accounts, for ever."""
    monkeypatch.setattr(demo, "hash_password", lambda _password: "$argon2id$")

    def stop(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(demo, "_write_accounts", stop)
        stopped.setattr(demo, "_issue_seals", lambda _d, _c, seals, _n: seals.mkdir())
        with pytest.raises(KeyboardInterrupt):
            demo.make(folder / "demo", NOW, lambda _sentence: None)
    assert files(folder) == []
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as again:
        again.setattr(demo, "_make_seals", stop)  # as far as that it comes again
        demo.make(folder / "demo", NOW, lambda _sentence: None)


def test_a_demo_office_is_never_made_over_another(folder: Path) -> None:
    (folder / "demo").mkdir()
    (folder / "demo/accounts.toml").write_text("mine")
    with pytest.raises(CommandError, match="nothing was changed"):
        demo.make(folder / "demo", NOW, lambda _sentence: None)
    assert files(folder) == ["accounts.toml"]
