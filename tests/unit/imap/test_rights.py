"""What an account may do in a folder, and that it may not do more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mailboxes.imap.account import ALL_RIGHTS, Root
from mailboxes.imap.ports import Unavailable
from tests.mailroom import Client, Mailroom

pytestmark = pytest.mark.one_database("rights are a matter of rows that both keep alike")

UNIT = "unit:water"
WORKING = ALL_RIGHTS.replace("a", "")


async def shared(
    room: Mailroom, rights: str, login: str = "li", roles: tuple[str, ...] = ()
) -> Client:
    """A client with a mailbox of its own, and those rights in that of a unit."""
    own = Root(f"person:{login}", "", ALL_RIGHTS)
    room.add(login, own, Root(UNIT, "Units/Water/", rights, frozenset(roles)))
    return await room.client(login)


@pytest.fixture
async def chief(room: Mailroom) -> Client:
    """Who administers the unit's mailbox, with three messages in it."""
    room.add("chief", Root(UNIT, "", ALL_RIGHTS))
    client = await room.client("chief", select="INBOX")
    for number in range(3):
        await client.append(f"Subject: {number}\r\n\r\n\r\n".encode())
    await client.ok("STORE 1 +FLAGS (\\Flagged \\Deleted $Work)")
    return client


async def flags(chief: Client) -> list[bytes]:
    await chief.ok("NOOP")
    return await chief.ok("FETCH 1:* (FLAGS)")


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 FLAGS ()", "STORE 1 FLAGS (\\Flagged)", "STORE 1 +FLAGS (\\Deleted)",
        "STORE 1 -FLAGS ($Work)", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX", "UID MOVE 1 INBOX",
        "COPY 1 Units/Water/INBOX", "APPEND Units/Water/INBOX {4+}\r\na: b",
        "CREATE Units/Water/New", "DELETE Units/Water/Sent", "RENAME Units/Water/Sent X",
        "RENAME Units/Water/Sent Units/Water/X", "SETACL Units/Water/INBOX li lrswipkxtea",
        "DELETEACL Units/Water/INBOX li", "GETACL Units/Water/INBOX",
    ],
)  # fmt: skip
async def test_readers_change_nothing(room: Mailroom, chief: Client, command: str) -> None:
    """STORE FLAGS () took all flags away that one has no right to."""
    reader = await shared(room, "lr")
    await reader.ok("SELECT Units/Water/INBOX")
    before = await flags(chief), await chief.ok('LIST "" *')
    assert (await reader.say(command))[-1].startswith(b"NO ")
    assert (await flags(chief), await chief.ok('LIST "" *')) == before


@pytest.mark.parametrize("rights", ["lrx", "lrxk", "lrxte"])
async def test_who_empties_an_inbox_needs_all_rights_that_takes(
    room: Mailroom, chief: Client, rights: str
) -> None:
    """The right to rename INBOX was enough to make a folder and to take all mail there."""
    client = await shared(room, rights)
    await client.fails("RENAME Units/Water/INBOX Units/Water/Mine")
    assert len(await flags(chief)) == 3
    assert not any(b"Mine" in line for line in await chief.ok('LIST "" *'))


async def test_new_folders_have_the_rights_of_the_one_above_them(
    room: Mailroom, chief: Client
) -> None:
    """Those that were made on the way to one had none, nor what was made in them later."""
    client = await shared(room, WORKING)
    await chief.ok("SETACL Sent li lr")
    for command in ("CREATE Sent/a/b", "CREATE Sent/a/c", "CREATE X", "RENAME X Sent/d/e"):
        await chief.ok(command)
    for name in ("a", "a/b", "a/c", "d"):
        found = await client.ok(f"MYRIGHTS Units/Water/Sent/{name}")
        assert found == [b"* MYRIGHTS Units/Water/Sent/%s lr" % name.encode()]


