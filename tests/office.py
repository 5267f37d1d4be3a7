"""A real post office for tests: the demo office in a folder, its daemon as a process, its clients.

Making 44 units with passwords and seals takes some seconds, so a test run makes one and copies it;
the copy gets ports of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 30.0
# Each start warms its children, half a second of a processor each: one is enough here.
DEMO_PORTS = (2587, 2465, 2580, 2443, 2143, 2993, 2110, 2995)
POLICY = "[policy]\nextraction_children = 1"


def _ports() -> Iterator[int]:
    """Ports of this test process alone, round and round.

    Below those that the kernel gives to clients (32768 and more), or a client somewhere could get
    one between its choice here and the daemon's start.
    """
    share = 2_500
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw")) % 8
    first = 12_000 + worker * share
    begin = os.getpid() % share
    return itertools.cycle(first + (begin + number) % share for number in range(share))


_PORTS = _ports()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, on loopback."""
    found: list[int] = []
    for port in _PORTS:
        if len(found) == count:
            break
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


def renumbered(text: str, old: Sequence[int], new: Sequence[int]) -> str:
    """A configuration file with other ports."""
    for before, after in zip(old, new, strict=True):
        text = text.replace(f"port = {before}\n", f"port = {after}\n")
    return text


def make_template(folder: Path) -> Path:
    """The demo office from which the others are copied; returns its folder."""
    from gateway.demo import office

    office.make(folder, datetime.now(UTC), lambda _sentence: None)
    return folder


def copy_office(
    template: Path, folder: Path, *, changes: dict[str, str] | None = None, database: str = ""
) -> Office:
    """A fresh office: same people and keys, no documents, ports of its own.

    `changes` replaces texts in the configuration file; `database` is the URL of one that has the
    template's rows, instead of the file that is copied with the rest.
    """
    shutil.copytree(template, folder)
    ports = free_ports(len(DEMO_PORTS))
    path = folder / "yizhan.toml"
    text = path.read_text(encoding="utf-8")
    text = renumbered(text, DEMO_PORTS, ports)
    if database:
        (folder / "state" / "yizhan.db").unlink()
        text = text.replace("[state]\n", f'[state]\ndatabase = "{database}"\n')
    text = text.replace("[reminders]\n", f"{POLICY}\n\n[reminders]\n")
    for old, new in (changes or {}).items():
        assert old in text, f"{old!r} is not in the configuration"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return Office(folder, *ports)


