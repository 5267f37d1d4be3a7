"""Python's IMAP libraries at a real post office: imaplib, IMAPClient and aioimaplib.

Scripts in offices are written with these. Each works for a unit of its own.
"""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import aioimaplib
import pytest
from imapclient import IMAPClient

from tests import letters
from tests.imap import delivered
from tests.imap.delivered import LUNCH, MEETING, NUMBER, TOTAL
from tests.imap.look import Look, spelled
from tests.office import Office

pytestmark = pytest.mark.one_database("what libraries say and get")

UNITS = ("civil", "parks", "transport")
PLAN = "关于汛期值守方案的请示"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office], shared_data: Path) -> Iterator[Office]:
    with make_module_office(changes=delivered.LENIENT).running() as running:
        delivered.fill(running, shared_data, *UNITS)
        yield running


def test_imaplib_over_starttls_searches_in_chinese_moves_and_sorts(office: Office) -> None:
    look = Look(office, "civil")
    with imaplib.IMAP4("localhost", office.imap_port) as client:
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(office.trust)
        assert "LOGINDISABLED" not in client.capabilities
        client.login(look.login, look.password)
        assert client.select()[1] == [str(TOTAL).encode()]
        client.literal = "防汛值班".encode()  # type: ignore[assignment]
        assert client.search("UTF-8", "TEXT") == ("OK", [b"1"])
        client.literal = "食堂".encode("gb18030")  # type: ignore[assignment]
        assert client.search("GB18030", "SUBJECT") == ("OK", [b"3"])
        assert client.sort("(REVERSE ARRIVAL)", "UTF-8", "1:3")[1] == [b"3 2 1"]
        status, [threads] = client.thread("REFERENCES", "UTF-8", "1:3")
        assert (status, threads) == ("OK", b"(1)(2)(3)")

        drawer = spelled("文件柜/二〇二六年/防汛")
        assert client.create(drawer)[0] == "OK"
        assert client.create(drawer)[0] == "NO"
        status, [said] = client.uid("MOVE", "1,3", drawer)
        assert (status, said) == ("OK", None)
        assert client.response("COPYUID")[1][0].endswith(b" 1,3 1:2")
        assert client.untagged_responses["EXPUNGE"] == [b"3", b"1"]
        assert client.getquotaroot("INBOX")[0] == "OK"
        assert client.myrights(drawer)[0] == "OK"
        assert client.rename(drawer, spelled("文件柜/防汛"))[0] == "OK"
        assert client.delete(spelled("文件柜/防汛"))[0] == "OK"
    assert len(look.letters("INBOX")) == TOTAL - 2
    assert "文件柜/防汛" not in look.folders()


def test_imapclient_files_flags_and_searches_with_chinese_names(office: Office) -> None:
    look, at = Look(office, "parks"), datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    draft = letters.plain(look.login, "office", PLAN, "妥否，请批示。\n")
    with IMAPClient("localhost", office.imaps_port, ssl_context=office.trust) as client:
        client.login(look.login, look.password)
        assert client.namespace().personal == (("", "/"),)
        names = {name: flags for flags, _, name in client.list_folders()}
        assert set(names) == set(look.folders())
        assert client.find_special_folder(b"\\Trash") == "已删除"
        assert client.find_special_folder(b"\\Sent") == "已发送"
        assert client.enable("CONDSTORE") == [b"CONDSTORE"]

        drawer = "文件柜/请示 & 批复"
        client.create_folder(drawer)
        client.append(drawer, draft, [b"\\Seen", b"\\Draft"], at)
        client.multiappend(drawer, [{"msg": draft, "flags": [b"\\Flagged"]}, draft])
        assert client.folder_status(drawer, ["MESSAGES", "UNSEEN", "SIZE"]) == {
            b"MESSAGES": 3, b"UNSEEN": 2, b"SIZE": 3 * len(draft),
        }  # fmt: skip
        client.select_folder(drawer)
        fetched = client.fetch([1], ["FLAGS", "INTERNALDATE", "ENVELOPE", "BODYSTRUCTURE"])[1]
        assert set(fetched[b"FLAGS"]) >= {b"\\Seen", b"\\Draft"}
        assert client.normalise_times  # to the time of this machine, without a zone
        assert fetched[b"INTERNALDATE"] == at.astimezone().replace(tzinfo=None)
        assert fetched[b"ENVELOPE"].message_id == look.letters(drawer)[0].message_id.encode()
        assert fetched[b"BODYSTRUCTURE"][:2] == (b"text", b"plain")
        assert b"$Todo" in client.add_flags([2], ["$Todo", b"\\Answered"])[2]
        assert client.search(["SUBJECT", "值守方案"], "UTF-8") == [1, 2, 3]
        assert client.search(["TEXT", "请批示", "NOT", "SEEN"], "UTF-8") == [2, 3]
        assert client.search(["UNANSWERED", "UNFLAGGED"]) == [1, 3]

        client.select_folder("INBOX")
        client.move([2], drawer)
        client.copy([1], "已删除")
        client.delete_messages([1])
        client.uid_expunge([1])
        client.rename_folder(drawer, "请示批复")
        client.unsubscribe_folder("请示批复")
        assert "请示批复" not in {name for _, _, name in client.list_sub_folders()}
    assert MEETING in look.subjects("请示批复")[-1]
    assert NUMBER in look.subjects("已删除")[0]
    assert [one.uid for one in look.letters("INBOX")] == list(range(3, TOTAL + 1))


