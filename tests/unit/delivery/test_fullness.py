"""Who reads a mailbox that fills up is told, once in a week, and gets documents all the same."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.delivery.fullness import FullnessWatch
from gateway.exchange import cabinet
from gateway.exchange.fullness import TREE
from mailboxes.content import Content
from tests import letters
from tests.house import ROOM, House

WEEK = 7 * 24 * 60.0  # minutes


def watch(house: House, limit: int = ROOM) -> FullnessWatch:
    return FullnessWatch(house.database, limit, house.clock, lambda: True, lambda: None)


def fill(house: House, octets: int, owner: str = "unit:water") -> int:
    """File a message of that size; its folder."""

    def write(connection: Connection) -> int:
        known = next(one for one in house.directory.now().owners() if one.key == owner)
        now = house.clock.now()
        folder = cabinet.inboxes(house.mailboxes, connection, [known], now)[owner]
        body = b"Subject: a\r\n\r\n" + b"x" * octets
        content = Content.of_octets(body, key="filed", kind="filed")
        content_id = house.mailboxes.add_content(connection, content, now)
        house.mailboxes.append(connection, [folder], content_id, now=now)
        return folder

    return house.database.write_now(write)


def empty(house: House, folder: int) -> None:
    def write(connection: Connection) -> None:
        rows = house.mailboxes.messages(connection, folder)
        ids = [row.id for row in rows if row.kind == "filed"]
        house.mailboxes.expunge(connection, folder, ids, now=house.clock.now())

    house.database.write_now(write)


async def test_a_mailbox_with_room_is_no_matter(house: House) -> None:
    fill(house, ROOM // 2)
    assert await watch(house).turn() == 0
    assert await watch(house, limit=0).turn() == 0
    assert house.pieces() == []


async def test_its_readers_are_told_and_documents_still_come(house: House) -> None:
    fill(house, 910_000)
    assert await watch(house).turn() == 1
    assert await watch(house).turn() == 0
    await house.work()
    [letter] = house.mail("unit:water", "fullness")
    assert letter.message["Subject"] == "〔信箱提醒〕信箱将满：已用 0.9 MB，限额 1.0 MB"
    assert "收文不受影响" in letter.text
    assert "X-Yizhan-Document" not in letter.message
    assert "\\Flagged" in letter.flags
    document_id = await house.accept("office", letters.plain("office", "water", "函"), "water")
    fill(house, 100_000)
    assert await watch(house).turn() == 0
    await house.work()
    assert len(house.mail("unit:water", "document")) == 1
    assert len(house.mail("unit:water", "fullness")) == 1
    assert document_id in house.documents()


async def test_they_are_told_again_in_a_week_unless_there_is_room(house: House) -> None:
    folder = fill(house, 1_100_000)
    await watch(house).turn()
    await house.work()
    await house.work(WEEK - 1)
    assert len(house.mail("unit:water", "fullness")) == 1
    await house.work(2)
    first, second = house.mail("unit:water", "fullness")
    assert "信箱已满：已用 1.1 MB" in second.message["Subject"]
    assert first.message["Message-ID"] != second.message["Message-ID"]
    empty(house, folder)
    await house.work(WEEK + 1)
    assert len(house.mail("unit:water", "fullness")) == 2
    assert house.pieces() == []
    assert await watch(house).turn() == 0
    fill(house, 1_000_000)
    assert await watch(house).turn() == 1


async def test_a_limit_of_its_own_counts_and_each_reads_its_language(house: House) -> None:
    owner = next(one for one in house.directory.now().owners() if one.language == "en")
    fill(house, 50_000, owner.key)
    house.database.write_now(lambda c: TREE.limit(c, owner.key, 51_000))
    assert await watch(house, limit=0).turn() == 1
    await house.work()
    [letter] = house.mail(owner.key, "fullness")
    assert letter.message["Subject"] == "Your mailbox will be full soon: 0.1 of 0.1 MB"