async def test_flags_that_may_not_be_changed_stay_when_others_are_replaced(
    room: Mailroom, chief: Client
) -> None:
    reader = await shared(room, "lrs")
    await reader.ok("SELECT Units/Water/INBOX")
    before = await flags(chief)
    await reader.ok("STORE 1 FLAGS (\\Seen)")
    await reader.ok("STORE 1 FLAGS ()")
    await reader.ok("STORE 1:3 FLAGS (\\Seen \\Flagged)")
    assert await flags(chief) == before
    writer = await shared(room, "lrw", "zhao")
    await writer.ok("SELECT Units/Water/INBOX")
    await writer.ok("STORE 1 FLAGS (\\Answered \\Deleted)")
    first, *_ = await flags(chief)
    assert b"\\Answered \\Deleted" in first
    assert b"\\Flagged" not in first
    assert b"$Work" not in first


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
async def test_flags_that_may_not_be_set_do_not_come_with_a_copy(
    room: Mailroom, chief: Client, command: str
) -> None:
    """Whoever could put a message there could mark it \\Deleted before."""
    client = await shared(room, "lrsi")
    await client.append(b"Subject: a\r\n\r\n", flags="\\Deleted \\Flagged $Work \\Seen")
    await client.ok("SELECT INBOX")
    await client.ok(f"{command} 1 Units/Water/INBOX")
    await client.ok("SELECT Units/Water/INBOX")
    [line] = await client.ok("FETCH 4 FLAGS")
    assert b"\\Seen" in line
    assert not any(flag in line for flag in (b"\\Deleted", b"\\Flagged", b"$Work"))


@pytest.mark.parametrize("closed", [True, False])
async def test_who_may_not_file_any_more_when_the_message_has_come_files_nothing(
    room: Mailroom, chief: Client, closed: bool
) -> None:
    """The rights were those of when the client began, and it may take as long as it likes."""
    client = await shared(room, "lri")
    client.send(b"t9 APPEND Units/Water/INBOX {4}\r\n")
    assert await client.line() == b"+ OK"
    client.session._renew_at = 0  # a second later
    if closed:
        del room.people.known["li"]
    else:
        await chief.ok("SETACL INBOX li lr")
    client.send(b"a: b\r\n")
    assert (await client.until("t9"))[-1].startswith(b"t9 NO [")
    assert len(await flags(chief)) == 3


async def test_closing_removes_nothing_for_those_who_may_not(room: Mailroom, chief: Client) -> None:
    reader = await shared(room, "lrswt")
    await reader.ok("SELECT Units/Water/INBOX")
    await reader.ok("CLOSE")
    assert len(await flags(chief)) == 3


async def test_each_account_has_read_what_it_has_read(room: Mailroom, chief: Client) -> None:
    leader = await shared(room, "lrs")
    await leader.ok("SELECT Units/Water/INBOX")
    await leader.ok("STORE 2 +FLAGS (\\Seen)")
    assert b"\\Seen" in (await leader.ok("FETCH 2 FLAGS"))[0]
    assert not any(b"\\Seen" in line for line in await flags(chief))
    assert b"* STATUS Units/Water/INBOX (UNSEEN 2)" in await leader.ok(
        "STATUS Units/Water/INBOX (UNSEEN)"
    )
    assert b"* STATUS INBOX (UNSEEN 3)" in await chief.ok("STATUS INBOX (UNSEEN)")
    assert await leader.ok("SEARCH UNSEEN") == [b"* SEARCH 1 3"]
    assert await chief.ok("SEARCH UNSEEN") == [b"* SEARCH 1 2 3"]


async def test_rights_given_by_hand_hold_and_are_taken_back(room: Mailroom, chief: Client) -> None:
    reader = await shared(room, "lr")
    await chief.ok("SETACL INBOX li lrswte")
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lrswte"]
    assert b"li lrswte" in (await chief.ok("GETACL INBOX"))[0]
    await reader.ok("SELECT Units/Water/INBOX")
    await reader.ok("EXPUNGE")
    assert len(await flags(chief)) == 2
    await chief.ok("SETACL INBOX li -te")
    assert b"li lrsw" in (await chief.ok("GETACL INBOX"))[0]
    await chief.ok("DELETEACL INBOX li")
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lr"]
    await chief.ok('SETACL INBOX li ""')
    await reader.fails("SELECT Units/Water/INBOX")
    assert not any(b"Water/INBOX" in line for line in await reader.ok('LIST "" *'))
    assert b"[NONEXISTENT]" in await reader.fails("STATUS Units/Water/INBOX (MESSAGES)")


async def test_rights_are_added_to_what_an_account_has_and_taken_from_that(
    room: Mailroom, chief: Client
) -> None:
    """They were added to nothing, so that +t took the rest away."""
    reader = await shared(room, "lrs")
    await chief.ok("SETACL INBOX li +t")
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lrst"]
    await chief.ok("DELETEACL INBOX li")
    await chief.ok("SETACL INBOX li -s")
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lr"]
    await chief.ok("DELETEACL INBOX li")
    assert b"[CANNOT]" in await chief.fails("SETACL INBOX anyone -w")
    await chief.ok("SETACL INBOX anyone lrw")
    await chief.ok("SETACL INBOX li +i")
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lrwi"]
    await chief.ok("SETACL INBOX anyone -w")
    assert b"anyone lr" in (await chief.ok("GETACL INBOX"))[0]


