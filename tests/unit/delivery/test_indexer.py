"""What comes into the mailboxes is found soon, whatever it is, and nothing waits for that."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select

from gateway import config
from gateway.delivery import indexer as indexing
from gateway.delivery.indexer import Indexer
from gateway.delivery.sweeper import Sweeper
from gateway.domain.submission import Content
from gateway.errors import StoreUnavailable
from gateway.exchange.mailroom import open_index, search_tables, tables
from gateway.exchange.tables import unread_attachments
from gateway.exchange.texts import TextReader, open_search
from gateway.policy.inspection import Inspection
from gateway.policy.pool import Inspector
from gateway.seals.book import SealBook
from mailboxes import content as mail
from mailboxes.rows import FolderSpec
from mailboxes.search import Hit, Place
from tests import letters
from tests.house import House
from tests.unit.inspection import files
from tests.unit.inspection.test_pool import _SABOTAGED

NOTICE = letters.plain("office", "water", "关于防汛工作的通知", "请各单位加强值守。\n")


class Searched:
    """A house whose mail is indexed when the test says so."""

    def __init__(self, house: House, inspector: Inspector) -> None:
        self.house = house
        self.inspected: list[int] = []
        self.inspector = inspector
        self.writer = open_index()
        self.search = open_search(house.blobs.open)
        self.indexer = Indexer(
            house.database, TextReader(tables, house.blobs.open), self.writer, self._inspect,
            house.clock,
        )  # fmt: skip

    async def _inspect(self, content: Content) -> Inspection:
        self.inspected.append(content.size)
        return await self.inspector.inspect(
            content, unit_id=0, book=SealBook(()), opener=None, at=self.house.clock.now(),
            mt_priority=None,
        )  # fmt: skip

    def append(self, octets: bytes, owner: str = "unit:water") -> int:
        """What a mail client puts into the INBOX."""

        def work(conn: Connection) -> int:
            mailboxes, now = self.house.mailboxes, self.house.clock.now()
            made = mail.Content.of_octets(octets, key="own", kind="mail")
            content_id = mailboxes.add_content(conn, made, now)
            mailboxes.append(conn, [self.inbox(conn, owner)], content_id, now=now)
            return content_id

        return self.house.database.write_now(work)

    def inbox(self, conn: Connection, owner: str) -> int:
        self.house.mailboxes.ensure_mailbox(
            conn, owner, [FolderSpec("INBOX")], self.house.clock.now()
        )
        return self.house.mailboxes.folder_id(conn, owner, "INBOX")

    def find(self, sought: str, place: Place = Place.TEXT, owner: str = "unit:water") -> int:
        """How many contents of the owner's INBOX have it."""

        def work(conn: Connection) -> int:
            return len(self.search.matching(conn, self.inbox(conn, owner), place, sought))

        return self.house.database.write_now(work)

    def hits(self, *words: str, **options: Any) -> list[Hit]:
        return self.house.database.read_now(lambda c: self.search.newest(c, words, **options))

    def rows(self, table: Any) -> int:
        query = select(func.count()).select_from(table)
        return int(self.house.database.read_now(lambda c: c.scalar(query)) or 0)


def inspector(*, sabotaged: bool = False) -> Inspector:
    policy = config.Policy(extraction_children=1)
    command = [sys.executable, "-c", _SABOTAGED, str(policy.extraction_memory)]
    return Inspector(
        policy, config.Seals(), "mail.heping.test", command=command if sabotaged else None
    )


@pytest.fixture
async def searched(house: House) -> AsyncIterator[Searched]:
    made = Searched(house, inspector())
    yield made
    await made.inspector.close()


async def test_a_document_is_found_before_it_is_indexed_and_after(searched: Searched) -> None:
    octets = letters.plain("office", "water education", "关于防汛工作的通知", "请加强值守。\n")
    document = await searched.house.accept("office", octets, "water", "education")
    for indexed in (False, True):
        assert searched.find("防汛", Place.HEADER) == 1
        assert searched.find("值守", Place.BODY) == searched.find("值守") == 1
        assert searched.find("值守", owner="unit:education") == 1
        assert searched.find("没有这个词") == 0
        if not indexed:
            assert searched.hits("值守") == []
            await searched.indexer.whole_round()
    [hit] = searched.hits("值守", "防汛", kinds=["document"])
    assert (hit.key, hit.kind, hit.state) == (document, "document", "whole")
    assert searched.hits("值守", owners=["unit:education"]) == [hit]
    assert searched.hits("值守", owners=["unit:finance"]) == []
    assert searched.rows(search_tables.texts) == 1  # however many read it


