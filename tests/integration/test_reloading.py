"""SIGHUP: new rules, texts and certificates count from now on, and no connection is dropped."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import check
from tests import certificates, letters
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database("rules, texts and certificates are files")

Reload = Callable[[], dict[str, str]]
STEPS = ("policies", "templates", "certificates", "reminders")
REQUIRE = """decides = "refusal"

[[rule]]
name = "seal-of-everybody"
when = "seal is missing"
refuse = "SealMissing"
sentence = "seal-required-missing"
"""


@dataclass(frozen=True)
class Watched:
    """An office and the socket on which systemd hears of it."""

    office: Office
    systemd: socket.socket

    def reload(self) -> dict[str, str]:
        """SIGHUP; what the log then says of each step, once systemd was told that it is over."""
        assert self.office.process is not None
        before = len(self.office.log)
        self.office.process.send_signal(signal.SIGHUP)
        lines = self.systemd.recv(4096).decode().split("\n")
        assert lines[0] == "RELOADING=1"
        assert lines[1].startswith("MONOTONIC_USEC=")
        assert self.systemd.recv(4096).startswith(b"READY=1")
        said = {}
        for line in self.office.log[before:].splitlines():
            for step in STEPS:
                if f"what={step}" in line:
                    said[step] = line
        assert set(said) == set(STEPS)
        return said


@pytest.fixture(scope="module")
def watched(make_module_office: Callable[..., Office]) -> Iterator[Watched]:
    """An office with rule files of its own, which systemd watches."""
    office = make_module_office(changes={"[policy]": '[policy]\ndirectory = "rules"'})
    shutil.copytree(ROOT / "policies", office.folder / "rules")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(office.folder / "notify"))
        channel.settimeout(10)
        with office.running(NOTIFY_SOCKET=str(office.folder / "notify")):
            assert channel.recv(4096).startswith(b"READY=1")
            yield Watched(office, channel)


@pytest.fixture
def office(watched: Watched) -> Office:
    return watched.office


@pytest.fixture
def reload(watched: Watched) -> Reload:
    return watched.reload


def shown(office: Office) -> bytes:
    """The certificate that a new client is shown, DER."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", office.submissions_port), timeout=10) as plain,
        trust.wrap_socket(plain) as client,
    ):
        found = client.getpeercert(binary_form=True)
        assert found is not None
        return found


def report(text: str) -> bytes:
    return letters.plain("water", "office", "关于水位的情况", text)


def test_new_rules_count_for_the_next_message_of_a_session_that_goes_on(
    office: Office, reload: Reload
) -> None:
    rule = office.folder / "rules" / "50-local.toml"
    with office.client("water") as client:
        assert office.offer(client, "water", report("一"), "office")[0] == 250
        rule.write_text(REQUIRE, encoding="utf-8")
        said = reload()
        assert all("not-reloaded" not in line for line in said.values())
        code, text = office.offer(client, "water", report("二"), "office")
        assert (code, "needs your unit's seal" in text) == (550, True)
        rule.unlink()
        reload()
        # the very message that was refused: what refused it is gone
        assert office.offer(client, "water", report("二"), "office")[0] == 250


@pytest.mark.parametrize(
    ("name", "text", "step"),
    [
        ("50-local.toml", REQUIRE.replace("missing", "of gold"), "policies"),
        ("50-local.toml", REQUIRE.replace("[[rule]]", "[[rule"), "policies"),
        ("reminders.toml", "[quiet]\nstart = 25\n", "reminders"),
    ],
)
def test_a_broken_file_leaves_the_old_rules_in_force_and_says_why(
    name: str, text: str, step: str, office: Office, reload: Reload
) -> None:
    file = office.folder / "rules" / name
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.write_text(text, encoding="utf-8")
    said = reload()
    assert "not-reloaded" in said[step]
    assert str(file) in said[step]
    assert all("not-reloaded" not in line for other, line in said.items() if other != step)
    # it serves as before, and it says the same to `check`
    office.accept("water", report(f"三 {name} {len(text)}"), "office")
    found = CliRunner().invoke(check.app, ["--config", str(office.config)])
    assert found.exit_code == 78
    assert str(file) in found.stderr
    if before is None:
        file.unlink()
    else:
        file.write_text(before, encoding="utf-8")
    assert "not-reloaded" not in reload()[step]


def test_a_new_certificate_is_shown_to_the_next_client_and_drops_nobody(
    office: Office, reload: Reload, tmp_path: Path
) -> None:
    old = (office.folder / "tls.crt").read_bytes(), (office.folder / "tls.key").read_bytes()
    first = shown(office)
    new = certificates.make(tmp_path, "mail.heping.test")
    with office.client("water") as client:
        shutil.copy(new.file, office.folder / "tls.crt")
        shutil.copy(new.key, office.folder / "tls.key")
        (office.folder / "tls.key").chmod(0o600)
        assert shown(office) == first
        reload()
        assert shown(office) == new.der != first
        assert office.offer(client, "water", report("四"), "office")[0] == 250
        # a key that does not fit leaves the last good pair in force
        (office.folder / "tls.key").write_bytes(old[1])
        said = reload()
        assert "not-reloaded" in said["certificates"]
        assert shown(office) == new.der
        assert client.noop()[0] == 250
    (office.folder / "tls.crt").write_bytes(old[0])
    reload()
    assert shown(office) == first


def test_many_signals_at_once_do_no_harm(watched: Watched) -> None:
    office = watched.office
    assert office.process is not None
    said: list[bytes] = []

    def listen() -> None:
        """As systemd does: always, for the kernel keeps no more than ten messages for it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                said.append(watched.systemd.recv(4096).split(b"\n")[0])
            except TimeoutError:  # quiet: nothing was begun, or a slow one is under way
                if said.count(b"RELOADING=1") == said.count(b"READY=1"):
                    break

    watched.systemd.settimeout(2)
    systemd = threading.Thread(target=listen)
    systemd.start()
    with office.client("water") as client:
        for _ in range(20):
            office.process.send_signal(signal.SIGHUP)
        assert office.offer(client, "water", report("五"), "office")[0] == 250
    systemd.join()
    watched.systemd.settimeout(10)
    # Signals merge, but each reload that was begun is told to be over.
    assert set(said) == {b"RELOADING=1", b"READY=1"}
    assert said.count(b"RELOADING=1") == said.count(b"READY=1")
    assert said[-1] == b"READY=1"