async def test_to_administer_is_not_given_by_hand(room: Mailroom, chief: Client) -> None:
    clerk = await shared(room, WORKING)
    await chief.ok("SETACL INBOX li lrswipkxtea")
    assert await clerk.ok("MYRIGHTS Units/Water/INBOX") == [
        b"* MYRIGHTS Units/Water/INBOX " + WORKING.encode()
    ]
    await clerk.fails("SETACL Units/Water/INBOX li lrswipkxtea")


async def test_nobody_shuts_themselves_out(room: Mailroom) -> None:
    client = await room.client()
    await client.ok('SETACL INBOX wang ""')
    assert await client.ok("MYRIGHTS INBOX") == [b"* MYRIGHTS INBOX la"]
    await client.ok("DELETEACL INBOX wang")
    await client.ok("SELECT INBOX")


async def test_a_role_counts_in_its_own_unit_only(room: Mailroom, chief: Client) -> None:
    """A clerk of one unit who reads another's mailbox had there what its clerks are given."""
    reader = await shared(room, "lr", roles=("$reader",))
    clerk = await shared(room, WORKING, "zhao", roles=("$clerk",))
    room.people.known["li"] = replace(
        room.people.known["li"],
        roots=(
            Root("person:li", "", ALL_RIGHTS, frozenset({"$clerk"})),
            *room.people.known["li"].roots[1:],
        ),
    )
    await chief.ok("SETACL INBOX $clerk lrswi")
    assert await clerk.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lrswi"]
    assert await reader.ok("MYRIGHTS Units/Water/INBOX") == [b"* MYRIGHTS Units/Water/INBOX lr"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles are looked at before each command, not once a second."""
    monkeypatch.setattr("mailboxes.imap.session._RENEW_SECONDS", 0.0)


async def test_a_role_that_is_taken_away_is_gone_in_the_selected_folder_too(
    room: Mailroom, chief: Client, at_once: None
) -> None:
    """The rights were those at the time of SELECT, for as long as the session lasted."""
    clerk = await shared(room, WORKING)
    await clerk.ok("SELECT Units/Water/INBOX")
    await chief.ok("SETACL INBOX li lr")
    await clerk.fails("STORE 2 +FLAGS (\\Flagged)")
    await clerk.fails("EXPUNGE")
    account = room.people.known["li"]
    room.people.known["li"] = replace(account, roots=account.roots[:1], shared="")
    *said, last = await clerk.say("FETCH 1:* (FLAGS)")
    assert last.startswith(b"BAD ")
    assert [line for line in said if b"FETCH" in line] == []
    assert any(line.startswith(b"* OK [CLOSED]") for line in said)
    await clerk.fails("SELECT Units/Water/INBOX")
    await clerk.ok("SELECT INBOX")


async def test_who_idles_is_told_nothing_of_a_folder_that_is_no_longer_theirs(
    room: Mailroom, chief: Client, at_once: None
) -> None:
    clerk = await shared(room, WORKING)
    await clerk.ok("SELECT Units/Water/INBOX")
    clerk.send(b"i IDLE\r\n")
    await clerk.hears(b"+ Idling\r\n")
    await clerk.line()
    account = room.people.known["li"]
    room.people.known["li"] = replace(account, roots=account.roots[:1], shared="")
    await chief.append(b"Subject: secret\r\n\r\n\r\n")
    assert (await clerk.line()).startswith(b"* OK [CLOSED]")
    clerk.send(b"DONE\r\n")
    assert (await clerk.until("i")) == [b"i OK Done idling"]


async def test_a_closed_account_is_sent_away(room: Mailroom, at_once: None) -> None:
    client = await room.client(select="INBOX")
    del room.people.known["wang"]
    assert b"[AUTHORIZATIONFAILED]" in await client.fails("FETCH 1:* FLAGS")
    assert (await client.line()).startswith(b"* BYE This account is closed")
    await client.guest.finished()


async def test_idling_goes_on_while_the_database_is_away(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await room.client(select="INBOX"), await room.client()
    client.send(b"i IDLE\r\n")
    await client.hears(b"+ Idling\r\n")
    await client.line()
    real, failed = client.session.tell, asyncio.Event()

    async def tell(**how: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise Unavailable("away")
        await real(**how)

    monkeypatch.setattr(client.session, "tell", tell)
    await other.append(b"Subject: a\r\n\r\n\r\n")
    await failed.wait()
    await other.append(b"Subject: b\r\n\r\n\r\n")
    await client.hears(b"* 2 EXISTS")
    client.send(b"DONE\r\n")
    assert (await client.until("i"))[-1] == b"i OK Done idling"
