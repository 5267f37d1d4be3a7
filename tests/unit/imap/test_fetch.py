"""FETCH: each response whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from mailboxes.imap import loading, rendering
from mailboxes.imap.loading import Loader
from mailboxes.imap.remembering import Rendered
from tests.mailroom import Mailroom


def letter(number: int, size: int = 20) -> bytes:
    body = (f"{number} " * size)[:size]
    return f"Subject: letter {number}\r\nX-Pad: {'p' * 50}\r\n\r\n{body}\r\n".encode()


def shape(line: bytes) -> bytes:
    """A FETCH response without its literals."""
    return re.sub(rb"\{(\d+)\}\r\n", b"", line)


async def test_answers_that_are_forgotten_while_others_are_read_are_still_given(
    room: Mailroom,
) -> None:
    """With a full memory a response broke off in the middle, and the tagged answer with it."""
    object.__setattr__(room.services, "rendered", Rendered(capacity=3_000))
    client = await room.client(select="INBOX")
    for number in range(12):
        await client.append(letter(number))
    await client.ok("FETCH 1:5 BODY.PEEK[HEADER]")
    found = await client.ok("FETCH 1:* BODY.PEEK[HEADER]")
    assert [line.split(b" ")[1] for line in found] == [b"%d" % n for n in range(1, 13)]
    assert all(b"Subject: letter" in line and line.endswith(b")") for line in found)


async def test_what_a_client_asks_with_takes_no_memory(room: Mailroom) -> None:
    """Only answers were counted, so names of fields that there are not filled the memory."""
    remembered = Rendered(capacity=10_000)
    object.__setattr__(room.services, "rendered", remembered)
    client = await room.client(select="INBOX")
    await client.append(letter(1))
    for number in range(60):
        for size in (900, 60_000):
            name = f"X-{number}-{'x' * size}"
            await client.ok(f"FETCH 1 BODY.PEEK[HEADER.FIELDS ({name})]")
    asked = sum(len(what) for _, what in remembered._kept)
    assert asked < 10_000


async def test_an_object_that_is_none_is_not_looked_for(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`M` alone was the beginning of every object's id: the digests of all contents of the office
    were read for it."""
    client = await room.client(select="INBOX")
    await client.append(letter(1))
    [line] = await client.ok("FETCH 1 EMAILID")
    name = line.partition(b"(M")[2].partition(b")")[0].decode()
    assert await client.ok(f"SEARCH EMAILID M{name}") == [b"* SEARCH 1"]
    compared: list[str] = []
    monkeypatch.setattr(loading, "object_id_of", lambda digest: compared.append(digest) or "")
    for wrong in ("M", f"M{name[:-1]}", f"M{name[:-1]}G", f"{name}M"):
        assert await client.ok(f"SEARCH EMAILID {wrong}") == [b"* SEARCH"]
    assert not compared


async def test_what_was_swept_is_never_shown_as_another_message(room: Mailroom) -> None:
    """The newest content was swept, SQLite gave its id again, and what was remembered of it, header
    and body, was shown to whoever had the new one."""
    wang, li = await room.client("wang", "INBOX"), await room.client("li", "INBOX")
    await wang.append(letter(1))
    await wang.ok("FETCH 1 (ENVELOPE BODY.PEEK[])")
    await wang.ok("STORE 1 +FLAGS (\\Deleted)")
    await wang.ok("EXPUNGE")
    room.now(lambda c: room.store.sweep(c, [*room.store.unshown(c), 1]))
    await li.append(letter(2))
    [fetched] = await li.ok("FETCH 1 (ENVELOPE BODY.PEEK[])")
    assert b"letter 1" not in fetched
    assert fetched.count(b"letter 2") == 2
    swept = room.now(lambda c: room.store.sweep(c, room.store.unshown(c)))
    assert swept == 1  # it is not the newest any more


