"""Moves, copies and uploads in a mail program sign for a document, or return it, as evidence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.directory import accounts
from gateway.directory.model import Role
from gateway.evidence.notary import records_of
from gateway.exchange import cabinet
from mailboxes.content import Content
from mailboxes.errors import Veto
from mailboxes.events import Person
from mailboxes.rows import Located
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"
LI = Person("water-li", "10.1.2.3", "password")  # a clerk
FENG = Person("water-leader", "10.1.2.4", "certificate")
SHARED = Person("water", "10.1.2.5", "password")


@pytest.fixture
async def document_id(house: House) -> str:
    octets = letters.plain("office", "water finance", NOTICE)
    made = await house.accept("office", octets, "water", "finance")
    house.later(minutes=1)
    return made


def find(house: House, connection: Connection, document_id: str, owner: str) -> Located:
    return next(
        one for one in house.shelves.find_by_key(connection, document_id)
        if one.owner == owner and one.message.kind == "document"
    )  # fmt: skip


async def put(
    house: House, document_id: str, folder: str, by: Person = LI,
    *, owner: str = "unit:water", verb: str = "move",
) -> None:  # fmt: skip
    """What an IMAP server does with MOVE or COPY."""
    now = house.clock.now()

    def work(connection: Connection) -> None:
        found = find(house, connection, document_id, owner)
        target = house.shelves.folder_id(connection, owner, folder)
        act = getattr(house.shelves, verb)
        act(connection, found.message.folder_id, [found.message.id], target, now=now, by=by)

    await house.database.write(work)


async def read(house: House, document_id: str, by: Person = LI, *, whole: bool = False) -> None:
    """What it does when a person reads the document, or a program fetches all of it."""
    now = house.clock.now()

    def work(connection: Connection) -> None:
        message = find(house, connection, document_id, "unit:water").message
        if whole:
            house.shelves.hand_over(connection, message.folder_id, [message.id], now=now, by=by)
        else:
            house.shelves.flag(
                connection, message.folder_id, [message.id], add=["\\Seen"], now=now, by=by
            )

    await house.database.write(work)


def place(house: House, document_id: str, owner: str = "unit:water") -> str:
    return house.database.read_now(lambda c: find(house, c, document_id, owner).folder)


def delivery(house: House, document_id: str, owner: str = "unit:water") -> dict[str, Any]:
    rows = house.document(document_id)["recipients"]
    return next(row for row in rows if row["owner"] == owner)


def last_record(house: House, document_id: str) -> dict[str, Any]:
    records = house.database.read_now(lambda c: records_of(c, document_id))
    value: dict[str, Any] = json.loads(records[-1].octets)
    return value


def events(house: House, document_id: str, name: str) -> int:
    return [event for event, _ in house.events(document_id)].count(name)


@pytest.mark.parametrize("verb", ["move", "copy"])
async def test_what_is_put_into_signed_is_signed_for_with_who_and_how(
    house: House, document_id: str, verb: str
) -> None:
    await put(house, document_id, "已签收", verb=verb)
    row = delivery(house, document_id)
    assert (row["state"], row["signed_way"]) == ("signed", "folder")
    record = last_record(house, document_id)
    assert record["event"] == "ConsignmentAcceptance"
    assert record["recipient"] == "water@heping.test"
    assert record["reasons"] == [{"code": "Way", "detail": "folder"}]
    assert record["actor"] == {
        "account": "water-li", "unit": "water", "name": "李娜", "login": "password",
        "address": "10.1.2.3",
    }  # fmt: skip
    assert row["signed_by"] == "李娜"
    assert house.ladder.ended == [row["delivery"]]
    assert delivery(house, document_id, "unit:finance")["state"] == "consigned"


@pytest.mark.parametrize("ours", [True, False])
async def test_an_upload_into_signed_is_signed_for(
    house: House, document_id: str, ours: bool
) -> None:
    """Programs that were offline append a copy; some rewrite the header, but keep our field."""
    now = house.clock.now()

    def work(connection: Connection) -> None:
        message = find(house, connection, document_id, "unit:water").message
        octets = b"".join(house.shelves.pieces(connection, message.id))
        if not ours:
            octets = b"X-Mozilla-Status: 0001\r\n" + octets
        content = Content.of_octets(octets, key="", kind="upload")
        content_id = house.shelves.add_content(connection, content, now)
        target = house.shelves.folder_id(connection, "unit:water", "已签收")
        house.shelves.append(connection, [target], content_id, now=now, by=LI)

    await house.database.write(work)
    assert delivery(house, document_id)["signed_by"] == "李娜"


async def test_a_move_within_seconds_of_what_nobody_fetched_is_a_programs(house: House) -> None:
    octets = letters.plain("office", "water", NOTICE)
    document_id = await house.accept("office", octets, "water")
    house.later(seconds=2)
    await put(house, document_id, "已签收")
    assert place(house, document_id) == "已签收"
    assert delivery(house, document_id)["state"] == "consigned"
    record = last_record(house, document_id)
    assert (record["event"], record["actor"]["account"]) == ("ActNotCounted", "water-li")
    await put(house, document_id, "INBOX")
    await put(house, document_id, "已签收")
    assert events(house, document_id, "ActNotCounted") == 1
    await house.work()
    [answer] = house.mail("person:water-li", "answer")
    assert "不作签收" in answer.text
    house.later(minutes=1)
    await put(house, document_id, "INBOX")
    await put(house, document_id, "已签收")
    assert delivery(house, document_id)["state"] == "signed"


async def test_who_is_fast_but_has_fetched_it_is_a_person(house: House) -> None:
    document_id = await house.accept("office", letters.plain("office", "water", NOTICE), "water")
    house.later(seconds=2)
    await read(house, document_id, whole=True)
    await put(house, document_id, "已签收")
    assert delivery(house, document_id)["state"] == "signed"


async def test_a_shared_login_must_give_a_name(house: House, document_id: str) -> None:
    with pytest.raises(Veto, match="公用账号须写明签收人"):
        await put(house, document_id, "已签收", SHARED)
    assert place(house, document_id) == "INBOX"
    assert delivery(house, document_id)["state"] == "consigned"

    def work(connection: Connection) -> None:
        from mailboxes.rows import FolderSpec

        house.shelves.ensure_mailbox(
            connection, "unit:water", [FolderSpec("已签收/张三")], house.clock.now()
        )

    house.database.write_now(work)
    await put(house, document_id, "已签收/张三", SHARED)
    row = delivery(house, document_id)
    assert (row["state"], row["signed_by"]) == ("signed", "张三")
    assert last_record(house, document_id)["actor"]["account"] == "water"


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR, Role.MACHINE, Role.OPERATOR])
async def test_who_may_only_read_cannot_sign(house: House, document_id: str, role: Role) -> None:
    house.change(accounts.change_account, login="water-li", units={"water": [role]})
    with pytest.raises(Veto, match="只能阅读"):
        await put(house, document_id, "已签收")
    assert delivery(house, document_id)["state"] == "consigned"


async def test_who_works_in_another_unit_cannot_sign(house: House, document_id: str) -> None:
    stranger = Person("education-zhao", "10.9.9.9")
    with pytest.raises(Veto, match="只能阅读"):
        await put(house, document_id, "已签收", stranger)
    with pytest.raises(Veto, match="cannot sign"):
        await put(house, document_id, "已签收", Person("nobody"))
    assert delivery(house, document_id)["state"] == "consigned"


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_moved_into_a_folder_of_ones_own_is_signed_for_all_the_same(
    house: House, document_id: str, at_once: bool
) -> None:
    """Who has a mailbox of his own drags the unit's document where his folders are."""
    now = house.clock.now()
    directory = house.directory.now()
    owners = [owner for owner in directory.owners() if owner.key == "person:water-li"]
    house.database.write_now(lambda c: cabinet.furnish(house.mailboxes, c, owners, now))

    def move(source: str, into: str) -> None:
        def work(connection: Connection) -> None:
            message = find(house, connection, document_id, source).message
            target = house.shelves.folder_id(connection, "person:water-li", into)
            house.shelves.move(connection, message.folder_id, [message.id], target, now=now, by=LI)

        house.database.write_now(work)

    if at_once:
        move("unit:water", "已签收")
    else:
        move("unit:water", "INBOX")
        assert delivery(house, document_id)["state"] == "consigned"
        move("person:water-li", "已签收")
    row = delivery(house, document_id)
    assert (row["state"], row["signed_by"]) == ("signed", "李娜")