class Process(Protocol):
    """A daemon: a program of its own, or forked from one that has read it (crash/forked.py)."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: signal.Signals, /) -> None: ...


@dataclass
class Office:
    """One office on disk, and its daemon while it runs."""

    folder: Path
    submission_port: int
    submissions_port: int
    console_port: int
    portal_port: int = 0
    imap_port: int = 0
    imaps_port: int = 0
    pop3_port: int = 0
    pop3s_port: int = 0
    process: Process | None = None
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()  # that serves it; empty: the product's own

    @property
    def ports(self) -> tuple[int, ...]:
        """All its ports, in the order of DEMO_PORTS."""
        return (
            self.submission_port, self.submissions_port, self.console_port, self.portal_port,
            self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port,
        )  # fmt: skip

    @property
    def config(self) -> Path:
        return self.folder / "yizhan.toml"

    @property
    def database_url(self) -> str:
        from gateway import config_file

        return config_file.load(self.config).state.database_url

    @property
    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(encoding="utf-8")

    @cached_property
    def accounts(self) -> dict[str, dict[str, str]]:
        text = (self.folder / "accounts.toml").read_text(encoding="utf-8")
        return dict(tomllib.loads(text)["accounts"])

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "tls.crt"))

    def reload(self) -> None:
        """SIGHUP; returns when the certificates have been read again."""
        assert self.process is not None
        before = self.log.count("reloaded what=certificates")
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY_SECONDS
        while self.log.count("reloaded what=certificates") == before:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def start(self, **environment: str) -> None:
        """Start the daemon and wait until its doors are open."""
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command or (
                    sys.executable, "-W", "error", "-m", "gateway", "serve",
                    "--config", str(self.config),
                ),
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment, **environment},
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended at once:\n{self.log}")
            try:
                # the last door to open; asking for the page each time would slow the daemon down
                socket.create_connection(("127.0.0.1", self.submissions_port), 1).close()
                if httpx.get(self.url("/health"), timeout=10).status_code == 200:
                    return
            except (httpx.HTTPError, OSError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"the daemon was not ready in time:\n{self.log}")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.console_port}{path}"

    def kill(self) -> None:
        """`kill -9`, by its own pid."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def wait_until_dead(self, seconds: float = 20) -> int:
        """Wait until the daemon has died by itself; its status."""
        assert self.process is not None
        status = self.process.wait(seconds)
        self.process = None
        return status

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process = None
        return status

    @contextmanager
    def running(self, **environment: str) -> Iterator[Office]:
        """The daemon while the block runs."""
        self.start(**environment)
        try:
            yield self
        finally:
            if self.process is not None:
                self.stop()

    def run(
        self, *words: str, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """One `yizhan` command."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--config", str(self.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{words}: status {done.returncode}: {done.stderr}")
        return done

    def here(self, noun: str, *words: str) -> bytes:
        """What a `yizhan` command prints, run in this process: a process costs half a second."""
        from importlib import import_module

        from typer.testing import CliRunner

        app = import_module(f"gateway.cli.{noun}").app
        done = CliRunner().invoke(
            app, [*words, "--config", str(self.config)], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.stdout_bytes

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.run(*words, "--json").stdout)

    @contextmanager
    def client(self, login: str) -> Iterator[smtplib.SMTP]:
        """A logged-in SMTP client over STARTTLS."""
        with smtplib.SMTP("127.0.0.1", self.submission_port, timeout=60) as client:
            client.starttls(context=self.trust)
            client.login(login, self.accounts[login]["password"])
            yield client

    def send(
        self,
        login: str,
        octets: bytes,
        *recipients: str,
        mail: list[str] | None = None,
        rcpt: list[str] | None = None,
    ) -> tuple[int, str]:
        """Submit the exact octets; the reply to DATA. Recipients are local parts or addresses."""
        with self.client(login) as client:
            return self.offer(client, login, octets, *recipients, mail=mail, rcpt=rcpt)

    def offer(
        self,
        client: smtplib.SMTP,
        login: str,
        octets: bytes,
        *recipients: str,
        mail: list[str] | None = None,
        rcpt: list[str] | None = None,
    ) -> tuple[int, str]:
        """The same over a client's open connection."""
        code, text = client.mail(self.accounts[login]["address"], mail or [])
        assert code == 250, text
        for recipient in recipients:
            address = recipient if "@" in recipient else f"{recipient}@heping.test"
            code, text = client.rcpt(address, rcpt or [])
            assert code == 250, text
        code, text = client.docmd("DATA")
        assert code == 354, text
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        ending = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        client.send(stuffed + ending)
        code, text = client.getreply()
        return code, text.decode("utf-8", "surrogateescape")

    def accept(self, login: str, octets: bytes, *recipients: str, **options: Any) -> str:
        """Submit what must be accepted; the document's id."""
        code, text = self.send(login, octets, *recipients, **options)
        assert code == 250, (code, text)
        return text.split()[1]

    def document(self, document_id: str) -> Any:
        """What `document show --json` prints, without the price of a process for each look."""
        from gateway.cli.document import describe
        from gateway.cli.office import opened

        with opened(self.config) as office:
            return describe(office, document_id)

    def settled(self, document_id: str, seconds: float = 20) -> Any:
        """The document once its receipts and the reminders that are due have gone out."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.document(document_id)
            now = datetime.now(UTC).isoformat()
            busy = [
                r
                for r in found["reminders"]
                if r["state"] in ("queued", "handing-over") and r["due"] < now
            ]
            if not busy and not self.outbox(document_id):
                return found
            assert time.monotonic() < deadline, f"not settled: {busy} {self.outbox(document_id)}"
            time.sleep(0.1)

    def outbox(self, document_id: str) -> list[str]:
        """Kinds of work that are due for the document."""
        return self.sql(
            "SELECT kind FROM outbox WHERE document_id = ? AND kind != 'summary'", document_id
        )

    def sql(self, query: str, *values: Any) -> list[Any]:
        """First column of a query on the office's own database, or nothing of a change."""
        from gateway.store.engine import make_engine

        engine = make_engine(self.database_url)
        if engine.dialect.name == "postgresql":
            query = query.replace("%", "%%").replace("?", "%s")
        with engine.begin() as connection:
            found = connection.exec_driver_sql(query, values)
            rows = list(found.scalars()) if found.returns_rows else []
        engine.dispose()
        return rows

    def messages_to_phones(self) -> list[Path]:
        """The files that wait for the SMS server; what begins with a dot is not finished."""
        folder = self.folder / "sms" / "outgoing"
        return [path for path in folder.iterdir() if not path.name.startswith(".")]

    def mailbox(self, owner: str) -> dict[str, list[bytes]]:
        """Every message of a mailbox by folder, as a reader would get it."""
        target = self.folder / f"export-{time.monotonic_ns()}"
        self.here("mailbox", "export", owner, "--maildir", str(target))
        return read_maildir(target)


def read_maildir(folder: Path) -> dict[str, list[bytes]]:
    """The messages of a Maildir++ tree by folder name; INBOX is the tree itself."""
    from mailboxes.utf7 import decode as decode_name

    found: dict[str, list[bytes]] = {}
    places = {"INBOX": folder} | {
        decode_name(path.name[1:]): path for path in folder.glob(".*") if path.is_dir()
    }
    for name, place in places.items():
        files = sorted([*(place / "cur").glob("*"), *(place / "new").glob("*")])
        found[name] = [file.read_bytes() for file in files]
    return found