async def test_a_message_that_goes_while_its_body_is_sent_is_sent_whole(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its flags were looked up behind the body, when there were none any more."""
    monkeypatch.setattr(rendering, "_LONG", 1_000)
    monkeypatch.setattr(rendering, "_PIECE", 500)
    first = await room.client(select="INBOX")
    second = await room.client(select="INBOX")
    octets = letter(1, 600_000)
    await first.append(octets)
    await first.ok("STORE 1 +FLAGS (\\Deleted)")
    first.pipe.deaf = True
    first.send(b"f1 FETCH 1 (BODY.PEEK[] FLAGS MODSEQ UID)\r\n")
    await first.hears(b"BODY[] {")
    await second.ok("NOOP")
    await second.ok("EXPUNGE")
    first.pipe.listen()
    lines = await first.until("f1")
    [fetched] = [line for line in lines if b"FETCH (BODY" in line]
    assert octets in fetched
    assert fetched.endswith(b" UID 1)")
    assert b"\\Deleted" in fetched
    assert lines[-1].startswith(b"f1 OK")
    assert await first.ok("NOOP") == [b"* 1 EXPUNGE"]


async def test_a_body_that_cannot_be_read_to_its_end_ends_the_connection(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tagged NO would be taken for a part of the message."""
    monkeypatch.setattr(rendering, "_LONG", 1_000)
    client = await room.client(select="INBOX")
    await client.append(letter(1, 200_000))
    real = rendering._octets

    def broken(*arguments: Any) -> Any:
        stream = real(*arguments)
        assert isinstance(stream, rendering.Stream)

        def pieces() -> Any:
            yield next(stream.pieces)
            raise OSError("the disk has failed")

        return rendering.Stream(stream.start, stream.length, pieces())

    monkeypatch.setattr(rendering, "_octets", broken)
    with capture_logs() as lines:
        client.send(b"f1 FETCH 1 BODY.PEEK[]\r\n")
        while not client.pipe.closed:
            await client.pipe.news.wait()
            client.pipe.news.clear()
    heard = bytes(client.pipe.heard[client.at :])
    assert heard.startswith(b"* 1 FETCH (BODY[] {")
    assert b"f1 " not in heard
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "message-unreadable"
    ]


