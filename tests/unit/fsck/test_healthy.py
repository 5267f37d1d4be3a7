"""No fault is reported of a healthy store, in whatever state the way of its documents is."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import Connection

from gateway.delivery.sweeper import Sweeper
from gateway.directory.edit import change_account, change_unit, merge_units
from gateway.errors import Refused
from gateway.exchange.mailroom import tables
from gateway.fsck.codes import Code, Family
from gateway.fsck.fault import Report
from gateway.fsck.scope import Span
from gateway.store.blobs import FileBlobs
from mailboxes.tree import FolderTree
from tests.house import House
from tests.letters import plain
from tests.unit.fsck.conftest import Check
from tests.unit.fsck.lived import Lived

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def named(report: Report) -> list[str]:
    return [f"{fault.code.value} {fault.subject}: {fault.sentence}" for fault in report.faults]


async def test_a_store_without_a_document_is_clean(examine: Check) -> None:
    assert named(examine()) == []


async def test_a_document_is_clean_fresh_receipted_signed_and_summed_up(
    house: House, examine: Check
) -> None:
    octets = plain("office", "water education", NOTICE)
    taken = await house.accept("office", octets, "water", "education")
    assert named(examine()) == []
    await house.work()
    assert named(examine()) == []
    await house.sign(taken, "water")
    assert named(examine()) == []
    await house.work(minutes=15)
    await house.sign(taken, "education")
    await house.work(minutes=5)
    report = examine(views=True)
    assert named(report) == []
    assert report.counts["documents"] == 1
    assert report.counts["records"] == 6
    assert report.counts["receipts"] == 3
    assert report.counts["views"] == 2


async def test_resends_and_duplicates_are_clean(house: House, examine: Check) -> None:
    octets = plain("office", "water finance all", NOTICE)
    first = await house.accept("office", octets, "water")
    house.later(minutes=5)
    assert await house.accept("office", octets, "water", "finance") == first
    await house.work()
    house.later(minutes=5)
    assert await house.accept("office", octets, "all") == first
    recoded = octets.replace(b"Date: Sat", b"Date: sat")
    assert await house.accept("office", recoded, "water") != first
    await house.work()
    assert named(examine(views=True)) == []


async def test_what_nobody_wants_mailed_is_not_missing(house: House, examine: Check) -> None:
    for wish in ("NEVER", "FAILURE", "SUCCESS", "SUCCESS,FAILURE"):
        octets = plain("office", "water finance", f"{NOTICE} {wish}")
        await house.accept("office", octets, f"water {wish}", "finance NEVER")
        with pytest.raises(Refused):
            await house.submit("finance", plain("finance", "office", f"机密★1年 {wish}"),
                               f"office {wish}")  # fmt: skip
    await house.work()
    assert named(examine()) == []


async def test_units_and_accounts_may_come_and_go(house: House, examine: Check) -> None:
    async def send(sender: str, to: str) -> None:
        await house.accept(sender, plain(sender, to, f"{NOTICE} {house.clock.now()}"), to)

    await send("water", "finance")
    await send("finance", "water")
    house.later(minutes=1)
    house.change(merge_units, code="water", into="education")
    await house.work()  # the receipt goes to the successor
    await send("finance", "water")
    await send("education", "finance")
    house.later(minutes=1)
    house.change(change_account, login="finance", active=False)
    await house.work(minutes=20)
    assert named(examine()) == []


async def test_who_wants_no_marks_or_another_language_is_clean(
    house: House, examine: Check
) -> None:
    house.change(change_unit, code="water", subject_marks=False)
    house.change(change_unit, code="finance", language="en")
    octets = plain("office", "water finance office", NOTICE)
    await house.accept("office", octets, "water", "finance", "office")
    await house.work()
    report = examine(views=True)
    assert named(report) == []
    assert report.counts["views"] == 4  # marked in two languages, plain, and the sender's own


async def test_a_folder_may_be_made_filled_emptied_and_removed(
    house: House, examine: Check
) -> None:
    taken = await house.accept("office", plain("office", "water", NOTICE), "water")
    await house.work(minutes=15)
    store, tree, now = house.mailboxes, FolderTree(tables), house.clock.now()

    def read(connection: Connection) -> None:
        made = tree.create(connection, "unit:water", "文件柜/防汛", now)
        tree.set_acl(connection, made.id, "finance", "lr")
        inbox = store.folder_id(connection, "unit:water", "INBOX")
        mine = [one for one in store.find_by_key(connection, taken) if one.owner == "unit:water"]
        ids = [one.message.id for one in mine if one.message.folder_id == inbox]
        store.move(connection, inbox, ids, made.id, now=now)
        tree.claim_recent(connection, made.id, 2)
        store.move(connection, made.id, ids, inbox, now=now)
        tree.delete(connection, "unit:water", "文件柜/防汛", now)

    house.database.write_now(read)
    assert named(examine()) == []


async def test_who_reads_two_mailboxes_may_copy_from_one_into_the_other(
    house: House, examine: Check
) -> None:
    await house.accept("office", plain("office", "finance", NOTICE), "finance")
    taken = await house.accept("office", plain("office", "water", NOTICE), "water")
    await house.work(minutes=15)
    store, tree, now = house.mailboxes, FolderTree(tables), house.clock.now()

    def read(connection: Connection) -> None:
        inbox = store.folder_id(connection, "unit:water", "INBOX")
        other = store.folder_id(connection, "unit:finance", "INBOX")
        for one in store.find_by_key(connection, taken):
            if one.message.folder_id == inbox:
                store.copy(connection, inbox, [one.message.id], other, now=now)

    house.database.write_now(read)
    assert [fault.code for fault in examine().faults] == [Code.MESSAGE_UNPROMISED]

    def grant(connection: Connection) -> None:
        inbox = store.folder_id(connection, "unit:water", "INBOX")
        tree.set_acl(connection, inbox, "finance", "lr")

    house.database.write_now(grant)
    assert named(examine()) == []


async def test_readers_may_move_copy_flag_and_remove(house: House, examine: Check) -> None:
    taken = await house.accept("office", plain("office", "water", NOTICE), "water")
    await house.work(minutes=15)
    store, now = house.mailboxes, house.clock.now()

    def read(connection: Connection) -> None:
        for found in store.find_by_key(connection, taken):
            message, place = found.message.id, found.message.folder_id
            store.flag(connection, place, [message], add=["\\Seen"], now=now)
            trash = store.folder_id(connection, found.owner, "已删除")
            if found.message.kind == "document":
                store.copy(connection, place, [message], trash, now=now)
            store.move(connection, place, [message], trash, now=now)
            if found.message.kind != "document":
                store.expunge(connection, trash, [message], now=now)

    house.database.write_now(read)
    assert named(examine()) == []

    def remove(connection: Connection) -> None:
        for found in store.find_by_key(connection, taken):
            store.expunge(connection, found.message.folder_id, [found.message.id], now=now)

    house.database.write_now(remove)
    assert named(examine()) == []
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    await sweeper.turn()
    await sweeper._sweep_contents()
    assert named(examine()) == []


@pytest.mark.one_database("blobs are files on either")
async def test_what_is_being_written_is_no_orphan(house: House, examine: Check) -> None:
    taken = await house.accept("office", plain("office", "water", NOTICE), "water")
    [path] = (house.folder / "blobs").rglob(taken)
    one, other, *_ = (f"{taken[:-1]}{letter}" for letter in "012" if letter != taken[-1])
    path.with_name(one).write_bytes(b"its commit is still to come")
    path.with_name(f".{other}.tmp").write_bytes(b"half of it")
    (path.parent / "lost+found").mkdir()
    assert named(examine()) == []


def test_a_store_in_which_an_office_has_lived_is_clean(lived: Lived) -> None:
    report = lived.examine(views=True)
    assert named(report) == []
    for name in ("documents", "refusals", "reminders", "outbox", "seals", "keys", "folders",
                 "checkpoints", "receipts", "octets"):  # fmt: skip
        assert report.counts[name] > 0, name
    assert report.counts["entries"] < report.counts["records"]  # some wait for the sealer


@pytest.mark.one_database("what is left out is the same")
def test_a_quick_look_reads_no_octets_and_still_misses_blobs(lived: Lived) -> None:
    class Closed(FileBlobs):
        def open(self, name: str) -> BinaryIO:
            raise AssertionError(f"the blob {name} was read")

    lived.blobs = Closed(lived.folder / "blobs")
    report = lived.examine(quick=True)
    assert named(report) == []
    assert not report.whole
    _cut(lived.blob(lived["signed"]))
    lived.blob(lived["sealed"]).unlink()
    assert {(f.code.value, f.subject) for f in lived.examine(quick=True).faults} == {
        ("blob-damaged", lived["signed"]),
        ("blob-missing", lived["sealed"]),
    }


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.one_database("what is left out is the same")
def test_only_what_was_asked_for_is_looked_at(lived: Lived) -> None:
    lived.sql("UPDATE documents SET message_class = 'leaflet' WHERE id = :id", id=lived["signed"])
    _cut(lived.blob(lived["sealed"]))
    families = {
        family: [fault.code.value for fault in lived.examine(families=frozenset({family})).faults]
        for family in Family
    }
    assert families.pop(Family.DOCUMENTS) == ["document-value"]
    assert families.pop(Family.BLOBS) == ["blob-damaged"]
    assert not any(families.values())
    assert len(lived.examine(span=Span(only=lived["signed"])).faults) == 1
    assert [f.subject for f in lived.examine(span=Span(after=lived["signed"])).faults] == [
        lived["sealed"]
    ]
    assert lived.examine(span=Span(after=lived["fresh"])).faults == []
    assert lived.examine(span=Span(only=lived["fresh"])).counts["documents"] == 1


@pytest.mark.one_database("the digest is the same")
def test_views_that_are_not_what_was_delivered_are_found_when_asked_for(lived: Lived) -> None:
    content = lived.one("SELECT min(id) FROM mailbox_contents WHERE blob = :id", id=lived["signed"])
    prefix = bytes(lived.one("SELECT prefix FROM mailbox_contents WHERE id = :id", id=content))
    lived.change("mailbox_contents", content, "prefix = :prefix",
                 prefix=prefix.replace(b"seal=missing", b"seal=valid!!").swapcase())  # fmt: skip
    assert named(lived.examine()) == []
    assert [f.code.value for f in lived.examine(views=True).faults] == ["content-digest"]
