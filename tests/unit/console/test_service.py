"""The shipped unit agrees with what the daemon does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Submission
from gateway.errors import ConfigurationError

UNIT = Path(__file__).resolve().parents[3] / "systemd" / "yizhan.service"


@pytest.fixture
def service() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_a_wrong_configuration_is_not_restarted_for_ever(service: dict[str, list[str]]) -> None:
    assert service["RestartPreventExitStatus"] == [str(ConfigurationError.exit_status)]


def test_systemd_waits_longer_than_the_drain(service: dict[str, list[str]]) -> None:
    assert int(service["TimeoutStopSec"][0]) > Submission.model_fields["drain_seconds"].default


def test_no_content_reaches_a_disk_by_a_core_dump(service: dict[str, list[str]]) -> None:
    assert service["LimitCORE"] == ["0"]
    assert service["UMask"] == ["0077"]


def test_the_watchdog_is_on_and_told_by_the_daemon(service: dict[str, list[str]]) -> None:
    assert service["Type"] == ["notify"]
    assert int(service["WatchdogSec"][0]) >= 10
