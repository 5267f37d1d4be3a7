"""`workers = N`: several processes take mail, and nobody can tell but by the speed."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests import letters, postbox
from tests.office import ROOT, Office

SUBMISSION = """[submission]
drain_seconds = 3
delay_seconds = 0.01

[submission.limits]
connections_per_address = 8

"""
REQUIRE = """decides = "refusal"

[[rule]]
name = "seal-of-everybody"
when = "seal is missing"
refuse = "SealMissing"
sentence = "seal-required-missing"
"""


def settings(workers: int) -> dict[str, str]:
    return {
        "[state]": f"[daemon]\nworkers = {workers}\n\n[state]",
        "[tls]": f"{SUBMISSION}[tls]",
        "[policy]": '[policy]\ndirectory = "rules"\ndisabled_checks = ["rate"]',
    }


def prepare(make: Callable[..., Office], workers: int = 3) -> Office:
    office = make(changes=settings(workers))
    shutil.copytree(ROOT / "policies", office.folder / "rules")
    return office


@pytest.fixture(scope="module")
def shared(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    """An office with two workers beside its daemon."""
    with prepare(make_module_office).running() as running:
        yield running


@pytest.fixture
def office(shared: Office) -> Office:
    """It, once the clients of the test before have left."""
    until(lambda: metric(shared, "yizhan_smtp_connections") == 0, "nobody is inside")
    return shared


@pytest.fixture
def own(make_office: Callable[..., Office]) -> Iterator[Office]:
    """Another, to do harm to."""
    office = prepare(make_office)
    yield office
    if office.process is not None:
        for worker in workers(office):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)
        office.kill()


@pytest.fixture
def small(make_office: Callable[..., Office]) -> Iterator[Office]:
    """One with a single worker."""
    office = prepare(make_office, workers=2)
    yield office
    if office.process is not None:
        office.kill()


def workers(office: Office) -> list[int]:
    """Their processes; the daemon's children that read attachments are none."""
    assert office.process is not None
    tasks = Path(f"/proc/{office.process.pid}/task").glob("*/children")
    children = {int(child) for task in tasks for child in task.read_text().split()}
    return sorted(child for child in children if b"gateway.workers" in command_of(child))


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def server_of(office: Office, client: smtplib.SMTP) -> int:
    """The process that has the other end of the client's connection."""
    assert client.sock is not None and office.process is not None
    ends = [f"0100007F:{port:04X}" for port in
            (office.submission_port, client.sock.getsockname()[1])]  # fmt: skip
    for line in Path("/proc/net/tcp").read_text().splitlines():
        words = line.split()
        if words[1:3] == ends:
            wanted = f"socket:[{words[9]}]"
            for worker in [*workers(office), office.process.pid]:
                for link in Path(f"/proc/{worker}/fd").iterdir():
                    with suppress(OSError):
                        if str(link.readlink()) == wanted:
                            return worker
    raise AssertionError("nobody has this client")


def begin(office: Office) -> None:
    """Start it, and let whoever asked whether it is there leave."""
    office.start()
    until(lambda: metric(office, "yizhan_smtp_connections") == 0, "nobody is inside")


@contextmanager
def one_at_each(office: Office, login: str = "water") -> Iterator[list[smtplib.SMTP]]:
    """Clients, one at each worker; who comes to the daemon meanwhile waits there."""
    with ExitStack() as stack:
        clients: dict[int, smtplib.SMTP] = {}
        for _ in range(10):
            client = stack.enter_context(office.client(login))
            clients.setdefault(server_of(office, client), client)
            if set(workers(office)) <= set(clients):
                break
        yield [clients[worker] for worker in workers(office)]