async def test_a_large_message_in_a_row_is_taken_in_steps(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held whole for each client that took it slowly."""
    client = await room.client(select="INBOX")
    octets = letter(1, 3_000_000)
    await client.append(octets)
    read: list[int] = []
    real = Loader.cut

    def cut(self: Loader, conn: Any, content_id: int, start: int, length: int) -> bytes:
        read.append(length)
        return real(self, conn, content_id, start, length)

    monkeypatch.setattr(Loader, "cut", cut)
    [line] = await client.ok("FETCH 1 (BODY.PEEK[] BODY.PEEK[]<1000000.1500000>)")
    assert octets + b" BODY[]<1000000> " in line
    assert line.endswith(octets[1_000_000:2_500_000] + b")")
    assert max(read) == 1_048_576
    assert sum(read) == len(octets) + 1_500_000


async def test_what_was_handed_over_is_recorded_after_the_database_was_away(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was remembered as recorded before it was."""
    client = await room.client(select="INBOX")
    await client.append(letter(1))
    original = room.store.hand_over
    calls: list[list[int]] = []

    def hand_over(conn: Any, folder: int, ids: list[int], **more: Any) -> None:
        calls.append(ids)
        if len(calls) == 1:
            raise RuntimeError("the disk is full")
        original(conn, folder, ids, **more)

    monkeypatch.setattr(room.store, "hand_over", hand_over)
    await client.fails("FETCH 1 BODY.PEEK[]")
    await client.ok("FETCH 1 BODY.PEEK[]")
    await client.ok("FETCH 1 BODY.PEEK[]")
    assert len(calls) == 2


CUTS = (
    "BODY.PEEK[HEADER]", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "BODY.PEEK[TEXT]<5.10>",
    "BODY.PEEK[1]<100000.7>", "RFC822.HEADER", "BINARY.SIZE[1]", "BODY.PEEK[]<0.100>",
    "BODY.PEEK[]<199990.9999>", "BODY.PEEK[]<300000.10>", "RFC822",
)  # fmt: skip


async def test_large_messages_in_rows_are_cut_like_small_ones(room: Mailroom) -> None:
    """Those are read by octets, not as a whole."""
    client = await room.client(select="INBOX")
    octets = letter(7, 200_000)
    await client.append(octets)
    body_at = octets.index(b"\r\n\r\n") + 4
    for item in CUTS:
        [line] = await client.ok(f"FETCH 1 {item}")
        if item.startswith("BINARY.SIZE"):
            assert line == b"* 1 FETCH (BINARY.SIZE[1] %d)" % len(octets[body_at:])
            continue
        name, _, cut = item.partition("<")
        wanted = {
            "BODY.PEEK[HEADER]": octets[:body_at], "RFC822.HEADER": octets[:body_at],
            "BODY.PEEK[HEADER.FIELDS (SUBJECT)]": b"Subject: letter 7\r\n\r\n",
            "BODY.PEEK[TEXT]": octets[body_at:], "BODY.PEEK[1]": octets[body_at:],
        }.get(name, octets)  # fmt: skip
        if cut:
            start, length = map(int, cut.rstrip(">").split("."))
            wanted = wanted[start : start + length]
        assert b"{%d}\r\n%s" % (len(wanted), wanted) in line, item


async def test_a_fetch_takes_no_more_attributes_than_any_client_needs(room: Mailroom) -> None:
    """Thousands of overlapping pieces of one message would be held together."""
    client = await room.client(select="INBOX")
    await client.append(letter(1))
    pieces = " ".join(f"BODY.PEEK[]<{n}.9>" for n in range(150))
    [line] = await client.ok(f"FETCH 1 ({pieces})")
    assert line.count(b"BODY[]<") == 150
    await client.fails(f"FETCH 1 ({pieces} {pieces})", "BAD")
    fields = " ".join(f"X-{n}" for n in range(300))
    await client.fails(f"FETCH 1 BODY[HEADER.FIELDS ({fields})]", "BAD")


async def test_vanished_names_those_only_that_were_asked_about(room: Mailroom) -> None:
    """RFC 7162, 3.2.6."""
    client = await room.client()
    await client.ok("ENABLE QRESYNC")
    await client.ok("SELECT INBOX")
    for number in range(6):
        await client.append(letter(number))
    await client.ok("UID STORE 2,5 +FLAGS (\\Deleted)")
    assert b"* VANISHED 2,5" in await client.ok("EXPUNGE")
    found = await client.ok("UID FETCH 1:3 (UID) (CHANGEDSINCE 1 VANISHED)")
    assert found[0] == b"* VANISHED (EARLIER) 2"
    found = await client.ok("UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)")
    assert found[0] == b"* VANISHED (EARLIER) 2,5"
    assert [line.split(b" ")[4] for line in found[1:]] == [b"1", b"3", b"4", b"6"]


async def test_peeking_leaves_unread_and_reading_does_not(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    await client.append(letter(1))
    for item in ("BODY.PEEK[]", "BODYSTRUCTURE", "RFC822.HEADER", "BINARY.PEEK[1]", "ENVELOPE"):
        assert not any(b"\\Seen" in line for line in await client.ok(f"FETCH 1 ({item} FLAGS)"))
    [line] = await client.ok("FETCH 1 BODY[TEXT]")
    assert b"\\Seen" in line


async def test_binary_decodes_parts_and_says_what_it_cannot(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    octets = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AGEAYg==\r\n--b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n--b\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4=BD=A0\r\n--b--\r\n"
    )
    await client.append(octets)
    assert await client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[3])") == [
        b"* 1 FETCH (BINARY[1] ~{4}\r\n\0a\0b BINARY.SIZE[3] 3)"
    ]
    assert b"{3}\r\n\xe4\xbd\xa0)" in (await client.ok("FETCH 1 BINARY.PEEK[3]<0.9>"))[0]
    assert b"[UNKNOWN-CTE]" in await client.fails("FETCH 1 BINARY.PEEK[2]")
    assert (await client.ok("FETCH 1 BINARY.PEEK[4]"))[0].endswith(b"BINARY[4] NIL)")


async def test_a_slow_reader_holds_up_nobody_else(
    make_room: Callable[..., Mailroom],
) -> None:
    room = make_room(write_seconds=600.0)
    slow, quick = await room.client(select="INBOX"), await room.client(select="INBOX")
    octets = letter(1, 3_000_000)
    await slow.append(octets)
    slow.pipe.deaf = True
    before = len(slow.pipe.heard)
    slow.send(b"s FETCH 1 BODY.PEEK[]\r\n")
    for _ in range(30):
        await quick.ok("NOOP")
        assert shape((await quick.ok("FETCH 1 (FLAGS UID)"))[0]).startswith(b"* 1 FETCH")
    assert len(slow.pipe.heard) - before < 1_000_000, "what nobody takes is not sent"
    slow.pipe.listen()
    lines = await slow.until("s")
    assert octets in lines[0] or octets in lines[1]
