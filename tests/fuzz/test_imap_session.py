"""Whatever a client says after its login: each command gets its one answer, nothing fails inside,
and the session goes on as if nothing had been said.

Commands that bring the fuzzer into new code are kept and changed further, so that it finds its own
way in (`sys.settrace` on the sessions' modules, only while it looks for news).
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.databases import Databases, opened
from tests.fuzz.effort import FACTOR
from tests.mailroom import Client, Mailroom

pytestmark = pytest.mark.one_database("what is said wrongly does not reach it")

SECONDS = 6 * min(FACTOR, 100)
SEEDS = [
    b"CAPABILITY", b"NOOP", b"CHECK", b"ID (\"name\" \"x\" \"version\" NIL)", b"ID NIL",
    b"ENABLE CONDSTORE QRESYNC UTF8=ACCEPT IMAP4rev2", b"NAMESPACE", b"LIST \"\" *",
    b"LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% A/*) RETURN (CHILDREN SPECIAL-USE STATUS (UNSEEN))",
    b"LSUB \"\" %", b"STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ"
    b" DELETED MAILBOXID APPENDLIMIT)", b"CREATE A/B (USE (\\Archive))", b"CREATE \"&ZeVnLIqe-\"",
    b"DELETE A/B", b"RENAME A C/D", b"RENAME INBOX Old", b"SUBSCRIBE INBOX", b"UNSUBSCRIBE A",
    b"SELECT INBOX", b"SELECT INBOX (QRESYNC (1 1 1:9 (1,2 1,2)))", b"EXAMINE INBOX (CONDSTORE)",
    b"APPEND INBOX (\\Seen $Work) \"22-Nov-2026 17:55:00 +0800\" {15+}\r\nSubject: x\r\n\r\ny",
    b"APPEND INBOX {4+}\r\na: b {5+}\r\nc: d\n", b"APPEND INBOX UTF8 (~{4+}\r\na: b)",
    b"APPEND INBOX ~{50+}\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\0\0345678901\r\n",
    b"GETACL INBOX", b"SETACL INBOX li +lrs", b"DELETEACL INBOX li", b"LISTRIGHTS INBOX li",
    b"MYRIGHTS INBOX", b"GETQUOTA person:wang", b"GETQUOTAROOT INBOX", b"SETQUOTA a (STORAGE 1)",
    b"CLOSE", b"UNSELECT", b"EXPUNGE", b"UID EXPUNGE 1:*", b"COPY 1:2 Sent", b"UID COPY * Sent",
    b"MOVE 1 Sent", b"UID MOVE $ A", b"FETCH 1:* FULL", b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 2"
    b" VANISHED)", b"FETCH 1 (BODY.PEEK[1.2.MIME] BODY[HEADER.FIELDS.NOT (\"X\")]<0.9> MODSEQ UID"
    b" BINARY.PEEK[1] BINARY.SIZE[1] RFC822.TEXT EMAILID THREADID BODYSTRUCTURE INTERNALDATE)",
    b"STORE 1:* +FLAGS.SILENT (\\Seen \\Deleted $x)", b"STORE 1 FLAGS ()",
    b"UID STORE 1:* (UNCHANGEDSINCE 9) -FLAGS \\Seen", b"SEARCH RETURN (MIN MAX COUNT SAVE ALL)"
    b" CHARSET UTF-8 OR (UNSEEN 1:*) NOT SUBJECT {3+}\r\nabc", b"UID SEARCH $ MODSEQ 3",
    b"SEARCH HEADER X-Y \"\" SENTSINCE 1-Nov-2026 BEFORE 2-Jan-2030 LARGER 1 YOUNGER 99 TEXT a",
    b"SORT (REVERSE DATE SUBJECT FROM DISPLAYTO) UTF-8 ALL", b"SORT RETURN (COUNT) (SIZE) GBK 1",
    b"THREAD REFERENCES UTF-8 ALL", b"UID THREAD ORDEREDSUBJECT US-ASCII SEEN", b"LOGIN a b",
    b"AUTHENTICATE PLAIN AGEAYg==", b"STARTTLS", b"FETCH 99 FLAGS", b"X", b"",
]  # fmt: skip
PIECES = [
    b" ", b"(", b")", b"{3+}\r\nabc", b"{0+}\r\n", b"~{2+}\r\n\0a", b"\"", b"\\", b"*", b"%", b"$",
    b"1:*", b"0", b"4294967295", b"4294967296", b"99999999999999999999999", b"-1", b"NIL", b"INBOX",
    b"\xff\xfe", "邮".encode(), b"&-", b"&", b"[", b"]", b"<0.1>", b"/", b"..", b"\t", b"\x7f",
    b"UID ", b"BODY[", b"FLAGS", b"\\Seen", b"{9+}\r\n{3+}\r\n\r\nx", b"+", b"~",
]  # fmt: skip
LETTER = (
    b"From: =?utf-8?B?546L?= <wang@heping.test>\r\nSubject: Re: a [x] (fwd)\r\n"
    b"Date: Mon, 2 Mar 2026 12:00:00 +0800\r\nMessage-ID: <1@x>\r\nReferences: <0@x>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody\r\n--b--\r\n"
)
ENDS = re.compile(rb"(?:OK|NO|BAD)(?: [^\r\n]*)")
INTERNAL = re.compile(rb"SERVERBUG|Traceback|Exception|object at|\.py\b|NoneType|sqlite|psycopg")
_LITERAL = re.compile(rb"~?\{(\d{1,20})(\+?)\}\r?\n\Z")


def framed(octets: bytes) -> bytes:
    """The octets as one command: literals as long as they say, no line end elsewhere."""
    out, rest = bytearray(), octets
    while rest:
        line, end, rest = rest.partition(b"\n")
        literal = _LITERAL.search(line + end) if end else None
        if literal is None:
            out += line.replace(b"\r", b"")
            continue
        size = min(int(literal[1]), 5_000)
        start = line[: line.rindex(b"{")]
        out += start + b"{%d+}\r\n" % size + rest[:size].ljust(size, b"x")
        rest = rest[size:]
    while out.endswith(b"}") and re.search(rb"\{\d+\+?\}\Z", out):
        out += b" "
    return bytes(out)


def changed(octets: bytes, dice: random.Random, corpus: list[bytes]) -> bytes:
    """The command, a little different."""
    found = bytearray(octets)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(found) + 1)
        match dice.randrange(7):
            case 0:
                found[at:at] = dice.choice(PIECES)
            case 1:
                del found[at : at + dice.choice((1, 1, 3, 10))]
            case 2 if at < len(found):
                found[at] = dice.randrange(256)
            case 3:
                other = dice.choice(corpus)
                cut = dice.randrange(len(other) + 1)
                found[at:] = other[cut:]
            case 4:
                found[at:at] = found[: at + 5][-dice.randrange(1, 20) :]
            case 5:
                words = bytes(found).split(b" ")
                words[dice.randrange(len(words))] = dice.choice(PIECES)
                found = bytearray(b" ".join(words))
            case 6:
                words = bytes(found).split(b" ")
                dice.shuffle(words)
                found = bytearray(b" ".join(words))
    return bytes(found[:8_000])


class Tracks:
    """Which lines of the sessions' modules have run, and from where."""

    def __init__(self) -> None:
        self.known: set[tuple[str, int]] = set()
        self.news = False

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if "mailboxes/imap" not in frame.f_code.co_filename:
            return None
        if event in ("line", "call"):
            place = (frame.f_code.co_filename, frame.f_lineno)
            if place not in self.known:
                self.known.add(place)
                self.news = True
        return self.trace


