"""The folders as clients make, name, hide and remove them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gateway.exchange.mailroom import tables
from mailboxes.renewal import renew_uidvalidity
from tests.mailroom import NOW, Client, Mailroom

LETTER = b"APPEND %b {14+}\r\nSubject: a\r\n\r\n"


async def names(client: Client, command: str = 'LIST "" *') -> list[str]:
    found = []
    for line in await client.ok(command):
        match = re.search(rb'"/" (?:"(.*)"|(\S+))(?: \(.*\))?\Z', line)
        assert match is not None, line
        found.append((match[1] or match[2]).decode())
    return found


async def attributes(client: Client, command: str) -> dict[str, set[str]]:
    found = {}
    for line in await client.ok(command):
        match = re.search(rb'\((.*?)\) "/" "?([^" ]+)"?', line)
        assert match is not None, line
        found[match[2].decode()] = set(match[1].decode().split())
    return found


NAMES = (
    "文件柜", "文件柜/水务/2026年", "a b", "a%b", "a*b", 'q"uote', "back\\slash", "amp&ersand",
    "(paren)", "{3}", "tilde~", "emoji 📮", "العربية", "..", ".", "a..b", "...", "NIL", "&", "&-",
    "INBOX/sub", "L" * 500, "/".join("abcdefghijklmnopqrst"), "邮" * 500, "é", "e\u0301",
)  # fmt: skip
NO_NAMES = (
    b'""', b'"/"', b'"a//b"', b'"/a"', b'" a"', b'"a /b"', b'"a "', b'"\x01"', b'"a\tb"',
    b"{3+}\r\na\rb", b"{3+}\r\na\nb", b'"\x7f1"', "\u202eabc".encode(), "a\u200bb".encode(),
    b"L" * 501, b"/".join([b"a"] * 21), b'"&2AA-"', "\u2028".encode(), b'"\xff\xfe"',
)  # fmt: skip


def quoted(octets: bytes) -> bytes:
    return octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def shown(lines: list[bytes]) -> set[bytes]:
    """The names in LIST, as they are written there."""
    return {line.rpartition(b'"/" ')[2] for line in lines if b"\\Noselect" not in line}


async def test_names_of_any_kind_are_kept_as_they_were_given(room: Mailroom) -> None:
    client, plain = await room.client(), await room.client()  # plain: in modified UTF-7
    await client.ok("ENABLE UTF8=ACCEPT")
    for name in NAMES:
        octets = name.encode()
        literal = b"{%d+}\r\n%s" % (len(octets), octets)
        before = shown(await client.ok('LIST "" *')), shown(await plain.ok('LIST "" *'))
        await client.ok(b"CREATE " + literal)
        made = shown(await client.ok('LIST "" *')) - before[0]
        coded = shown(await plain.ok('LIST "" *')) - before[1]
        assert {quoted(octets), b'"%s"' % quoted(octets)} & made, name
        [one] = [one for one in coded if len(coded) == 1 or one.count(b"/") == name.count("/")]
        assert one.isascii()
        await plain.ok(b"APPEND " + one + b" {14+}\r\nSubject: a\r\n\r\n")
        assert b"(MESSAGES 1)" in (await client.ok(b"STATUS " + literal + b" (MESSAGES)"))[0]
        assert b"* 1 EXISTS" in await client.ok(b'SELECT "%s"' % quoted(octets))
        await plain.ok(b"DELETE " + one)
        assert (await client.say(b"SELECT " + literal))[-1].startswith(b"NO [NONEXISTENT]"), name


async def test_what_nobody_could_read_or_tell_apart_is_no_name(room: Mailroom) -> None:
    client = await room.client()
    before = await names(client)
    for name in NO_NAMES:
        for command in (b"CREATE ", b"SELECT ", b"DELETE ", b"SUBSCRIBE ", b"RENAME Sent "):
            assert (await client.say(command + name))[-1][:3] in (b"NO ", b"BAD"), name
    assert await names(client) == before


async def test_renaming_takes_along_what_is_below(room: Mailroom) -> None:
    client = await room.client()
    for name in ("甲", "甲/乙", "甲/乙/丙", "甲丁"):
        await client.ok(f'CREATE "{name}"')
    await client.ok(LETTER % '"甲/乙"'.encode())
    before = (await client.ok('STATUS "甲/乙" (UIDVALIDITY MAILBOXID MESSAGES)'))[0]
    await client.ok('RENAME "甲" "新/甲"')
    await client.ok("ENABLE UTF8=ACCEPT")
    assert await names(client) == [
        "INBOX", "Sent", "新", "新/甲", "新/甲/乙", "新/甲/乙/丙", "甲丁",
    ]  # fmt: skip
    after = (await client.ok('STATUS "新/甲/乙" (UIDVALIDITY MAILBOXID MESSAGES)'))[0]
    assert after.partition(b" (")[2] == before.partition(b" (")[2]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("A", "B", "ALREADYEXISTS"),  # B/x is there, though B is not
        ("A", "A/y", "CANNOT"), ("A", "a/" * 18 + "b", "CANNOT"), ("A", "L" * 499, "CANNOT"),
        ("A", "Sent", "ALREADYEXISTS"), ("A", "A", "ALREADYEXISTS"), ("Z", "Y", "NONEXISTENT"),
    ],
)  # fmt: skip
async def test_renaming_neither_covers_another_folder_nor_hides_one(
    room: Mailroom, old: str, new: str, code: str
) -> None:
    """The first failed inside; a child whose name became too long was never reached again."""
    client = await room.client()
    for name in ("A", "A/x", "A/x/z", "B", "B/x"):
        await client.ok(f"CREATE {name}")
    await client.ok("DELETE B")
    before = await names(client)
    assert f"[{code}]".encode() in await client.fails(f"RENAME {old} {new}")
    assert await names(client) == before


async def test_inbox_gives_its_messages_to_its_new_name_and_stays(room: Mailroom) -> None:
    client = await room.client()
    await client.ok(LETTER % b"INBOX")
    await client.ok("CREATE INBOX/sub")
    await client.ok("RENAME INBOX Old")
    assert await client.ok("STATUS INBOX (MESSAGES UIDNEXT)") == [
        b"* STATUS INBOX (MESSAGES 0 UIDNEXT 2)"
    ]
    assert await client.ok("STATUS Old (MESSAGES)") == [b"* STATUS Old (MESSAGES 1)"]
    assert await names(client) == ["INBOX", "INBOX/sub", "Old", "Sent"]
    assert b"[CANNOT]" in await client.fails("DELETE inbox")


async def test_a_folder_is_not_renamed_into_one_whose_messages_are_signed_for(
    room: Mailroom,
) -> None:
    """What was in it looked signed for, and nobody had signed."""
    client = await room.client()
    await client.ok("CREATE Signed/Li")
    await client.ok("CREATE Work")
    assert b"[CANNOT]" in await client.fails("RENAME Work Signed/Work")
    assert b"[CANNOT]" in await client.fails("RENAME INBOX Signed/Inbox")
    await client.ok("RENAME Signed/Li Signed/Lina")
    await client.ok("RENAME Signed/Lina Lina")


async def test_a_folder_with_the_name_of_another_has_its_own_uidvalidity(room: Mailroom) -> None:
    """Folders that were made at once had the same one, so of two that changed their names the
    client showed the mails of the one as those of the other."""
    client = await room.client()
    await client.ok("CREATE a/b")
    seen = set()
    for name in ("INBOX", "Sent", "a", "a/b"):
        [line] = await client.ok(f"STATUS {name} (UIDVALIDITY)")
        seen.add(line.split()[-1])
    assert len(seen) == 4
    await client.ok("CREATE c")
    [line] = await client.ok("STATUS c (UIDVALIDITY)")
    assert line.split()[-1] not in seen


async def test_a_restored_mailbox_has_uidvalidities_that_were_never_given(room: Mailroom) -> None:
    client = await room.client()
    await client.ok("CREATE a/b")
    before = [node.uidvalidity for node in room.now(lambda c: room.tree.nodes(c, "person:wang"))]
    for _ in range(2):
        room.now(lambda c: renew_uidvalidity(c, tables, NOW))
        nodes = room.now(lambda c: room.tree.nodes(c, "person:wang"))
        assert min(node.uidvalidity for node in nodes) > max(before)
        before += [node.uidvalidity for node in nodes]
    room.now(lambda c: room.tree.create(c, "person:wang", "c", NOW))
    assert room.now(lambda c: room.tree.node(c, "person:wang", "c")).uidvalidity > max(before)
    assert len(before) == len(set(before))


async def test_a_folder_made_again_is_another_one(room: Mailroom) -> None:
    client = await room.client()
    seen = set()
    for _ in range(4):
        await client.ok("CREATE Again")
        await client.ok(LETTER % b"Again")
        [line] = await client.ok("STATUS Again (UIDVALIDITY MAILBOXID UIDNEXT)")
        assert line.endswith(b"UIDNEXT 2)")
        seen.add(line)
        await client.ok("DELETE Again")
    assert len(seen) == 4


async def test_a_folder_that_is_removed_while_selected_is_closed(
    make_room: Callable[..., Mailroom],
) -> None:
    room = make_room()
    first, second = await room.client(), await room.client()
    await first.ok("CREATE Gone")
    await first.ok(LETTER % b"Gone")
    await second.ok("SELECT Gone")
    await first.ok("DELETE Gone")
    assert any(line.startswith(b"* OK [CLOSED]") for line in await second.ok("NOOP"))
    await second.fails("FETCH 1 FLAGS", "BAD")
    await first.ok("CREATE Gone")
    assert b"* 0 EXISTS" in await second.ok("SELECT Gone")


async def test_what_is_below_a_removed_folder_stays(room: Mailroom) -> None:
    client = await room.client()
    await client.ok("CREATE A/B")
    await client.ok("DELETE A")
    assert (await attributes(client, 'LIST "" %'))["A"] == {"\\Noselect", "\\HasChildren"}
    found = await attributes(client, 'LIST "" (%) RETURN (CHILDREN)')
    assert found["A"] == {"\\NonExistent", "\\HasChildren"}
    await client.fails("SELECT A")
    await client.ok("SELECT A/B")
    await client.ok("CREATE A")


async def test_subscriptions(room: Mailroom) -> None:
    client = await room.client()
    await client.ok("CREATE A/B")
    assert "A/B" in await names(client, 'LSUB "" *')
    await client.ok("UNSUBSCRIBE A/B")
    assert "A/B" not in await names(client, 'LSUB "" *')
    await client.ok("SUBSCRIBE A/B")
    found = await attributes(client, 'LIST (SUBSCRIBED) "" *')
    assert "\\Subscribed" in found["A/B"]
    assert "\\Subscribed" not in str((await attributes(client, 'LIST "" A/B'))["A/B"])
    assert "\\Subscribed" in (await attributes(client, 'LIST "" A/B RETURN (SUBSCRIBED)'))["A/B"]
    lines = await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
    assert any(b" A (" in line and b"CHILDINFO" in line for line in lines)
    await client.ok("DELETE A/B")
    assert "A/B" in await names(client, 'LSUB "" *'), "RFC 3501, 6.3.6: a name stays subscribed"
    found = await attributes(client, 'LIST (SUBSCRIBED) "" *')
    assert found["A/B"] >= {"\\NonExistent", "\\Subscribed"}
    await client.fails("SUBSCRIBE Nowhere")
    await client.ok("UNSUBSCRIBE Nowhere")
    assert (await attributes(client, 'LSUB "" %'))["A"] == {"\\Noselect"}


async def test_special_uses(room: Mailroom) -> None:
    client = await room.client()
    await client.ok("CREATE Bin (USE (\\Trash))")
    assert "\\Trash" in (await attributes(client, 'LIST "" Bin RETURN (SPECIAL-USE)'))["Bin"]
    assert set(await attributes(client, 'LIST (SPECIAL-USE) "" *')) == {"Bin"}
    assert b"[USEATTR]" in await client.fails("CREATE Bin2 (USE (\\Trash))")
    assert b"[USEATTR]" in await client.fails("CREATE Bin2 (USE (\\Odd))")
    assert "Bin2" not in await names(client)
    await client.ok('RENAME Bin "回收"')
    await client.ok("CREATE Bin")
    assert set(await attributes(client, 'LIST (SPECIAL-USE) "" *')) == {"&Vt5lNg-"}


async def test_status_of_all_folders_at_once(room: Mailroom) -> None:
    client = await room.client(select="INBOX")
    await client.append(b"Subject: a\r\n\r\nabc\r\n")
    await client.append(b"Subject: b\r\n\r\nabc\r\n", flags="\\Seen \\Deleted")
    lines = await client.ok('LIST "" * RETURN (STATUS (MESSAGES UNSEEN DELETED SIZE UIDNEXT))')
    assert b"* STATUS INBOX (MESSAGES 2 UNSEEN 1 DELETED 1 SIZE 38 UIDNEXT 3)" in lines
    assert b"* STATUS Sent (MESSAGES 0 UNSEEN 0 DELETED 0 SIZE 0 UIDNEXT 1)" in lines


async def test_shared_mailboxes_have_a_place_of_their_own(room: Mailroom) -> None:
    from mailboxes.imap.account import ALL_RIGHTS, Root

    room.mailbox("unit:water", "Cases")
    room.add(
        "wang",
        Root("person:wang"),
        Root("unit:water", "单位信箱/水务局/", ALL_RIGHTS),
        Root("unit:school", "单位信箱/学校/", "lr"),
        shared="单位信箱/",
    )
    client = await room.client()
    await client.ok("ENABLE UTF8=ACCEPT")
    assert await client.ok("NAMESPACE") == [
        '* NAMESPACE (("" "/")) NIL (("单位信箱/" "/"))'.encode()
    ]
    assert "单位信箱/水务局/Cases" in await names(client)
    await client.ok('SELECT "单位信箱/水务局/INBOX"')
    await client.ok('CREATE "单位信箱/水务局/新"')
    await client.fails('CREATE "单位信箱/学校/新"')
    for command in (
        'CREATE "单位信箱/别处/新"', 'CREATE "单位信箱/水务局"', 'CREATE "单位信箱"',
        'DELETE "单位信箱"', 'DELETE "单位信箱/水务局"', 'SELECT "单位信箱"',
        'SELECT "单位信箱/水务局"', 'RENAME "单位信箱/水务局/新" "新"', 'SUBSCRIBE "单位信箱"',
        'RENAME Sent "单位信箱/水务局/x"', 'RENAME "单位信箱/水务局" x',
    ):  # fmt: skip
        await client.fails(command)
    await client.ok('RENAME "单位信箱/水务局/新" "单位信箱/水务局/旧"')
    await client.ok('DELETE "单位信箱/水务局/旧"')
