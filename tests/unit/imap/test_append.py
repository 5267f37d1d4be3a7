"""APPEND: all messages of a command or none, and the session goes on whatever happens."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.store.spool import Spool
from mailboxes.imap.ports import Unavailable
from tests.mailroom import Mailroom

pytestmark = pytest.mark.one_database("what is filed is one transaction on both")


async def test_a_full_disk_under_a_message_is_said_and_the_session_goes_on(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was called a bug of the server."""
    client = await room.client(select="INBOX")
    real = Spool.write

    def write(spool: Any, octets: bytes) -> None:
        if b"big" in octets:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(spool, octets)

    monkeypatch.setattr(Spool, "write", write)
    for command in (
        b"APPEND INBOX {14+}\r\nSubject: big\r\n",
        b"APPEND INBOX {4+}\r\na: b {14+}\r\nSubject: big\r\n {4+}\r\nc: d",
    ):
        assert b"[UNAVAILABLE]" in await client.fails(command)
    monkeypatch.undo()
    assert await client.uids() == []
    assert await client.append(b"Subject: a\r\n\r\n") == 1


async def test_all_messages_are_filed_or_none(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    good, two = b"{14+}\r\nSubject: a\r\n\r\n", b"APPEND INBOX {4+}\r\na: b (\\Seen) "
    for bad in (
        b"{12+}\r\nclassified\r\n", b"{0+}\r\n", b"~{1+}\r\n\0", b"{3}x", b"(\\Odd) " + good,
        b"\"32-Jan-2026 00:00:00 +0000\" " + good, good + b"x", good + b" ", b"UTF8 " + good,
    ):  # fmt: skip
        last = (await client.say(two + bad))[-1]
        assert last.startswith((b"NO ", b"BAD ")), (bad, last)
        await client.ok("NOOP")
    assert await client.uids() == []
    last = (await client.say(two + good))[-1]
    assert last.startswith(b"OK [APPENDUID ")
    assert last.split(b"]")[0].endswith(b" 1:2")


async def test_the_date_is_kept_with_its_zone_and_recent_flags_are_not(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    head = b'APPEND INBOX ($Work \\flagged) "02-Mar-2026 12:00:00 +0800" {4+}\r\na: b'
    await client.ok(head)
    [line] = [one for one in await client.ok("FETCH 1 (INTERNALDATE FLAGS)") if b"INTERN" in one]
    assert b'INTERNALDATE " 2-Mar-2026 04:00:00 +0000"' in line
    assert b"$Work \\Flagged" in line
    await client.fails(b"APPEND INBOX (\\Recent) {4+}\r\na: b", "BAD")


async def test_no_date_makes_a_folder_unreadable(room: Mailroom) -> None:
    """One at the end of the calendar could not be shown in the office's zone, so that every client
    of the mailbox failed at `FETCH 1:* INTERNALDATE` and SEARCH SINCE."""
    object.__setattr__(room.services, "zone", ZoneInfo("Asia/Shanghai"))
    client = await room.client(select="INBOX")
    for date in ("31-Dec-9999 23:59:59 +0000", "01-Jan-0001 00:00:00 +0000"):
        await client.fails(f'APPEND INBOX "{date}" {{4+}}\r\na: b', "BAD")
    for date in ("31-Dec-9998 23:59:59 -2359", "01-Jan-1900 00:00:00 +2359"):
        await client.ok(f'APPEND INBOX "{date}" {{4+}}\r\na: b')
    await client.ok("FETCH 1:* INTERNALDATE")
    assert await client.ok("SEARCH SINCE 1-Jan-2000") == [b"* SEARCH 1"]


async def test_a_message_of_a_literal8_is_readable_for_all(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    octets = b"Content-Transfer-Encoding: binary\r\n\r\na\0b"
    await client.ok(b"APPEND INBOX ~{%d+}\r\n%s" % (len(octets), octets))
    *_, line = await client.ok("FETCH 1 (BODY.PEEK[] BINARY.PEEK[1])")
    assert line.count(b"\0") == 1, "only in BINARY"
    assert b"BINARY[1] ~{3}\r\na\0b" in line


async def test_what_was_filed_has_not_failed_because_the_news_cannot_be_read(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was NO, so the client filed the message again, and there were two."""
    client = await room.client(select="INBOX")

    async def refresh(*_: Any) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(room.services.views, "refresh", refresh)
    assert await client.append(b"Subject: a\r\n\r\n") == 1
    monkeypatch.undo()
    assert b"* 1 EXISTS" in await client.ok("NOOP")


async def test_the_messages_of_one_command_have_a_limit_together(
    make_room: Callable[..., Mailroom],
) -> None:
    """Each had its own, and a thousand of them were held in memory until the last had come."""
    client = await make_room(size=100).client(select="INBOX")
    one = b"{60+}\r\n" + b"Subject: a\r\n\r\n".ljust(60, b"x")
    assert b"[LIMIT]" in await client.fails(b"APPEND INBOX " + one + b" " + one)
    assert await client.uids() == []
    await client.ok(b"APPEND INBOX " + one)
