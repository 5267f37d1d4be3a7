"""What keeps the daemon from starting is one sentence with file and key, and status 78."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import check as checking
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database(
    "files and settings; the faults of a server are in test_postgres"
)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and what must be said of it; {} stands for the office's folder."""

    says: str
    config: Callable[[str], str] = lambda text: text
    spoil: Callable[[Office], object] = lambda _: None
    environment: dict[str, str] = field(default_factory=dict)


def database(statement: str) -> Callable[[Office], None]:
    def spoil(office: Office) -> None:
        connection = sqlite3.connect(office.folder / "state" / "yizhan.db")
        with connection:
            connection.execute(statement)
        connection.close()

    return spoil


def insert(section: str, line: str) -> Callable[[str], str]:
    return lambda text: text.replace(f"[{section}]", f"[{section}]\n{line}", 1)


def collide(section: str) -> Callable[[str], str]:
    """Two doors on one port: the first of the file, and that of the section."""

    def change(text: str) -> str:
        first = re.findall(r"port = (\d+)", text)[0]
        head, name, tail = text.rpartition(section)
        return head + name + re.sub(r"port = \d+", f"port = {first}", tail, count=1)

    return change


EMPTY = "/var/empty"  # a PATH without programs

FAULTS = {
    "an unknown key": Fault(
        "{}/yizhan.toml: tls.ciphers: there is no such setting; see docs/configuration.md",
        insert("tls", 'ciphers = "all"'),
    ),
    "a wrong type": Fault(
        "{}/yizhan.toml: console.address: must be a valid string (it is 7)",
        insert("console", "address = 7"),
    ),
    "bad syntax": Fault(
        r"{}/yizhan.toml: not valid TOML: .* \(at line \d+, column \d+\)",
        lambda text: text.replace("[console]", "[console"),
    ),
    "a port in use": Fault(
        r"{}/yizhan.toml: submission.listeners: cannot listen on 127.0.0.1 port \d+: "
        "Address already in use",
        collide("[[submission.listeners]]"),
    ),
    "a key that is not there": Fault(
        "{}/tls.key: tls.key: cannot be read: No such file or directory",
        spoil=lambda office: (office.folder / "tls.key").unlink(),
    ),
    "a key that others can read": Fault(
        "{}/tls.key: tls.key: others can read or write it; chmod it to 600",
        spoil=lambda office: (office.folder / "tls.key").chmod(0o644),
    ),
    "no gpg": Fault(
        "{}/yizhan.toml: seals.gpg: .*gpg is not installed.* install gnupg.*",
        environment={"PATH": EMPTY},
    ),
    "a newer schema": Fault(
        "{}/yizhan.toml: the database has schema 9999, which is newer than this program; "
        "install the newer version again",
        spoil=database("UPDATE alembic_version SET version_num = '9999'"),
    ),
    "another office's database": Fault(
        r"{}/yizhan.toml: the database belongs to the store foreign, but {}/state is the store "
        r"\w{{26}}; restore both from one backup",
        spoil=database("UPDATE store_identity SET identity = 'foreign'"),
    ),
    "a wrong passphrase file": Fault(
        "{}/yizhan.toml: seals.passphrase_file: {}/passphrase cannot be read .*",
        lambda text: text + '\n[seals]\npassphrase_file = "passphrase"\n',
    ),
    "no folder for the SMS": Fault(
        "{}/yizhan.toml: reminders.spool: {}/sms/outgoing is missing; .*",
        spoil=lambda office: (office.folder / "sms" / "outgoing").rename(office.folder / "x"),
    ),
}


@dataclass(frozen=True)
class Told:
    """What `serve` said of a fault."""

    office: Office
    serve: subprocess.CompletedProcess[str]


def serve(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gateway", "serve", "--config", str(config)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told(make_module_office: Callable[..., Office]) -> Iterator[dict[str, Told]]:
    """Every fault in an office of its own, two at a time."""

    def look(item: tuple[int, tuple[str, Fault]]) -> tuple[str, Told]:
        number, (name, fault) = item
        office = make_module_office(f"o{number}")
        text = fault.config(office.config.read_text(encoding="utf-8"))
        office.config.write_text(text, encoding="utf-8")
        fault.spoil(office)
        return name, Told(office, serve(office.config, **fault.environment))

    with ThreadPoolExecutor(2) as pool:
        yield dict(pool.map(look, enumerate(FAULTS.items())))


@pytest.mark.parametrize("name", FAULTS)
def test_the_daemon_says_what_is_wrong_in_one_sentence(name: str, told: dict[str, Told]) -> None:
    done, folder = told[name].serve, told[name].office.folder
    pattern = FAULTS[name].says
    if not re.search(r"[\\*|]", pattern):
        pattern = re.escape(pattern).replace(r"\{\}", "{}")
    assert re.fullmatch(pattern.format(*[re.escape(str(folder))] * 2) + "\n", done.stderr)
    assert done.returncode == 78
    assert done.stdout == ""


def check(office: Office, **environment: str) -> tuple[int, list[str]]:
    """Status and sentences of `yizhan check`, run in this process."""
    done = CliRunner().invoke(
        checking.app, ["--config", str(office.config)], env=environment, catch_exceptions=False
    )
    return done.exit_code, done.stderr.splitlines()


@pytest.mark.parametrize("name", FAULTS)
def test_check_knows_of_everything_that_keeps_the_daemon_from_starting(
    name: str, told: dict[str, Told]
) -> None:
    status, lines = check(told[name].office, **FAULTS[name].environment)
    assert status == 78
    file, what, *_ = told[name].serve.stderr.split(": ")  # file, then the key or what is wrong
    assert any(line.startswith(f"{file}: {what.split(',')[0].strip()}") for line in lines), lines


def test_check_says_everything_at_once(make_office: Callable[..., Office]) -> None:
    office = make_office()
    text = office.config.read_text(encoding="utf-8")
    text = text.replace('"spool"', '"pigeon"').replace('officer = "security"', 'officer = "nobody"')
    text = collide("[[submission.listeners]]")(text)
    text = text.replace("[policy]", '[policy]\nclamd = "moon"')
    office.config.write_text(text, encoding="utf-8")
    (office.folder / "tls.key").chmod(0o644)
    (office.folder / "state").chmod(0o755)
    status, lines = check(office, PATH=EMPTY)
    assert status == 78
    for key in (
        "tls.key", "reminders.notifier", "policy.clamd", "seals.gpg", "office.security_officer",
        "submission.listeners.1.port", "state directory",
    ):  # fmt: skip
        assert len([line for line in lines if key in line]) == 1, (key, lines)
    assert len(lines) == 7
    assert all(line.startswith(str(office.folder)) for line in lines)


def test_a_second_daemon_on_the_same_state_does_not_start(office: Office, tmp_path: Path) -> None:
    other = tmp_path / "second.toml"
    text = re.sub(r"port = \d+", "port = 0", office.config.read_text(encoding="utf-8"))
    for name in ("state", "tls.crt", "tls.key", "sms"):
        text = text.replace(f'"{name}"', f'"{office.folder / name}"')
    other.write_text(text, encoding="utf-8")
    done = serve(other)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert str(office.folder) in done.stderr
    with office.client("water") as client:
        assert client.noop()[0] == 250