async def test_a_copy_in_ones_own_mailbox_signs_for_the_unit_that_still_waits(
    house: House, document_id: str
) -> None:
    """Who works in two units signed for the first of them only: the other's document lay among the
    signed ones, and its reminders went on."""
    units = {"water": [Role.CLERK], "finance": [Role.CLERK]}
    house.change(accounts.change_account, login="water-li", units=units)
    await put(house, document_id, "已签收")
    directory = await house.directory.current()
    owners = [owner for owner in directory.owners() if owner.key == "person:water-li"]
    house.database.write_now(lambda c: cabinet.furnish(house.shelves, c, owners, house.clock.now()))

    def work(connection: Connection) -> None:
        message = find(house, connection, document_id, "unit:finance").message
        source, now = message.folder_id, house.clock.now()
        for folder in ("INBOX", "已签收"):
            target = house.shelves.folder_id(connection, "person:water-li", folder)
            [copy] = house.shelves.copy(connection, source, [message.id], target, now=now, by=LI)
            source, message = target, house.shelves.message(connection, copy.to.message_id)

    await house.database.write(work)
    row = delivery(house, document_id, "unit:finance")
    assert (row["state"], row["signed_by"]) == ("signed", "李娜")


async def test_the_second_person_is_told_who_was_first(house: House, document_id: str) -> None:
    await put(house, document_id, "已签收")
    await put(house, document_id, "INBOX")
    await put(house, document_id, "已签收", FENG)
    await put(house, document_id, "INBOX")
    await put(house, document_id, "已签收")  # the first person again: nothing to explain
    assert events(house, document_id, "ConsignmentAcceptance") == 1
    await house.work()
    [answer] = house.mail("person:water-leader", "answer")
    assert "此件已签收（李娜，2026-03-02 12:01）" in answer.text
    assert answer.message["X-Yizhan-Event"] == "Answer"
    assert house.mail("person:water-li", "answer") == []


