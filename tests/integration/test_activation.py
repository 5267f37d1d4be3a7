"""A daemon takes mail on sockets that somebody else opened, and a restart turns nobody away."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.letters import plain
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database("sockets; no database is asked anything new")

# What systemd does between fork and exec: descriptors from 3 on, and three variables.
_PARENT = """
import fcntl, os, sys
given, names, *command = sys.argv[1:]
high = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 100) for one in given.split(",")]
for n, descriptor in enumerate(high):
    os.dup2(descriptor, 3 + n, inheritable=True)
os.closerange(3 + len(high), 1000)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high))}
os.environ["LISTEN_FDNAMES"] = names
os.execv(command[0], command)
"""


NAMES = "yizhan-submission:yizhan-submissions:yizhan-portal:yizhan-imap:yizhan-imaps"


def serve(office: Office) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "gateway", "serve", "--config", str(office.config)]


@contextmanager
def activated(office: Office, sockets: list[socket.socket], names: str) -> Iterator[None]:
    """The daemon as systemd starts it with these sockets; ready or not."""

    descriptors = [one.fileno() for one in sockets]
    with (office.folder / "daemon.log").open("ab") as log:
        office.process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, ",".join(map(str, descriptors)), names, *serve(office)],
            cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=descriptors,
        )  # fmt: skip
    try:
        yield
    finally:
        if office.process is not None:
            assert office.stop() == 0, office.log


@pytest.fixture
def sockets(make_office: Callable[..., Office]) -> Iterator[tuple[Office, list[socket.socket]]]:
    """An office, and what its socket units would have opened: on all addresses."""
    office = make_office()
    ports = (
        office.submission_port, office.submissions_port, office.portal_port, office.imap_port,
        office.imaps_port,
    )  # fmt: skip
    opened = [
        socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        for port in ports
    ]
    yield office, opened
    for one in opened:
        one.close()


def test_a_restart_turns_no_client_away(sockets: tuple[Office, list[socket.socket]]) -> None:
    office, opened = sockets
    with (
        # Nobody serves yet: the connection is made, and waits.
        socket.create_connection(("127.0.0.1", office.submission_port), 30) as early,
        socket.create_connection(("127.0.0.1", office.imap_port), 30) as reader,
        activated(office, opened, NAMES),
    ):
        assert early.recv(4) == b"220 "
        assert reader.recv(5) == b"* OK "
        assert office.accept("water", plain("water", "office", "一"), "office")
    with (
        socket.create_connection(("127.0.0.1", office.submission_port), 30) as between,
        activated(office, opened, NAMES),
        smtplib.SMTP_SSL(
            "127.0.0.1", office.submissions_port, timeout=30, context=office.trust
        ) as client,
    ):
        assert between.recv(4) == b"220 "
        client.login("water", office.accounts["water"]["password"])
        code, _ = office.offer(client, "water", plain("water", "office", "二"), "office")
        assert code == 250
        portal = f"https://localhost:{office.portal_port}/"
        assert httpx.get(portal, verify=office.trust, timeout=30).status_code == 200
        with imaplib.IMAP4_SSL(
            "127.0.0.1", office.imaps_port, ssl_context=office.trust, timeout=30
        ) as mailbox:
            mailbox.login("office", office.accounts["office"]["password"])
            assert mailbox.select() == ("OK", [b"2"])
    # An IPv4 client of a socket for both families is named as IPv4 everywhere.
    assert "127.0.0.1" in office.log
    assert "::ffff:" not in office.log


def test_a_socket_that_is_nobodys_keeps_the_daemon_from_starting(
    sockets: tuple[Office, list[socket.socket]],
) -> None:
    office, opened = sockets
    text = office.config.read_text(encoding="utf-8")
    other = text.replace(f"port = {office.submissions_port}", "port = 0")
    office.config.write_text(other, encoding="utf-8")
    with activated(office, opened, NAMES):
        assert office.wait_until_dead() == 78
    assert office.log.splitlines()[-1] == (
        f"{office.config}: systemd listens on :: port {office.submissions_port} for the socket "
        "unit yizhan-submissions, but nothing here is for it; give a listener "
        "(submission.listeners, mailboxes.listeners) or the portal (portal.port) that port, or "
        "switch the unit off: systemctl mask --now yizhan-submissions.socket"
    )


def test_an_office_without_doors_to_the_mailboxes_hangs_up_there_and_starts(
    sockets: tuple[Office, list[socket.socket]],
) -> None:
    """An upgrade brings the socket units for IMAP, and yizhan.toml knows nothing of them yet."""
    office, opened = sockets
    before, _, rest = office.config.read_text(encoding="utf-8").partition("[[mailboxes.listeners]]")
    after = rest[rest.index("[portal]") :]
    office.config.write_text(before + after, encoding="utf-8")
    with (
        activated(office, opened, NAMES),
        socket.create_connection(("127.0.0.1", office.submission_port), 30) as client,
    ):
        assert client.recv(4) == b"220 "
        for port in (office.imap_port, office.imaps_port):
            with socket.create_connection(("127.0.0.1", port), 30) as reader:
                assert reader.recv(5) == b""
    assert "mask --now yizhan-imap.socket" in office.log
    assert "mask --now yizhan-imaps.socket" in office.log
    assert all(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in opened)


def test_systemds_own_program_starts_the_daemon_at_the_first_connection(
    make_office: Callable[..., Office], program: Callable[[str], str], tmp_path: Path
) -> None:
    office = make_office()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [program("systemd-socket-activate"), f"--listen=127.0.0.1:{office.submission_port}",
             "--fdname=yizhan-submission", f"--setenv=PYTHONPATH={ROOT}", *serve(office)],
            cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    office.process = process
    while b"Listening on" not in (tmp_path / "log").read_bytes():
        assert process.poll() is None
    with socket.create_connection(("127.0.0.1", office.submission_port), 30) as client:
        assert client.recv(4) == b"220 "
    assert office.stop() == 0