def test_a_unit_s_folders_have_no_uses_for_a_person_who_sees_them_too(office: Office) -> None:
    """Thunderbird took the unit's 已删除 and 已发送 for those of the person."""
    unit, person = Look(office, "water").folders(), Look(office, "water-li").folders()
    shared = {name: said for name, said in person.items() if name.startswith("单位信箱/水务局/")}
    assert {name.removeprefix("单位信箱/水务局/") for name in shared} == set(unit)
    for use in ("Trash", "Sent", "Drafts", "Archive"):
        [own] = [name for name, said in unit.items() if f"\\{use}" in said]
        assert [name for name, said in person.items() if f"\\{use}" in said] == [own]
    with Look(office, "water-li").session() as client:
        listed = client._simple_command("LIST", "(SPECIAL-USE)", '""', '"*"')[0]
        assert listed == "OK"
        assert len(client.response("LIST")[1]) == 4


def test_imapclient_is_told_of_new_mail_while_it_idles(office: Office) -> None:
    look = Look(office, "parks")
    with IMAPClient("localhost", office.imaps_port, ssl_context=office.trust) as client:
        client.login(look.login, look.password)
        before = client.select_folder("INBOX")[b"EXISTS"]
        client.idle()
        office.accept("office", letters.plain("office", look.login, "急件"), look.login)
        told = []
        while (before + 1, b"EXISTS") not in told:
            more = client.idle_check(timeout=30)
            assert more, told
            told += more
        client.idle_done()
        [newest] = client.search([str(before + 1)])
        [sender] = client.fetch([newest], ["ENVELOPE"])[newest][b"ENVELOPE"].from_
        assert sender.mailbox == b"office"


async def test_aioimaplib_idles_searches_and_moves(office: Office) -> None:
    look = Look(office, "transport")
    client = aioimaplib.IMAP4_SSL("localhost", office.imaps_port, ssl_context=office.trust)
    await client.wait_hello_from_server()
    assert (await client.login(look.login, look.password)).result == "OK"
    assert client.has_capability("IDLE")
    assert (await client.id(name="office script", version="1")).result == "OK"
    assert aioimaplib.extract_exists(await client.select("INBOX")) == TOTAL
    assert (await client.uid_search('TEXT "二楼会议"')).lines[0] == b"2"

    idle = await client.idle_start(timeout=60)
    letter = letters.plain("office", look.login, "急件", "立即办理。\n")
    await asyncio.to_thread(office.accept, "office", letter, look.login)
    told: list[bytes] = []
    while f"{TOTAL + 1} EXISTS".encode() not in told:
        told += await client.wait_server_push(30)
    client.idle_done()
    await asyncio.wait_for(idle, 30)

    fetched = await client.uid("fetch", f"{TOTAL + 1}", "(BODY.PEEK[])")
    assert fetched.lines[1].endswith(letter.partition(b"\r\n\r\n")[2])
    drawer = spelled("文件柜/收文")
    assert (await client.uid("move", "1:2", drawer)).result == "OK"
    draft = letters.plain(look.login, "office", PLAN)
    assert (await client.append(draft, drawer, flags=r"\Draft")).result == "OK"
    await client.logout()

    assert len(look.letters("INBOX")) == TOTAL - 1
    first, second, third = look.letters("文件柜/收文")
    assert NUMBER in str(first.mail["Subject"])
    assert MEETING in str(second.mail["Subject"])
    assert third.octets == draft
    assert LUNCH in look.subjects("INBOX")