async def test_two_at_once_have_one_outcome(house: House, document_id: str) -> None:
    await asyncio.gather(
        put(house, document_id, "已签收", LI, verb="copy"),
        put(house, document_id, "已签收", FENG, verb="copy"),
    )
    assert events(house, document_id, "ConsignmentAcceptance") == 1
    assert [row.kind for row in house.pieces()].count("answer") == 1


async def test_what_is_put_into_returned_goes_back_and_the_sender_learns_it(
    house: House, document_id: str
) -> None:
    await put(house, document_id, "退文")
    row = delivery(house, document_id)
    assert (row["state"], row["returned_way"]) == ("returned", "folder")
    assert (row["returned_by"], row["signed"]) == ("李娜", None)
    assert house.ladder.ended == [row["delivery"]]
    await house.work()
    receipts = house.mail("unit:office", "receipt")
    [told] = [one for one in receipts if "ConsignmentRejection" in one.message["X-Yizhan-Event"]]
    assert "\\Seen" not in told.flags
    assert "已退文" in told.message["Subject"]
    assert "李娜" in told.text and "退文" in told.text
    [summary] = house.mail("unit:office", "summary")
    assert "已退文（1）" in summary.text
    with pytest.raises(Veto, match="此件已退文（李娜"):
        await put(house, document_id, "已签收")


