"""While some attack the doors, a clerk at another address sends documents and gets each `250`.

Nothing here is timed. What is watched: that the clerk's work is done, what the attackers are told,
and that the daemon keeps its memory and its words.
"""

from __future__ import annotations

import re
import smtplib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests import letters
from tests.attack.strangers import Stranger, at_once, dripping, guess, resident
from tests.office import Office

pytestmark = pytest.mark.one_database("what happens at the doors")

PER_ADDRESS = 20  # the default
PLACES = 60
KEPT = PLACES // 4  # for those who have logged in
SETTINGS = f"""[submission]
delay_seconds = 0.01
delay_limit_seconds = 0.05

[submission.limits]
connections = {PLACES}

[tls]"""
MEMORY = 48 * 1024 * 1024  # octets that the daemon may grow by, whatever comes


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    """An office that a clerk has used today."""
    with make_module_office(changes={"[tls]": SETTINGS}).running() as running:
        works(running)
        yield running


@pytest.fixture(autouse=True)
def unharmed(office: Office) -> Iterator[None]:
    """Whatever the test does: the daemon lives, has not grown, and has no error of ours to tell."""
    assert office.process is not None
    before = resident(office.process.pid)
    yield
    works(office)
    assert resident(office.process.pid) - before < MEMORY
    assert "Traceback" not in office.log
    assert "session-failed" not in office.log


def works(office: Office, count: int = 1) -> None:
    """A clerk sends documents from the usual address, each over a connection of its own."""
    for _ in range(count):
        office.accept("water", letters.plain("water", "office", "关于防汛的函"), "office")


def strangers(
    stack: ExitStack, port: int, count: int, *, first: int = 2, tls: bool = False
) -> list[Stranger]:
    """So many connections, from as many addresses as that needs."""
    return [
        stack.enter_context(Stranger(port, f"127.0.9.{first + n // PER_ADDRESS}", tls=tls))
        for n in range(count)
    ]


def taken(office: Office, count: int) -> None:
    """Wait until the daemon has given away so many places; the kernel accepts earlier."""
    pattern = re.compile(r"^yizhan_smtp_connections\{.*\} ([0-9.]+)$", re.M)
    deadline = time.monotonic() + 30
    while sum(map(float, pattern.findall(httpx.get(office.url("/metrics")).text))) < count:
        assert time.monotonic() < deadline, "not all were let in"
        time.sleep(0.05)


HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))  # the begin of a handshake


@pytest.mark.parametrize("phase", ["handshake", "greeting", "tls"])
def test_clients_that_send_an_octet_at_a_time_keep_nobody_waiting(
    office: Office, phase: str
) -> None:
    port = office.submission_port if phase == "greeting" else office.submissions_port
    with ExitStack() as stack:
        slow = strangers(stack, port, PER_ADDRESS, tls=phase == "tls")
        with dripping(slow, HELLO if phase == "handshake" else b"EHLO slow.test" * 20):
            works(office, 3)


def test_messages_that_come_an_octet_at_a_time_keep_nobody_waiting(office: Office) -> None:
    with ExitStack() as stack:
        slow = strangers(stack, office.submission_port, 6)
        for client in slow:
            client.starttls()
            assert client.login("education", office.accounts["education"]["password"]) == 235
            assert client.ask(b"MAIL FROM:<education@heping.test>") == 250
            assert client.ask(b"RCPT TO:<office@heping.test>") == 250
            assert client.ask(b"DATA") == 354
        with dripping(slow, b"Subject: " + b"x" * 2000):
            works(office, 3)


@pytest.mark.parametrize("door", ["starttls", "implicit"])
def test_connections_that_are_held_open_leave_the_clerks_their_places(
    office: Office, door: str
) -> None:
    port = office.submission_port if door == "starttls" else office.submissions_port
    with ExitStack() as stack:
        held = strangers(stack, port, PLACES - KEPT, first=150)
        taken(office, len(held))
        late = strangers(stack, office.submission_port, 10, first=100)
        assert [client.reply() for client in late] == [421] * 10
        works(office, 3)
        if door == "starttls":
            assert [client.reply() for client in held] == [220] * len(held)


