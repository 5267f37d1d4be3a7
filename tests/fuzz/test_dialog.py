"""Whatever a client says, and however the network cuts it: the door answers in its own words, lets
nobody past the login, and comes to an end.

The session is the real one with a real directory; only its transport is in memory, and claims TLS,
so that a run costs a millisecond.
"""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.config import Limits, Listener
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import WRONG, LoginFailed
from gateway.directory.model import Account
from gateway.domain.clock import SystemClock
from gateway.intake.limits import Places
from gateway.intake.services import NoMetrics, Services, no_certificates
from gateway.intake.session import SubmissionSession
from gateway.store.database import Database
from tests.fuzz.effort import effort
from tests.unit.intake import conftest as intake

certificates = intake.certificates
directory_url = intake.directory_url

GOOD = base64.b64encode(b"\0water\0clear water")
BAD = base64.b64encode(b"\0water\0muddy water")
LINES = st.sampled_from(
    [
        b"EHLO client.test", b"HELO c", b"EHLO", b"NOOP", b"RSET", b"QUIT", b"HELP", b"VRFY a",
        b"EXPN all", b"STARTTLS", b"AUTH PLAIN " + GOOD, b"AUTH PLAIN " + BAD, b"AUTH PLAIN",
        b"AUTH LOGIN", b"AUTH LOGIN d2F0ZXI=", b"AUTH EXTERNAL =", b"AUTH X", b"AUTH PLAIN \xff",
        b"Y2xlYXIgd2F0ZXI=", b"d2F0ZXI=", GOOD, b"*", b"=", b"====",
        b"MAIL FROM:<water@heping.test>", b"MAIL FROM:<>", b"MAIL FROM:<office@heping.test>",
        b"MAIL FROM:<water@heping.test> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a",
        b"MAIL FROM:<water@heping.test> SIZE=99999999999999999999 BY=1;R MT-PRIORITY=9",
        b"RCPT TO:<office@heping.test>", b"RCPT TO:<all@heping.test> NOTIFY=NEVER,FAILURE",
        b"RCPT TO:<nobody@heping.test>", b"RCPT TO:<a@b> ORCPT=rfc822;a+", b"RCPT TO:<postmaster>",
        b"DATA", b"BDAT 5 LAST", b"Subject: a", b"", b".", b"..", b"text", b"\0", b"\xff\xfe",
        "MAIL FROM:<水务@heping.test>".encode(), b"GET / HTTP/1.1", b"X" * 3000, b"A" * 13_000,
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
GARBAGE = st.builds(lambda line, end: line + end, LINES | st.binary(max_size=20), ENDS)
BEGIN = b"EHLO client.test\r\nAUTH PLAIN " + GOOD + b"\r\n"
SENT = (
    BEGIN + b"MAIL FROM:<water@heping.test>\r\nRCPT TO:<office@heping.test>\r\n"
    b"DATA\r\nSubject: a\r\n\r\nb\r\n.\r\n"
)
SAID = st.builds(
    lambda begin, lines: begin + b"".join(lines),
    st.sampled_from([b"", b"", b"EHLO c\r\n", BEGIN, BEGIN, SENT]),
    st.lists(GARBAGE, max_size=14),
)

REPLY = re.compile(rb"[2-5][0-9]{2}(?:[ -][^\r\n]*)?")
INTERNAL = re.compile(rb"Traceback|Error\b|Exception|object at|gateway|\.py\b|/tmp|NoneType|sqlite")


class Pipe(asyncio.Transport):
    """The client's end of a connection, as it hears it."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__({"peername": ("127.0.0.1", 9), "ssl_object": self if secure else None})
        self.heard = bytearray()
        self.closed = False

    def version(self) -> str:
        return "TLSv1.3"

    def getpeercert(self, *, binary_form: bool) -> None:  # noqa: ARG002
        return None

    def write(self, data: Any) -> None:
        if not self.closed:
            self.heard += data

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Keeper:
    """Knows one password."""

    def __init__(self, directory: LiveDirectory) -> None:
        self._directory = directory

    async def check_password(self, login: str, password: str, client_ip: str) -> Account:  # noqa: ARG002
        account = (await self._directory.current()).account(login)
        if account is None or (login, password) != ("water", "clear water"):
            raise LoginFailed(WRONG, cause="wrong-password")
        return account

    async def check_certificate(self, fingerprint: str, client_ip: str) -> Account:  # noqa: ARG002
        raise AssertionError("no certificate was shown")

    def unready(self, account: Account) -> None:
        """Everybody has changed the first password."""


class Room:
    """What the sessions share."""

    def __init__(self, url: str, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.directory = LiveDirectory(Database(url), intake.DOMAIN)
        self.folder, self.pool = folder, pool

    def services(self, exchange: intake.KeepingExchange) -> Services:
        limits = Limits(free_space=1, errors=8, commands=40, memory=64)
        return Services(
            listener=Listener(port=0), limits=limits, host="mail.heping.test",
            tls=None, certificates=no_certificates,  # type: ignore[arg-type]
            directory=self.directory, authenticator=Keeper(self.directory), exchange=exchange,
            clock=SystemClock(), spool_directory=self.folder, pool=self.pool,
            places=Places(limits), metrics=NoMetrics(),
        )  # fmt: skip


@pytest.fixture(scope="module")
def room(directory_url: str) -> Any:
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory() as folder:
        made = Room(directory_url, Path(folder), pool)
        yield made
        made.directory._database.stop()


async def converse(
    room: Room, said: bytes, cuts: list[int], *, secure: bool
) -> tuple[bytes, intake.KeepingExchange, list[object]]:
    """Everything the client hears, what the exchange got, and what nobody caught."""
    uncaught: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: uncaught.append(context))
    exchange, pipe = intake.KeepingExchange(), Pipe(secure=secure)
    session = SubmissionSession(room.services(exchange), "127.0.0.1")
    session.connection_made(pipe)
    at = 0
    for length in [*cuts, len(said)]:
        session.data_received(said[at : at + length])
        at += length
        await asyncio.sleep(0)
    session.eof_received()
    async with asyncio.timeout(20):  # the daemon never waits for a client that has gone
        await session.finished()
    session.connection_lost(None)
    return bytes(pipe.heard), exchange, uncaught


@effort(150)
@given(SAID, st.lists(st.integers(0, 40), max_size=30))
@example(SENT + b"QUIT\r\n", [])
@example(BEGIN + b"AUTH PLAIN " + GOOD + b"\r\nMAIL FROM:<water@heping.test>\r\nDATA\r\n", [1] * 30)
@example(b"AUTH LOGIN\r\n" * 3 + b"MAIL FROM:<water@heping.test>\r\n", [])
def test_whatever_is_said_is_answered_in_order_and_in_our_words(
    room: Room, said: bytes, cuts: list[int]
) -> None:
    with capture_logs() as lines:
        heard, exchange, uncaught = asyncio.run(converse(room, said, cuts, secure=True))
    assert uncaught == []
    assert [line for line in lines if line["log_level"] in ("error", "critical")] == []
    assert heard.endswith(b"\r\n")
    answers = heard.split(b"\r\n")[:-1]
    for answer in answers:
        assert REPLY.fullmatch(answer), answer
        assert len(answer) <= 510
        assert not INTERNAL.search(answer), answer
    texts = [answer.decode() for answer in answers]
    # Nothing is begun before the step that allows it.
    for later, earlier in (
        ("250 2.1.0", "235 "), ("250 2.1.5", "250 2.1.0"), ("354 ", "250 2.1.5"),
        ("250 2.0.0 06", "354 "),
    ):  # fmt: skip
        found = [n for n, text in enumerate(texts) if text.startswith(later)]
        allowed = [n for n, text in enumerate(texts) if text.startswith(earlier)]
        assert not found or (allowed and allowed[0] < found[0])
    accepted = sum("accepted" in text for text in texts)
    assert accepted == len(exchange.kept) <= sum(text.startswith("354 ") for text in texts)
    assert sum(text.startswith("221 ") for text in texts) <= 1
    assert "clear water" not in str(lines)
    assert GOOD.decode() not in str(lines)
    if GOOD not in said and b"Y2xlYXIgd2F0ZXI=" not in said:
        assert not exchange.kept
        assert not any(text.startswith("235 ") for text in texts)


@effort(60)
@given(SAID, st.lists(st.integers(0, 40), max_size=30))
@example(SENT, [])
def test_in_the_clear_nobody_logs_in_whatever_is_said(
    room: Room, said: bytes, cuts: list[int]
) -> None:
    said = said.replace(b"STARTTLS", b"NOOP")
    with capture_logs() as lines:
        heard, exchange, uncaught = asyncio.run(converse(room, said, cuts, secure=False))
    assert uncaught == []
    assert [line for line in lines if line["log_level"] in ("error", "critical")] == []
    assert exchange.kept == []
    assert not re.search(rb"^(235|334|354) ", heard, re.MULTILINE)
