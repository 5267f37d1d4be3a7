"""A configuration file of an earlier version still loads, and says what to change."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import config, config_file, config_history, daemon
from gateway.cli import check, serve
from gateway.config_history import EARLIER, Earlier, modernise
from gateway.errors import ConfigurationError
from tests.office import Office
from tests.unit.test_docs import settings

SAMPLES = sorted((Path(__file__).resolve().parents[1] / "data").glob("yizhan.sample-*.toml"))
GOOD = """\
[office]
domain = "heping.test"
name = "和平区政府电子邮局"

[state]
directory = "state"

[[submission.listeners]]
port = 2587

[[submission.listeners]]
port = 2465
crlf = "normalize"

[tls]
certificate = "tls.crt"
key = "tls.key"

[scanner]
socket = "unix:/run/clamd"

[receipts]
colour = "red"
"""


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_sample_of_an_earlier_version_loads_with_every_setting_switched_on(
    sample: Path, tmp_path: Path
) -> None:
    whole = re.sub(r"^#(?! )", "", sample.read_text(encoding="utf-8"), flags=re.M)
    file = tmp_path / "yizhan.toml"
    file.write_text(whole, encoding="utf-8")
    loaded = config_file.read(file)
    assert loaded.config.submission.limits == config.Limits()
    assert [door.port for door in loaded.config.submission.listeners] == [587, 465]
    assert len(loaded.hints) == len([one for one in EARLIER if _is_in(one, whole)])


def _is_in(one: Earlier, text: str) -> bool:
    return re.search(rf"^{re.escape(one.name.split('.')[-1])} =", text, re.M) is not None


def test_what_is_called_something_else_now_is_a_setting_of_today() -> None:
    known = settings()
    for one in EARLIER:
        assert one.name not in known
        assert one.now in known if one.now else one.because


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with settings that were renamed, moved and removed since."""
    earlier = (
        Earlier("submission.listeners.crlf", "submission.listeners.line_endings"),
        Earlier("scanner.socket", "policy.clamd"),
        Earlier("receipts.colour", because="receipts have no colour since 0.2"),
    )
    monkeypatch.setattr(config_history, "EARLIER", earlier)
    file = tmp_path / "yizhan.toml"
    file.write_text(GOOD, encoding="utf-8")
    return file


def test_earlier_names_count_and_each_is_a_hint_with_file_and_key(renamed: Path) -> None:
    loaded = config_file.read(renamed)
    assert [door.line_endings for door in loaded.config.submission.listeners] == [
        "reject", "normalize",
    ]  # fmt: skip
    assert loaded.config.policy.clamd == "unix:/run/clamd"
    assert list(loaded.hints) == [
        f"{renamed}: submission.listeners.1.crlf: this setting is called "
        "submission.listeners.line_endings now; write that instead",
        f"{renamed}: scanner.socket: this setting is called policy.clamd now; write that instead",
        f"{renamed}: receipts.colour: this setting is not used any more: receipts have no colour "
        "since 0.2; remove it",
    ]
    assert config_file.load(renamed) == loaded.config


def test_a_wrong_value_under_an_earlier_name_is_still_a_fault(renamed: Path) -> None:
    renamed.write_text(GOOD.replace('"normalize"', '"sometimes"'), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"listeners\.1\.line_endings: must be 'reject'"):
        config_file.load(renamed)


def test_both_names_at_once_are_a_fault(renamed: Path) -> None:
    renamed.write_text(f'{GOOD}\n[policy]\nclamd = "tcp:127.0.0.1:3310"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        config_file.load(renamed)
    assert caught.value.public == (
        f"{renamed}: scanner.socket: this setting is called policy.clamd now, which is there too; "
        "remove this one"
    )


def test_a_file_of_any_shape_is_left_to_be_judged_as_it_is() -> None:
    for odd in ({"scanner": 3}, {"scanner": [1, {"x": 1}]}, {"scanner": {"socket": {"a": 1}}}):
        data: dict[str, Any] = {**odd, "policy": 7}
        for now in ("policy.clamd", "policy.clamd.socket"):
            assert modernise(data, (Earlier("scanner.socket", now),)) == []
            assert data == {**odd, "policy": 7}


@pytest.mark.one_database("settings; the database has no part in it")
def test_check_shows_the_hint_and_the_daemon_gets_it_for_its_log(
    make_office: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Earlier("receipts.colour", because="receipts have no colour since 0.2")
    monkeypatch.setattr(config_history, "EARLIER", (gone,))
    office = make_office(changes={"[tls]": '[receipts]\ncolour = "red"\n\n[tls]'})
    hint = f"{office.config}: receipts.colour: this setting is not used any more: {gone.because}"

    shown = CliRunner().invoke(check.app, ["--config", str(office.config)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert f"advice: {hint}" in shown.stderr

    logged: list[str] = []
    monkeypatch.setattr(daemon, "run", lambda _config, _path, hints: logged.extend(hints))
    CliRunner().invoke(serve.app, ["--config", str(office.config)], catch_exceptions=False)
    assert logged == [f"{hint}; remove it"]
