"""The shipped units agree with what the daemon does, and systemd finds nothing wrong with them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import manual
from gateway.config import Console, Submission
from gateway.errors import ConfigurationError

UNITS = Path(__file__).resolve().parents[3] / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
SOCKETS = sorted(path.name for path in UNITS.glob("*.socket"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
EXPOSURE = 1.5  # the most that is allowed, of 10


def settings(name: str) -> dict[str, list[str]]:
    """The lines of a unit by their key."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def service() -> dict[str, list[str]]:
    return settings("yizhan.service")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as if installed: what they start is a program that is there."""
    folder = shutil.copytree(UNITS, tmp_path_factory.mktemp("units") / "system")
    for name in SERVICES:
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("/opt/yizhan/bin/yizhan", "/bin/true"), "utf-8")
    return folder


def analyze(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong_with_the_units(
    installed: Path, program: Callable[[str], str]
) -> None:
    units = [installed / name for name in (*SERVICES, *SOCKETS, *TIMERS)]
    done = analyze(program("systemd-analyze"), "verify", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_leaves_little_exposed(
    name: str, installed: Path, program: Callable[[str], str]
) -> None:
    done = analyze(program("systemd-analyze"), "security", "--offline=yes", installed / name)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE, done.stdout


def test_the_daemon_has_no_capability(service: dict[str, list[str]]) -> None:
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == [""]


def test_each_port_is_a_socket_unit_of_its_own_and_the_daemon_gets_all(
    service: dict[str, list[str]],
) -> None:
    ports = set(re.findall(r"^#?port = (\d+)$", manual.sample(), re.M))  # of all doors
    ports -= {str(Console.model_fields["port"].default)}  # above 1024
    listening = [settings(name)["ListenStream"] for name in SOCKETS]
    assert sorted(listening) == sorted([port] for port in ports)
    assert sorted(service["Sockets"][0].split()) == SOCKETS
    assert sorted(service["Also"][0].split()) == SOCKETS
    for name in SOCKETS:
        assert settings(name)["Service"] == ["yizhan.service"]
        # What a sentence of the daemon calls the unit (gateway/activation.py).
        assert settings(name)["FileDescriptorName"] == [name.removesuffix(".socket")]


@pytest.mark.parametrize("name", TIMERS)
def test_each_timer_starts_a_service_that_is_there(name: str) -> None:
    assert name.replace(".timer", ".service") in SERVICES
    assert settings(name)["Persistent"] == ["true"]  # also after a night without power


def test_a_wrong_configuration_is_not_restarted_for_ever(service: dict[str, list[str]]) -> None:
    assert service["RestartPreventExitStatus"] == [str(ConfigurationError.exit_status)]


def test_systemd_waits_longer_than_the_drain(service: dict[str, list[str]]) -> None:
    assert int(service["TimeoutStopSec"][0]) > Submission.model_fields["drain_seconds"].default


@pytest.mark.parametrize("name", ["yizhan.service", "yizhan-.service.d/work.conf"])
def test_no_content_reaches_a_disk_by_a_core_dump(name: str) -> None:
    assert settings(name)["LimitCORE"] == ["0"]
    assert settings(name)["UMask"] == ["0077"]


def test_the_watchdog_is_on_and_told_by_the_daemon(service: dict[str, list[str]]) -> None:
    assert service["Type"] == ["notify"]
    assert int(service["WatchdogSec"][0]) >= 10
