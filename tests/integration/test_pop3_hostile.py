"""What strangers say to the POP3 door hurts nobody."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.attack.strangers import resident
from tests.office import Office
from tests.pop3 import Client, logged_in, put

pytestmark = pytest.mark.one_database("what is refused before anything is read")

FILED = b"From: a@x\r\n\r\nbare\n.\r\n+OK 666 forged\r\n.\n.\r\nend"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    changes = {"[policy]": "[mailboxes]\nlogin_seconds = 3\nerrors = 5\n\n[policy]"}
    with make_module_office(changes=changes).running() as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(office: Office) -> Iterator[None]:
    """After each test a clerk is served, and nothing has failed inside."""
    yield
    with logged_in(office, "committee") as client:
        assert client.ask(b"QUIT") == b"+OK Goodbye"
    for word in ("Traceback", "session-failed", "command-failed", "Task exception"):
        assert word not in office.log


def ended(client: Client) -> bool:
    """Whether the server hangs up."""
    client.socket.settimeout(20)
    try:
        while client.line():
            pass
    except ConnectionError:
        pass
    return True


def test_wrong_commands_before_the_login_end_the_connection(office: Office) -> None:
    with Client(office) as client:
        for _ in range(5):
            assert client.ask(b"XYZZY") == b"-ERR There is no such command"
        assert client.line() == b""


def test_a_line_without_end_is_not_kept(office: Office) -> None:
    before = resident(office.process.pid)  # type: ignore[union-attr]
    with Client(office) as client:
        client.send(b"USER " + b"a" * 20_000_000 + b"\r\n")
        assert client.line() == b"-ERR The line is too long"
        assert client.ask(b"CAPA").startswith(b"+OK")
        client.more()
    assert resident(office.process.pid) - before < 30_000_000  # type: ignore[union-attr]


def test_octets_that_are_no_text_are_answered_or_sent_away(office: Office) -> None:
    chance = random.Random(1939)
    for _ in range(30):
        with Client(office, implicit=chance.random() < 0.5) as client:
            words = [b"USER ", b"PASS ", b"AUTH PLAIN ", b"\r\n", b"\n", b"\0", b"RETR 1", b"TOP "]
            blob = b"".join(
                chance.choice([chance.choice(words), chance.randbytes(chance.randrange(40))])
                for _ in range(60)
            )
            try:
                client.send(blob + b"\r\nQUIT\r\nQUIT\r\nQUIT\r\n")
                assert ended(client)
            except ConnectionError:
                continue


@pytest.mark.parametrize(
    "argument",
    [b"", b"0", b"1", b"-1", b"+1", b"0 1", b"1 1 1", b"9" * 20, b"1\0", b"\xd9\xa1", b"1.0"],
)
def test_what_is_no_message_is_refused_in_words(office: Office, argument: bytes) -> None:
    with logged_in(office, "office") as client:
        for verb in (b"RETR ", b"DELE ", b"TOP "):
            assert client.ask(verb + argument).startswith(b"-ERR"), verb
        assert client.ask(b"STAT") == b"+OK 0 0"


def test_a_filed_message_cannot_end_its_answer_and_say_the_next(office: Office) -> None:
    put(office, "unit:water", [FILED])
    with logged_in(office, "water") as client:
        assert client.read(b"RETR 1") == FILED + b"\r\n"
        assert client.ask(b"NOOP") == b"+OK Nothing done"


def test_who_does_not_log_in_is_sent_away_without_a_word(office: Office) -> None:
    with Client(office) as client, Client(office, implicit=False) as other:
        began = time.monotonic()
        assert client.line() == b""
        assert other.line() == b""
        assert time.monotonic() - began < 15


def test_what_was_said_before_tls_does_not_count(office: Office) -> None:
    """CVE-2011-0411: commands that came with STLS are not taken for something said under TLS."""
    with Client(office, implicit=False) as client:
        client.send(b"STLS\r\nCAPA\r\nNOOP\r\n")
        assert client.line() == b"+OK Begin TLS now"
        client.secure()
        assert client.ask(b"PASS x") == b"-ERR Please say USER first"


def test_a_flood_of_commands_and_clients_that_read_nothing_keep_nobody_waiting(
    office: Office,
) -> None:
    put(office, "unit:finance", [b"Subject: x\r\n\r\n" + os.urandom(3_000_000).hex().encode()])
    before = resident(office.process.pid)  # type: ignore[union-attr]
    clients = [logged_in(office, "finance") for _ in range(10)]
    try:
        for client in clients:
            client.socket.settimeout(0.2)
            with suppress(TimeoutError):  # it takes no more while its answers are not read
                client.send(b"RETR 1\r\nLIST\r\nUIDL\r\n" * 3_000)
        began = time.monotonic()
        for _ in range(5):
            with logged_in(office, "planning") as clerk:
                assert clerk.ask(b"STAT") == b"+OK 0 0"
        assert time.monotonic() - began < 5
        assert resident(office.process.pid) - before < 100_000_000  # type: ignore[union-attr]
    finally:
        for client in clients:
            client.close()


def test_half_open_connections_keep_nobody_waiting(office: Office) -> None:
    silent = [socket.create_connection(("127.0.0.1", office.pop3s_port)) for _ in range(40)]
    halves = [Client(office, implicit=False) for _ in range(20)]
    for client in halves:
        client.socket.shutdown(socket.SHUT_WR)
    with logged_in(office, "planning") as clerk:
        assert clerk.ask(b"STAT") == b"+OK 0 0"
    for one in silent:
        one.close()
    for client in halves:
        assert ended(client)
        client.close()


def test_idle_clerks_are_told_when_the_office_stops(make_office: Callable[..., Office]) -> None:
    own = make_office()
    with own.running(), logged_in(own, "water") as client:
        assert own.stop() == 0
        assert client.line().startswith(b"-ERR [SYS/TEMP] ")
        assert client.line() == b""
