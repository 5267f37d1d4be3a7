"""A throw-away PostgreSQL for tests: Debian's own, in a private folder, on a Unix socket only.

Each test process has at most one, started when the first test asks for a database, and stopped by
its own pid. It speeds nothing up that the daemon relies on except fsync, which `durable` brings
back. Its order of text is a person's (ICU, en-US), so that what needs Python's order has to ask for
it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

OWNER = "yizhan"  # the role that owns all; trusted on the socket
KEYED = "keyed"  # a role that needs its password, once a test has made it
_SERVER_USER = "postgres"  # initdb refuses root
_START_SECONDS = 60.0
# It ends with the thread that started it (prctl(2)), so also with a test process that is killed.
_WITH_US = ("setpriv", "--pdeathsig", "QUIT") if shutil.which("setpriv") else ()
_ACCESS = f"local all {KEYED} scram-sha-256\nlocal all all trust\n"


class Missing(Exception):
    """There is no PostgreSQL on this machine."""


def programs() -> Path:
    """The folder of the newest server programs. Raises Missing."""
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    initdb = shutil.which("initdb")
    if initdb is None:
        raise Missing("PostgreSQL is not installed (scripts/install-debian-packages)")
    return Path(initdb).resolve().parent


class Cluster:
    """One server. `durable` keeps fsync, for tests that crash it or cut its power."""

    def __init__(self, folder: Path, *, durable: bool = False, **settings: object) -> None:
        """`settings` are PostgreSQL's own, such as `max_connections`. Raises Missing."""
        self.folder = folder
        self._programs = programs()
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(_SERVER_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        folder.chmod(0o700)
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "shared_buffers": "32MB",
            "max_connections": 100,
            "autovacuum": "off",
            "log_min_messages": "warning",
            "log_statement": "none",
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._init(durable)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _init(self, durable: bool) -> None:
        words = [self._programs / "initdb", "-D", self.folder / "data", "-U", OWNER, "-A", "trust",
                 "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]  # fmt: skip
        version = subprocess.run(
            [self._programs / "initdb", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[2]
        if float(version.split(".")[0]) >= 15:
            words += ["--locale-provider=icu", "--icu-locale=en-US"]
        if not durable:
            words.append("--no-sync")
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, check=False, **self._as
        )
        assert done.returncode == 0, done.stderr
        access = self.folder / "data" / "pg_hba.conf"
        access.write_text(_ACCESS + access.read_text())

    def start(self) -> None:
        """Start it, and wait until it takes connections. After a crash it recovers first."""
        options = [
            word for key, value in self._settings.items() for word in ("-c", f"{key}={value}")
        ]
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                # After `kill -9` the children of the old one may hold its memory a moment longer.
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        [*_WITH_US, self._programs / "postgres", "-D", self.folder / "data",
                         *options],
                        cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True,  # Ctrl-C in the terminal is for pytest
                        **self._as,
                    )  # fmt: skip
            with suppress(psycopg.OperationalError):
                self.connect("postgres").close()
                return
            assert time.monotonic() < deadline, f"PostgreSQL does not start:\n{self.log}"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends its clients and writes all; SIGQUIT and SIGKILL are crashes."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(how)
        process.wait(30)

    def url(self, name: str) -> str:
        """What a configuration file names."""
        return f"postgresql+psycopg://{OWNER}@/{name}?host={quote(str(self.folder), safe='')}"

    def connect(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the test's own, each statement a transaction."""
        return psycopg.connect(
            host=str(self.folder), user=OWNER, dbname=name, autocommit=True, connect_timeout=5
        )

    def create(self, *, template: str = "template1", name: str = "") -> str:
        """A new database, made by copying; returns its name."""
        self._made += 1
        name = name or f"t{self._made}"
        with self.connect("postgres") as connection:
            # Copying files is twice as fast as writing them to the log, which 15 does by itself.
            fast = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{fast}')
        return name

    def drop(self, name: str) -> None:
        """Remove it, whoever is still connected."""
        with self.connect("postgres") as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def running(*, durable: bool = False, **settings: object) -> Iterator[Cluster]:
    """A server while the block runs, in a folder of its own. Raises Missing."""
    programs()
    # Not below pytest's folder: a socket's path may have some 100 octets.
    folder = Path(tempfile.mkdtemp(prefix="yzpg"))
    try:
        cluster = Cluster(folder, durable=durable, **settings)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