def test_connections_that_come_and_go_are_forgotten(office: Office) -> None:
    for number in range(300):
        Stranger(office.submissions_port, f"127.0.9.{2 + number % 100}").close()
        if number % 100 == 50:
            works(office)
    # All places are free again, or these would be turned away.
    with ExitStack() as stack:
        later = strangers(stack, office.submission_port, 20, first=200)
        assert [client.reply() for client in later] == [220] * 20


def test_lines_without_end_are_not_kept(office: Office) -> None:
    with ExitStack() as stack:
        talkers = strangers(stack, office.submission_port, 10)
        assert [client.reply() for client in talkers] == [220] * 10

        def talk(client: Stranger) -> None:
            for _ in range(128):
                client.send(b"x" * 65_536)

        with at_once([partial(talk, client) for client in talkers]):
            works(office, 3)
        assert [client.ask(b"") for client in talkers] == [500] * 10
        assert [client.ask(b"NOOP") for client in talkers] == [250] * 10


def test_a_flood_of_commands_ends_by_itself(office: Office) -> None:
    codes: Counter[int] = Counter()

    def flood(client: Stranger) -> None:
        client.send(b"NOOP\r\n" * 1500)
        while code := client.reply():
            codes[code] += 1

    with ExitStack() as stack:
        talkers = strangers(stack, office.submission_port, 4)
        with at_once([partial(flood, client) for client in talkers]):
            works(office, 3)
    assert codes == {220: 4, 250: 4000, 421: 4}


def test_a_flood_of_recipients_ends_by_itself(office: Office) -> None:
    with smtplib.SMTP(
        "127.0.0.1", office.submission_port, timeout=60, source_address=("127.0.9.2", 0)
    ) as client:
        client.starttls(context=office.trust)
        client.login("education", office.accounts["education"]["password"])
        client.mail("education@heping.test")
        codes: Counter[int] = Counter()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            while True:
                codes[client.rcpt(f"nobody{sum(codes.values())}@heping.test")[0]] += 1
        works(office)
    assert codes == {550: 20, 421: 1}


GUESSED = ["water", "finance", "commerce", "nobody", "wáter@heping.test"]


def test_wrong_passwords_from_elsewhere_shut_nobody_out(office: Office) -> None:
    _guessed(office, addresses=4, each=75, sent=4)


@pytest.mark.soak
def test_a_hundred_thousand_wrong_passwords_shut_nobody_out(office: Office) -> None:
    _guessed(office, addresses=12, each=100_000 // 12 + 1, sent=40)


def _guessed(office: Office, *, addresses: int, each: int, sent: int) -> None:
    told: Counter[int] = Counter()
    work = [
        partial(guess, office.submission_port, f"127.0.8.{2 + n}", GUESSED, each, told)
        for n in range(addresses)
    ]
    with at_once(work):
        # A new password for each login: nothing that is remembered helps the clerk.
        works(office, sent)
        for login in ("finance", "commerce"):
            office.accept(login, letters.plain(login, "office", "关于防汛的函"), "office")
    assert told.total() >= addresses * each
    assert set(told) <= {454, 535, 421}
    assert told[535] <= addresses * len(GUESSED) * 5
    # The very accounts that were guessed at, from where nobody guessed.
    with office.client("commerce") as client:
        assert client.noop()[0] == 250


@pytest.mark.soak
def test_hundreds_of_slow_clients_at_the_limits_as_shipped_keep_nobody_waiting(
    make_office: Callable[..., Office],
) -> None:
    with make_office().running() as office, ExitStack() as stack:
        works(office)
        held = strangers(stack, office.submission_port, 375 - PER_ADDRESS, first=10)
        held += strangers(stack, office.submissions_port, PER_ADDRESS, first=100)
        taken(office, 375)
        with dripping(held, b"EHLO slow.test" * 40):
            with Stranger(office.submission_port, "127.0.9.200") as late:
                assert late.reply() == 421
            works(office, 40)
