"""SIGTERM: idle clients are told, what has begun is finished, and the daemon ends with 0."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import letters, postbox
from tests.office import Office

DRAIN_SECONDS = 3
READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def begin(office: Office, login: str, *recipients: str) -> smtplib.SMTP:
    """A client that may send its message now; it is closed by the daemon's end."""
    client = smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30)
    client.starttls(context=office.trust)
    client.login(login, office.accounts[login]["password"])
    client.mail(office.accounts[login]["address"])
    for recipient in recipients:
        client.rcpt(f"{recipient}@heping.test")
    assert client.docmd("DATA")[0] == 354
    return client


def answer(client: smtplib.SMTP) -> str:
    code, text = client.getreply()
    return f"{code} {text.decode()}"


def told(channel: socket.socket) -> list[str]:
    """What the daemon has told systemd so far, one datagram each."""
    channel.settimeout(0.05)
    found = []
    while True:
        try:
            found.append(channel.recv(4096).decode())
        except TimeoutError:
            return found


def children(pid: int) -> list[int]:
    """Processes that the daemon has started, by whichever of its threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@dataclass
class Stopped:
    """What everybody saw while the daemon went down."""

    office: Office
    status: int
    seconds: float
    idle: str
    before_tls: str
    under_tls: str
    finished: str
    finished_then: str
    newcomer: type[Exception] | None
    laggard: type[Exception] | None
    to_systemd: list[str]
    core_limits: list[str]


@pytest.fixture(scope="module")
def stopped(make_module_office: Callable[..., Office]) -> Stopped:
    """One daemon, stopped while clients are at every point of a session."""
    changes = {"[tls]": f"[submission]\ndrain_seconds = {DRAIN_SECONDS}\n\n[tls]"}
    office = make_module_office(changes=changes)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(office.folder / "notify"))
        office.start(NOTIFY_SOCKET=str(office.folder / "notify"), WATCHDOG_USEC="400000")
        return stop(office, channel)


def stop(office: Office, channel: socket.socket) -> Stopped:
    assert office.process is not None
    pid = office.process.pid
    processes = [pid, *children(pid)]
    assert len(processes) > 1, "the children that read attachments"
    limits = [Path(f"/proc/{one}/limits").read_text() for one in processes]
    octets = letters.plain("water", "office", "关于水位的函", text="长" * 50_000)
    half = len(octets) // 2

    idle = smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30)
    waiting = smtplib.SMTP_SSL(
        "127.0.0.1", office.submissions_port, timeout=30, context=office.trust
    )
    waiting.ehlo()
    silent = socket.create_connection(("127.0.0.1", office.submission_port), timeout=30)
    silent.recv(200)
    busy, laggard = begin(office, "water", "office"), begin(office, "finance", "office")
    busy.send(octets[:half])
    laggard.send(octets[:half])
    time.sleep(0.5)

    begun = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    said_to_idle, said_under_tls = answer(idle), answer(waiting)
    said_to_silent = silent.recv(200).decode()
    newcomer = failure(lambda: socket.create_connection(("127.0.0.1", office.submission_port), 5))
    busy.send(octets[half:] + b".\r\n")
    finished, finished_then = answer(busy), answer(busy)
    lagging = failure(lambda: answer(laggard))
    status = office.wait_until_dead()
    seconds = time.monotonic() - begun
    for client in (idle, waiting, busy, laggard):
        client.close()
    silent.close()
    return Stopped(
        office=office,
        status=status,
        seconds=seconds,
        idle=said_to_idle,
        before_tls=said_to_silent,
        under_tls=said_under_tls,
        finished=finished,
        finished_then=finished_then,
        newcomer=newcomer,
        laggard=lagging,
        to_systemd=told(channel),
        core_limits=[line for text in limits for line in text.splitlines() if "core" in line],
    )


def failure(act: Callable[[], object]) -> type[Exception] | None:
    try:
        act()
    except Exception as error:  # noqa: BLE001  # which one is what is looked at
        return type(error)
    return None


def test_clients_that_wait_are_told_with_421(stopped: Stopped) -> None:
    for said in (stopped.idle, stopped.before_tls, stopped.under_tls):
        assert said.strip() == "421 4.3.2 The post office is being restarted, try again"


def test_nobody_new_is_let_in(stopped: Stopped) -> None:
    assert stopped.newcomer is ConnectionRefusedError


def test_a_message_under_way_is_finished_and_kept_and_its_client_is_told_then(
    stopped: Stopped,
) -> None:
    assert stopped.finished.startswith("250 2.0.0 ")
    assert stopped.finished_then.startswith("421 4.3.2 ")
    found = stopped.office.document(stopped.finished.split()[2])
    assert [one["owner"] for one in found["recipients"]] == ["unit:office"]


def test_who_does_not_finish_in_time_is_cut_off_and_leaves_nothing(stopped: Stopped) -> None:
    assert stopped.laggard is not None
    assert DRAIN_SECONDS <= stopped.seconds < DRAIN_SECONDS + 10
    assert len(stopped.office.sql("SELECT id FROM documents")) == 1
    blobs = list((stopped.office.folder / "state" / "blobs").glob("*/*/*/*"))
    assert len(blobs) == 1


def test_the_daemon_ends_well_and_leaves_a_whole_database(
    stopped: Stopped, database_kind: str
) -> None:
    assert stopped.status == 0, stopped.office.log
    assert "Traceback" not in stopped.office.log
    if database_kind == "sqlite":
        assert stopped.office.sql("PRAGMA integrity_check") == ["ok"]
    else:  # none of its connections is left behind
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert stopped.office.sql(query) == [1]


def test_systemd_is_told_ready_alive_and_stopping(stopped: Stopped) -> None:
    said = [one.split("\n")[0] for one in stopped.to_systemd]
    assert said[0] == READY
    assert said.count(STOPPING) == 1
    # also while it drains, or systemd would kill it in the middle of a message
    assert ALIVE in said[: said.index(STOPPING)]
    assert ALIVE in said[said.index(STOPPING) :]


def test_no_process_of_the_office_can_dump_core(stopped: Stopped) -> None:
    assert len(stopped.core_limits) > 1
    for line in stopped.core_limits:
        assert line.split()[-3:-1] == ["0", "0"], line


def test_after_the_next_start_there_is_exactly_one_receipt_for_it(stopped: Stopped) -> None:
    office = stopped.office
    with office.running():
        found = office.settled(stopped.finished.split()[2])
        events = [one["event"] for one in found["evidence"]]
        assert events.count("SubmissionAcceptance") == events.count("ContentConsignment") == 1
        assert len(postbox.receipts(office, "unit:water", found["id"])) == 1
        assert office.stop() == 0