async def test_a_document_for_which_nobody_waited_does_not_wait_for_others(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are indexed first."""
    monkeypatch.setattr(indexing, "PORTION", 2)
    for number in range(5):
        await searched.house.accept(
            "office", letters.plain("office", "water", f"第{number}件"), "water"
        )
    await searched.indexer._begin_round()
    assert searched.indexer.waiting > 4
    await searched.indexer.turn()
    assert [hit.title for hit in searched.hits("件")] == ["第4件"]
    await searched.indexer.whole_round()
    assert searched.indexer.waiting == 0
    assert [hit.title for hit in searched.hits("件")] == [f"第{n}件" for n in (4, 3, 2, 1, 0)]


FILES = {
    "a.docx": files.docx("水位已经超过警戒线"),
    "a.xlsx": files.xlsx("水位已经超过警戒线"),
    "a.pptx": files.pptx("水位已经超过警戒线"),
    "a.odt": files.odt("水位已经超过警戒线"),
    "a.ofd": files.ofd("水位已经超过警戒线"),
    "a.txt": "水位已经超过警戒线".encode("gb18030"),
    "a.html": "<p>水位<b>已经</b>超过警戒线</p>".encode(),
    "a.pdf": files.pdf("water level above the mark"),
}


@pytest.mark.parametrize("name", FILES)
async def test_attachments_are_searched(searched: Searched, name: str) -> None:
    words = "level above" if name == "a.pdf" else "超过警戒"
    octets = letters.with_attachment(NOTICE, name, FILES[name])
    await searched.house.accept("office", octets, "water")
    searched.append(octets)
    await searched.indexer.whole_round()
    assert searched.find(words, Place.BODY) == 2
    assert searched.find(name, Place.BODY) == 2
    assert [hit.state for hit in searched.hits(words)] == ["whole", "whole"]
    # Only what no door has read, and cannot be read safely here.
    assert len(searched.inspected) == (name not in ("a.txt", "a.html"))


async def test_a_file_that_kills_its_reader_is_marked_and_the_rest_is_found(house: House) -> None:
    searched = Searched(house, inspector(sabotaged=True))
    searched.append(letters.with_attachment(NOTICE, "kill.zip", b"PK\x03\x04 no archive"))
    searched.append(NOTICE)
    await searched.indexer.whole_round()
    assert searched.inspector.replaced == 1
    assert searched.find("值守", Place.BODY) == 2
    whole, partly = searched.hits("值守")
    assert (whole.state, whole.reason) == ("whole", "")
    assert (partly.state, partly.reason) == ("partly", "kill.zip: timeout")
    await searched.inspector.close()


async def test_files_that_gave_no_text_are_named(searched: Searched) -> None:
    octets = letters.with_attachment(NOTICE, "a.pdf", files.pdf())
    octets = letters.with_attachment(octets, "b.docx", b"PK\x03\x04 no document")
    document = await searched.house.accept("office", octets, "water")
    await searched.indexer.whole_round()
    [hit] = searched.hits("值守", kinds=["document"])
    assert (hit.key, hit.state) == (document, "partly")
    assert hit.reason == "a.pdf: scanned; b.docx: unreadable"
    assert searched.rows(unread_attachments) == 2
    assert searched.house.document(document)["search"] == {
        "state": "partly", "reason": "a.pdf: scanned; b.docx: unreadable"
    }  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    from pysequoia import Tsk

    path = tmp_path_factory.mktemp("key") / "key"
    secret = Tsk.generate("Water <water@heping.test>")
    path.write_bytes(bytes(secret.extract_certificate()))
    yield [path]


async def test_of_an_encrypted_document_only_the_header_is_searched(
    make_house: Callable[..., House], keys: list[Path]
) -> None:
    searched = Searched(make_house(disabled_checks=["encryption"]), inspector())
    octets = letters.encrypted(NOTICE, keys)
    await searched.house.accept("office", octets, "water")
    searched.append(octets)
    for _ in range(2):
        assert searched.find("防汛", Place.HEADER) == 2
        assert searched.find("值守") == searched.find("PGP MESSAGE") == 0
        await searched.indexer.whole_round()
    assert [hit.state for hit in searched.hits("防汛")][-1] == "header"
    assert searched.hits("值守") == searched.hits("PGP MESSAGE") == []
    await searched.inspector.close()


async def test_receipts_are_searched_without_their_evidence(searched: Searched) -> None:
    document = await searched.house.accept("office", NOTICE, "water")
    await searched.house.work(minutes=11)
    await searched.indexer.whole_round()
    assert searched.indexer.waiting == 0
    kinds = {hit.kind for hit in searched.hits(document)}
    assert {"receipt", "summary"} <= kinds
    assert searched.hits("previous", kinds=["receipt"]) == []


async def test_a_portion_that_was_not_committed_is_taken_again(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await searched.house.accept("office", NOTICE, "water")
    real = searched.writer.add

    def dies(conn: Connection, entries: Any) -> int:
        real(conn, entries)
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(searched.writer, "add", dies)
    with pytest.raises(StoreUnavailable):
        await searched.indexer.whole_round()
    assert searched.rows(search_tables.heads) == 0
    monkeypatch.undo()
    await searched.indexer.whole_round()
    await searched.indexer.whole_round()
    assert len(searched.hits("值守")) == 1
    assert searched.house.database.read_now(searched.writer.disagreement) == ([], [])


async def test_a_content_that_cannot_be_read_holds_up_no_other(searched: Searched) -> None:
    broken = searched.append(NOTICE)
    await searched.house.accept("office", NOTICE, "water")

    def damage(conn: Connection) -> None:
        table = tables.contents
        lost = {"blob": "gone", "octets": None, "header": None}
        conn.execute(table.update().where(table.c.id == broken).values(lost))

    searched.house.database.write_now(damage)
    await searched.indexer.whole_round()
    assert len(searched.hits("值守")) == 1
    assert searched.indexer._refused == {broken}


async def test_the_header_of_an_older_content_is_read_from_its_blob(searched: Searched) -> None:
    await searched.house.accept("office", NOTICE, "water")
    table = tables.contents
    searched.house.database.write_now(lambda c: c.execute(table.update().values(header=None)))
    assert searched.find("防汛", Place.HEADER) == 1
    await searched.indexer.whole_round()
    assert searched.find("防汛", Place.HEADER) == 1
    assert searched.rows(search_tables.heads) == 2


async def test_what_is_swept_from_the_mailboxes_is_swept_from_the_index(
    searched: Searched,
) -> None:
    house = searched.house
    gone = searched.append(NOTICE)
    await house.accept("office", NOTICE, "water")
    await searched.indexer.whole_round()
    assert len(searched.hits("值守")) == 2
    messages = tables.messages

    def remove(conn: Connection) -> None:
        conn.execute(delete(messages).where(messages.c.content_id == gone))

    house.database.write_now(remove)
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    assert await sweeper._sweep_contents() == 1
    assert len(searched.hits("值守")) == 1
    assert house.database.read_now(searched.writer.disagreement) == ([], [])
    assert searched.rows(search_tables.texts) == 1


async def test_it_indexes_when_it_is_woken_and_says_when_it_cannot(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(condition):
                pass

    running = asyncio.create_task(searched.indexer.run())
    await searched.house.accept("office", NOTICE, "water")
    searched.indexer.wake()
    await until(lambda: searched.hits("值守"))
    assert await searched.indexer.health() == ""

    def fails(*_: Any) -> Any:
        raise StoreUnavailable("the database is gone")

    monkeypatch.setattr(searched.writer, "newest_content", fails)
    searched.indexer.wake()
    await until(lambda: searched.indexer._stalled)
    assert "not indexed" in await searched.indexer.health()
    monkeypatch.undo()
    searched.indexer.wake()
    await until(lambda: not searched.indexer._stalled)
    running.cancel()


async def test_what_a_forwarded_mail_was_about_is_found_in_the_body(searched: Searched) -> None:
    outer = message_from_bytes(
        letters.plain("office", "water", "转发", "见附件。\n"), policy=policy.SMTP
    )
    assert isinstance(outer, EmailMessage)
    outer.add_attachment(message_from_bytes(NOTICE, policy=policy.SMTP))
    await searched.house.accept("office", outer.as_bytes(), "water")
    for _ in range(2):
        assert searched.find("防汛工作", Place.BODY) == 1
        assert searched.find("防汛工作", Place.HEADER) == 0
        await searched.indexer.whole_round()
