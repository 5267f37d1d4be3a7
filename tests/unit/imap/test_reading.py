"""Where a command ends: client and server agree, whatever is in the literals and however long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.mailroom import Mailroom

pytestmark = pytest.mark.one_database("it is about reading, before any row is touched")


async def test_a_literal_that_ends_like_the_announcement_of_another_is_not_one(
    room: Mailroom,
) -> None:
    """A password that ended with {3} made the server wait for three octets more."""
    room.add("zhang{3}")
    client = await room.connect()
    *_, last = await client.say(b"LOGIN {8+}\r\nzhang{3} {8+}\r\nzhang{3}")
    assert last.startswith(b"OK")
    await client.ok(b"SELECT INBOX")
    assert await client.ok(b"SEARCH SUBJECT {5+}\r\na{9+}") == [b"* SEARCH"]
    await client.fails(b"APPEND {4+}\r\n{3+} {1+}\r\na")
    await client.ok("NOOP")


async def test_an_overlong_line_is_answered_under_the_tag_of_its_own_command(
    room: Mailroom,
) -> None:
    client = await room.client(select="INBOX")
    client.send(b"a1 SEARCH SUBJECT {1+}\r\nx y NOOP " + b"z" * 70_000 + b"\r\n")
    assert (await client.line()).startswith(b"a1 BAD ")
    client.send(b"a2 NOOP " + b"z" * 70_000 + b"\r\n")
    assert (await client.line()).startswith(b"a2 BAD ")
    await client.ok("NOOP")


@pytest.mark.parametrize("begin", [b"SEARCH ", b"APPEND INBOX ", b"APPEND {5+}\r\nINBOX ", b"X "])
async def test_what_follows_an_overlong_line_as_a_literal_is_not_a_command(
    room: Mailroom, begin: bytes
) -> None:
    """Its octets were taken for commands, which somebody else may have written."""
    client = await room.client(select="INBOX")
    evil = b"\r\nx LOGOUT\r\n"
    command = begin + b"(" + b"z" * 70_000 + b") {%d+}\r\n" % len(evil) + evil
    await client.fails(command, "BAD")
    await client.ok("NOOP")


async def test_after_an_overlong_line_within_append_the_next_command_is_answered(
    room: Mailroom,
) -> None:
    client = await room.client()
    await client.fails(b"APPEND INBOX {1+}\r\na" + b" " * 70_000 + b"{1+}\r\na", "BAD")
    await client.fails(b"APPEND INBOX {1+}\r\na" + b"z" * 70_000, "BAD")
    await client.ok("NOOP")


async def test_many_literals_in_one_command_are_read_in_one_pass(room: Mailroom) -> None:
    """Each made the server look through all the others again: minutes of a processor."""
    client = await room.client(select="INBOX")
    many = b"(" + b" ".join([b"SUBJECT {1+}\r\na"] * 60_000) + b")"
    await client.fails(b"SEARCH " + many, "BAD")  # too many keys
    await client.ok("NOOP")


@pytest.mark.parametrize("sync", [True, False])
async def test_a_literal_that_is_too_large_leaves_client_and_server_in_step(
    make_room: Callable[..., Mailroom], sync: bool
) -> None:
    room = make_room(size=1_000, command=2_000)
    client = await room.client(select="INBOX")
    body = b"x" * 3_000
    if sync:
        assert b"[TOOBIG]" in await client.fails("APPEND INBOX {3000}")
        await client.fails("SEARCH SUBJECT {3000}", "BAD")
    else:
        assert b"[TOOBIG]" in await client.fails(b"APPEND INBOX {3000+}\r\n" + body)
        await client.fails(b"SEARCH SUBJECT {3000+}\r\n" + body, "BAD")
        await client.fails(b"APPEND INBOX {1+}\r\na {3000+}\r\n" + body + b" {1+}\r\na")
    await client.ok("NOOP")
    assert await client.uids() == []


async def test_before_the_login_a_command_is_small(room: Mailroom) -> None:
    client = await room.connect()
    await client.fails("LOGIN {9000}", "BAD")
    await client.fails(b"LOGIN {9000+}\r\n" + b"x" * 9_000 + b" {5+}\r\nabcde", "BAD")
    await client.fails(b"APPEND INBOX {5+}\r\nhello", "BAD")
    await client.ok("CAPABILITY")


@pytest.mark.parametrize("name", ["NOOP1", "NOOP-NOOP", "LOGOUT.", "CAPABILITY9"])
async def test_a_name_that_only_begins_like_a_command_is_none(room: Mailroom, name: str) -> None:
    client = await room.client()
    await client.fails(name, "BAD")
    await client.ok("NOOP")


@pytest.mark.parametrize(
    "command",
    [
        b"SEARCH SUBJECT ~{3+}\r\na\0b", b"SELECT ~{3+}\r\na\0b", b"CREATE ~{1+}\r\n\0",
        b"SETACL INBOX ~{1+}\r\n\0 lr", b"SEARCH SUBJECT {3+}\r\na\0b", b"CREATE \"a\0b\"",
        b"SUBSCRIBE ~{1+}\r\n\0", b"GETQUOTA ~{1+}\r\n\0", b"SEARCH EMAILID ~{2+}\r\nM\0",
    ],
)  # fmt: skip
async def test_nul_is_in_no_text(room: Mailroom, command: bytes) -> None:
    """PostgreSQL takes none; where it came through, the command failed inside."""
    client = await room.client(select="INBOX")
    await client.fails(command, "BAD")


async def test_an_answer_is_one_line_whatever_it_quotes(room: Mailroom) -> None:
    client = await room.client()
    await client.fails(b"SETACL INBOX wang {9+}\r\n\r\nt2 OK b", "BAD")
    for line in await client.say(b"SETACL INBOX wang {4+}\r\n\x1b\r\nq"):
        assert line.isascii()
        assert b"\x1b" not in line
    await client.ok("NOOP")