async def test_what_was_signed_for_can_be_returned_but_not_the_other_way(
    house: House, document_id: str
) -> None:
    await put(house, document_id, "已签收")
    house.later(minutes=5)
    await put(house, document_id, "退文")
    row = delivery(house, document_id)
    assert (row["state"], row["signed_by"], row["returned_by"]) == ("returned", "李娜", "李娜")
    with pytest.raises(Veto, match="此件已退文"):
        await put(house, document_id, "已签收", FENG)
    assert house.events(document_id)[-2:] == [
        ("ConsignmentAcceptance", "water"), ("ConsignmentRejection", "water"),
    ]  # fmt: skip


async def test_plain_mail_may_lie_anywhere(house: House) -> None:
    octets = letters.plain("office", "water", "午餐")
    document_id = await house.accept("office", octets, "water")
    house.later(minutes=1)
    house.change(accounts.change_account, login="water-li", units={"water": [Role.READER]})
    before = house.events(document_id)
    await read(house, document_id)
    for folder in ("已签收", "退文"):
        await put(house, document_id, folder)
    assert house.events(document_id) == before


async def test_moves_between_other_folders_say_nothing(house: House, document_id: str) -> None:
    before = house.events(document_id)
    for folder in ("待办", "待签收", "归档", "文件柜/收文"):
        await put(house, document_id, folder)
    assert house.events(document_id) == before


async def test_each_account_opens_it_once(house: House, document_id: str) -> None:
    for person in (LI, FENG, LI):
        await read(house, document_id, person)
    assert events(house, document_id, "ContentAccessTracking") == 2
    assert delivery(house, document_id)["state"] == "consigned"
    record = last_record(house, document_id)
    assert record["actor"]["account"] == "water-leader"
    assert record["actor"]["login"] == "certificate"
    await house.work()
    told = [one.message["X-Yizhan-Event"] for one in house.mail("unit:office", "receipt")]
    assert not any("ContentAccessTracking" in one for one in told)  # the sender did not ask


async def test_it_is_handed_over_once(house: House, document_id: str) -> None:
    await read(house, document_id, LI, whole=True)
    await read(house, document_id, FENG, whole=True)
    assert events(house, document_id, "ContentHandover") == 1


async def test_a_sender_who_asks_is_told_who_opened_it(house: House) -> None:
    octets = letters.plain(
        "office", "water", NOTICE, Disposition_Notification_To="office@heping.test"
    )
    document_id = await house.accept("office", octets, "water")
    await read(house, document_id)
    await read(house, document_id, whole=True)
    await house.work()
    told = [one.message["X-Yizhan-Event"] for one in house.mail("unit:office", "receipt")]
    assert {"ContentAccessTracking", "ContentHandover"} <= set(told)


async def test_a_document_that_was_returned_can_be_sent_again(house: House) -> None:
    octets = letters.plain("office", "water finance", NOTICE)
    first = await house.accept("office", octets, "water", "finance")
    house.later(minutes=1)
    await put(house, first, "退文")
    resent = await house.submit("office", octets, "water", "finance")  # a lost 250: no new one
    assert (resent.document_id, resent.repeated) == (first, True)
    again = await house.submit("office", octets, "water")
    assert again.document_id != first and not again.repeated
    once_more = await house.submit("office", octets, "water")
    assert (once_more.document_id, once_more.repeated) == (again.document_id, True)


async def test_a_gesture_that_fails_leaves_nothing(
    house: House, document_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = house.events(document_id)

    def broken(*_args: Any, **_values: Any) -> None:
        raise RuntimeError("the ladder broke")

    monkeypatch.setattr(house.ladder, "settled", broken)
    with pytest.raises(Exception, match="the ladder broke"):
        await put(house, document_id, "已签收")
    assert place(house, document_id) == "INBOX"
    assert house.events(document_id) == before
    assert delivery(house, document_id)["state"] == "consigned"