async def answered(client: Client, command: bytes, number: int) -> bytes:
    """Say it; its one tagged answer, when an honest NOOP has been answered behind it."""
    tag, last = b"f%d" % number, b"n%d" % number
    client.send(tag + b" " + command + b"\r\n" + last + b" NOOP\r\n")
    lines = await client.until(last.decode())
    assert lines[-1].startswith(last + b" OK"), (command, lines[-1])
    mine = [line for line in lines[:-1] if line.startswith(tag + b" ")]
    assert len(mine) == 1, (command, lines)
    assert ENDS.fullmatch(mine[0].removeprefix(tag + b" ")), (command, mine)
    for line in lines[:-1]:
        assert line.startswith((b"* ", b"+ ", tag + b" ")), (command, line)
        assert not INTERNAL.search(line), (command, line)
    return mine[0]


async def fuzz(folder: Path, databases: Databases, dice: random.Random) -> tuple[int, int]:
    """How many commands were said, and how many places of the code they have seen."""
    room = Mailroom(opened(databases), folder)
    client = await room.client(select="INBOX")
    tracks, corpus, number = Tracks(), list(SEEDS), 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or number < len(SEEDS):
        number += 1
        if number % 200 == 1:
            if number > 1:
                await client.hang_up()
                client = await room.client(select="INBOX")
            for _ in range(3):
                await client.append(LETTER)
        command = SEEDS[number - 1] if number <= len(SEEDS) else None
        if command is None:
            command = changed(dice.choice(corpus), dice, corpus)
        command = framed(command)
        if re.match(rb"\s*(IDLE|LOGOUT|AUTHENTICATE)\b", command, re.IGNORECASE):
            continue  # they go on, or end
        tracks.news = False
        sys.settrace(tracks.trace)
        try:
            with capture_logs() as lines:
                await answered(client, command, number)
        finally:
            sys.settrace(None)
        assert [one for one in lines if one["log_level"] in ("error", "critical")] == [], command
        if tracks.news:
            corpus += [command] * 3
        if number % 20 == 0:
            await client.ok("DELETEACL INBOX wang")
            said = b"\n".join(await client.ok("SELECT INBOX"))
            exists = re.search(rb"^\* (\d+) EXISTS", said, re.MULTILINE)
            found = await client.say("FETCH 1:* (UID FLAGS)")
            count = sum(b" FETCH (" in line for line in found)
            assert exists is not None
            assert count == int(exists[1]), found
    await room.close()
    await room.database.close()
    return number, len(tracks.known)


def test_each_command_has_its_one_answer_and_the_session_goes_on(
    tmp_path: Path, databases: Databases
) -> None:
    seed = 7 if FACTOR <= 1 else time.time_ns()
    try:
        number, places = asyncio.run(fuzz(tmp_path, databases, random.Random(seed)))
    except BaseException:
        print("seed", seed)
        raise
    assert number > len(SEEDS)
    assert places > 1_000, "the commands do not get far into the code"