def until(promise: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def metric(office: Office, name: str) -> float:
    page = httpx.get(office.url("/metrics"), timeout=10).text
    return sum(
        float(one.split()[-1])
        for one in page.splitlines()
        if one.startswith((f"{name} ", f"{name}{{"))
    )


def accepted(office: Office) -> int:
    """What the daemon has counted."""
    page = httpx.get(office.url("/metrics"), timeout=10).text
    found = re.search(r'^yizhan_submissions_total{outcome="accepted"} (\d+)', page, re.M)
    return int(found[1]) if found else 0


def report(subject: str) -> bytes:
    return letters.plain("water", "office", subject)


@pytest.mark.one_database("who takes a connection")
def test_connections_are_spread_over_the_workers_and_each_takes_mail(office: Office) -> None:
    before = accepted(office)
    with one_at_each(office) as clients:
        said = [
            office.offer(client, "water", report(f"第{number}号函"), "office")
            for number, client in enumerate(clients * 2)
        ]
    assert [code for code, _ in said] == [250] * 4
    documents = [text.split()[1] for _, text in said]
    assert len(set(documents)) == 4
    for document in documents:
        found = office.settled(document)
        assert [one["owner"] for one in found["recipients"]] == ["unit:office"]
        assert len(postbox.receipts(office, "unit:water", document)) == 1
    until(
        lambda: accepted(office) == before + 4,
        "the workers' counters are shown by the daemon",
    )
    until(lambda: metric(office, "yizhan_smtp_connections") == 0, "all places are given back")


@pytest.mark.one_database("who takes a connection")
def test_the_daemon_takes_clients_too_when_it_has_less_to_do(small: Office) -> None:
    begin(small)
    assert small.process is not None
    with ExitStack() as stack:
        clients = [stack.enter_context(small.client("water")) for _ in range(4)]
        served = [server_of(small, one) for one in clients]
        [worker] = workers(small)
        assert served == [worker, small.process.pid] * 2
        said = [
            small.offer(one, "water", report(f"{n}"), "office") for n, one in enumerate(clients)
        ]
        assert [code for code, _ in said] == [250] * 4
        # Nobody waits for a worker.
        os.kill(worker, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        until(lambda: metric(small, "yizhan_workers_replaced_total") == 1, "it has gone")
        with small.client("education") as newcomer:
            octets = letters.plain("education", "office", "照常")
            assert small.offer(newcomer, "education", octets, "office")[0] == 250
    assert small.stop() == 0


def test_a_resend_at_another_worker_is_the_same_document(office: Office) -> None:
    octets = report("重发的函")
    with one_at_each(office) as clients:
        said = [office.offer(client, "water", octets, "office") for client in clients]
    assert [code for code, _ in said] == [250, 250]
    assert said[0][1].split()[1] == said[1][1].split()[1]


def test_wrong_passwords_at_any_worker_lock_the_pair_at_all(office: Office) -> None:
    def guess(password: str, at: int) -> int:
        with ExitStack() as stack:
            for _ in range(6):
                client = smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30)
                stack.enter_context(client)
                if server_of(office, client) != at:
                    continue
                client.starttls(context=office.trust)
                client.ehlo()
                proof = base64.b64encode(f"\0finance\0{password}".encode()).decode()
                return client.docmd("AUTH", f"PLAIN {proof}")[0]
        raise AssertionError("no client came to that process")

    assert office.process is not None
    processes = [*workers(office), office.process.pid]
    codes = [guess("wrong", processes[number % 3]) for number in range(10)]
    right = guess(office.accounts["finance"]["password"], processes[0])
    assert codes[:5] == [535] * 5
    assert set(codes[5:]) == {454}
    assert right == 454


def test_places_are_counted_over_all_workers(office: Office) -> None:
    def knock() -> tuple[socket.socket, str]:
        client = socket.create_connection(("127.0.0.1", office.submission_port), timeout=10)
        return client, client.recv(200).decode()

    inside = [knock() for _ in range(8)]
    assert all(said.startswith("220 ") for _, said in inside)
    late, said = knock()
    late.close()
    assert said.startswith("421 4.7.0 ")
    inside.pop()[0].close()
    until(lambda: metric(office, "yizhan_smtp_connections") == 7, "the place is given back")
    newcomer, said = knock()
    assert said.startswith("220 ")
    for client in (newcomer, *(client for client, _ in inside)):
        client.close()


def test_new_rules_count_at_every_worker_in_sessions_that_go_on(office: Office) -> None:
    assert office.process is not None
    rule = office.folder / "rules" / "50-local.toml"

    def reload() -> None:
        before = office.log.count("what=policies")
        os.kill(office.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        until(lambda: office.log.count("what=policies") == before + 3, "each process reloads")

    with one_at_each(office) as clients:
        rule.write_text(REQUIRE, encoding="utf-8")
        reload()
        said = [office.offer(one, "water", report("盖章"), "office") for one in clients]
        assert [code for code, _ in said] == [550, 550]
        rule.unlink()
        reload()
        said = [office.offer(one, "water", report("盖章"), "office") for one in clients]
        assert [code for code, _ in said] == [250, 250]


@pytest.mark.one_database("a worker's death is the same on both; test_two_nodes has PostgreSQL's")
def test_under_load_more_than_one_process_makes_receipts_and_each_is_made_once(
    small: Office,
) -> None:
    begin(small)
    taken: list[str] = []
    stop = threading.Event()

    def send(name: int) -> None:
        with small.client("water") as client:
            for number in range(10_000):
                if stop.is_set():
                    return
                code, text = small.offer(client, "water", report(f"{name}-{number}"), "office")
                assert code == 250, text
                taken.append(text.split()[1])

    senders = [threading.Thread(target=send, args=(name,)) for name in range(6)]
    for thread in senders:
        thread.start()
    seen: set[str] = set()

    def at_work() -> bool:
        seen.update(small.sql("SELECT DISTINCT lessee FROM outbox WHERE lessee != ''"))
        return len(seen) > 1

    try:
        until(at_work, "the worker takes from the outbox, too", 60)
    finally:
        stop.set()
        for thread in senders:
            thread.join(20)
    until(lambda: small.sql("SELECT count(*) FROM outbox WHERE kind = 'receipt'") == [0], "all out")
    made = small.sql(
        "SELECT c.key FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id "
        "WHERE c.kind = 'receipt'"
    )
    assert sorted(made) == sorted(taken)
    assert small.stop() == 0


def test_a_worker_that_dies_under_load_loses_nothing_and_the_others_clients_notice_nothing(
    own: Office,
) -> None:
    begin(own)
    taken: list[str] = []
    wrong: list[str] = []
    stop = threading.Event()

    def send(name: int, client: smtplib.SMTP, steady: bool) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                code, text = own.offer(client, "water", report(f"{name}-{number}"), "office")
            except (OSError, smtplib.SMTPException) as error:
                if steady:
                    wrong.append(repr(error))
                return
            (taken if code == 250 else wrong).append(text.split()[1])

    with one_at_each(own) as (victims, steady):
        victim = server_of(own, victims)
        clients = [
            threading.Thread(target=send, args=(1, victims, False)),
            threading.Thread(target=send, args=(2, steady, True)),
        ]
        for thread in clients:
            thread.start()
        until(lambda: len(taken) > 20, "load")
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(workers(own)) == 2 and victim not in workers(own), "another one comes")
        before = len(taken)
        until(lambda: len(taken) > before + 10, "the steady client goes on")
        until(lambda: own.log.count("worker-ready") == 3, "it is ready")
        with own.client("office") as newcomer:
            assert server_of(own, newcomer) not in (victim, server_of(own, steady))
        stop.set()
        for thread in clients:
            thread.join(20)
    assert wrong == []
    assert "worker-ended" in own.log
    kept = own.sql("SELECT id FROM documents")
    assert set(taken) <= set(kept)
    assert len(kept) - len(taken) <= 1, "at most the one whose 250 was cut off"
    for document in taken[-3:]:
        own.settled(document)
    until(lambda: metric(own, "yizhan_smtp_connections") == 0, "its places are given back")
    assert metric(own, "yizhan_workers_replaced_total") == 1
    assert own.stop() == 0


@pytest.mark.one_database("signals and processes")
def test_workers_end_at_once_when_the_daemon_is_killed(small: Office) -> None:
    begin(small)
    theirs = workers(small)
    with one_at_each(small) as clients:
        small.kill()
        for client in clients:
            client.sock.settimeout(5)
            assert client.sock.recv(200) == b""
        until(lambda: not any(Path(f"/proc/{one}").exists() for one in theirs), "they end")
    with small.running():  # nothing is held or locked
        small.accept("water", report("再开张"), "office")


@pytest.mark.one_database("signals and processes")
def test_a_worker_that_hangs_starves_the_watchdog_and_is_named_on_the_health_page(
    own: Office,
) -> None:
    def fed(seconds: float) -> bool:
        """Whether systemd is told of life in the next seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                while True:
                    channel.recv(4096)  # what was said before
            time.sleep(0.1)
            with suppress(BlockingIOError):
                if channel.recv(4096) == b"WATCHDOG=1":
                    return True
        return False

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.bind(str(own.folder / "notify"))
        own.start(NOTIFY_SOCKET=str(own.folder / "notify"), WATCHDOG_USEC="100000")
        assert fed(2)
        hanging = workers(own)[0]
        os.kill(hanging, signal.SIGSTOP)
        until(lambda: not fed(0.5), "the watchdog is fed no more", 20)
        page = httpx.get(own.url("/health"), timeout=10)
        assert page.status_code == 503
        assert f"process {hanging})" in page.json()["probes"]["workers"]
        with own.client("water") as client:  # the other one works
            assert server_of(own, client) != hanging
            assert own.offer(client, "water", report("照常"), "office")[0] == 250
        os.kill(hanging, signal.SIGCONT)
        until(lambda: fed(0.5), "it answers again")
        assert httpx.get(own.url("/health"), timeout=10).status_code == 200
        assert own.stop() == 0


@pytest.mark.one_database("signals and processes")
def test_the_workers_drain_with_the_daemon(own: Office) -> None:
    begin(own)
    assert own.process is not None
    theirs = workers(own)
    with ExitStack() as stack:
        clients = [stack.enter_context(own.client("water")) for _ in range(6)]
        busy = list({server_of(own, client): client for client in clients}.values())
        assert len(busy) == 3, "one at each process"
        idle = [client for client in clients if client not in busy]
        octets = report("进行中的函")
        for client in busy:
            client.mail(own.accounts["water"]["address"])
            client.rcpt("office@heping.test")
            assert client.docmd("DATA")[0] == 354
            client.send(octets[:100])
        time.sleep(0.3)
        os.kill(own.process.pid, signal.SIGTERM)
        for client in idle:
            assert client.getreply()[0] == 421
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", own.submission_port), 5)
        for client in busy:
            client.send(octets[100:] + b".\r\n")
            code, text = client.getreply()
            assert code == 250, text
            assert client.getreply()[0] == 421
    assert own.wait_until_dead() == 0, own.log
    assert "Traceback" not in own.log
    assert not any(Path(f"/proc/{one}").exists() for one in theirs)
    assert len(own.sql("SELECT id FROM documents")) == 1  # the second is a resend of the first


@pytest.mark.one_database("signals and processes")
def test_workers_that_die_again_and_again_end_the_daemon_with_a_sentence(small: Office) -> None:
    small.start()
    assert small.process is not None
    dead: set[int] = set()
    deadline = time.monotonic() + 40
    while small.process.poll() is None:
        assert time.monotonic() < deadline
        for worker in set(workers(small)) - dead:
            dead.add(worker)
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.02)
    assert small.wait_until_dead() == 1
    assert "worker processes have ended 5 times within a minute" in small.log


@pytest.mark.one_database("settings")
def test_a_daemon_whose_workers_cannot_begin_says_why(small: Office) -> None:
    (small.folder / "yizhan.toml").write_text(
        small.config.read_text(encoding="utf-8").replace(
            'disabled_checks = ["rate"]', 'clamd = "nowhere"'
        ),
        encoding="utf-8",
    )
    with pytest.raises(AssertionError, match=r"policy\.clamd"):
        small.start()
    small.process = None
