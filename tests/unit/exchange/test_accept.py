"""Acceptance: all that `250` promises is in one transaction, once, whatever comes between."""

from __future__ import annotations

import errno
import hashlib
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.directory.edit import change_unit, set_members
from gateway.errors import CommitUnknown, Refused, StoreUnavailable
from gateway.exchange.exchange import Exchange
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def notice(to: str = "water", sender: str = "office", **more: str) -> bytes:
    return letters.plain(sender, to, NOTICE, **more)


def broken(*_given: Any, **_named: Any) -> Any:
    raise RuntimeError("not now")


async def test_one_transaction_holds_all_that_was_promised(house: House) -> None:
    octets = notice("water finance")
    before = house.database.units
    document_id = await house.accept("office", octets, "water", "finance")
    assert house.database.units == before + 1

    found = house.document(document_id)
    assert found["digest"] == hashlib.sha256(octets).hexdigest()
    assert (found["state"], found["size"]) == ("accepted", len(octets))
    assert found["sender"]["unit"] == "office"
    assert found["metadata"]["class"] == "document"
    assert [(one["owner"], one["state"]) for one in found["recipients"]] == [
        ("unit:water", "consigned"), ("unit:finance", "consigned"),
    ]  # fmt: skip
    assert house.events(document_id) == [
        ("SubmissionAcceptance", "water"),
        ("SubmissionAcceptance", "finance"),
        ("ContentConsignment", "water"),
        ("ContentConsignment", "finance"),
    ]
    times = {one["time"] for one in found["evidence"]}
    assert len(times) == 1  # one time value for all of one transaction
    [payload] = [p for p in house.payloads() if p]
    assert payload["records"] == [one["id"] for one in found["evidence"]]
    assert [(row.kind, row.due_at - row.due_at % 60_000) for row in house.pieces("summary")]
    assert [one.owner_key for one in house.ladder.told] == ["unit:water", "unit:finance"]
    assert house.kept() == [document_id]
    with house.blobs.open(document_id) as file:
        assert file.read() == octets


async def test_a_transaction_that_fails_leaves_no_trace_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.ladder, "delivered", broken)
    with pytest.raises(RuntimeError, match="not now"):
        await house.accept("office", notice(), "water")
    monkeypatch.undo()
    assert (house.documents(), house.pieces(), house.mail("unit:water")) == ([], [], [])
    assert house.kept() == []
    document_id = await house.accept("office", notice(), "water")
    assert house.kept() == [document_id]


async def test_views_that_cannot_be_made_leave_no_blob(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exchange, "_prepare", broken)
    with pytest.raises(RuntimeError, match="not now"):
        await house.accept("office", notice(), "water")
    assert house.kept() == []


async def test_a_full_database_is_temporary_and_does_not_fill_the_disk_with_blobs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_connection: Connection, **_named: Any) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        raise StoreUnavailable("the database cannot be written") from error

    monkeypatch.setattr("gateway.exchange.exchange.accept", full)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await house.accept("office", notice(), "water")
    assert house.kept() == []


async def test_a_commit_in_doubt_keeps_the_blob(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = house.database.engine.dialect
    commit, error = dialect.do_commit, dialect.dbapi.OperationalError

    def doubtful(connection: Any) -> None:
        if threading.current_thread().name.startswith("writer"):
            raise error("disk I/O error")
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", doubtful)
    with pytest.raises(CommitUnknown):
        await house.accept("office", notice(), "water")
    assert len(house.kept()) == 1


async def test_a_full_disk_under_the_blobs_is_temporary(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreUnavailable):
        await house.accept("office", notice(), "water")
    monkeypatch.undo()
    assert (house.kept(), house.documents()) == ([], [])


async def test_the_blob_is_on_disk_before_the_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    dialect = house.database.engine.dialect
    commit = dialect.do_commit

    def look(connection: Any) -> None:
        if threading.current_thread().name.startswith("writer"):
            seen.append(house.kept())
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", look)
    document_id = await house.accept("office", notice(), "water")
    assert seen == [[document_id]]


async def test_the_reader_gets_our_prefix_and_the_untouched_body(house: House) -> None:
    octets = notice()
    document_id = await house.accept("office", octets, "water")
    [mail] = house.mail("unit:water")
    assert (mail.folder, mail.flags, mail.kind) == ("INBOX", (), "document")
    assert mail.message["Subject"] == f"〔无章〕{NOTICE}"
    assert mail.message["Yizhan-Document"] == document_id
    assert mail.octets.endswith(octets.partition(b"\r\n\r\n")[2])
    [sent] = house.mail("unit:office")
    assert (sent.folder, sent.flags) == ("已发送", ("\\Seen",))
    assert sent.message["Subject"] == NOTICE


async def test_a_large_original_is_read_back_from_its_blob(house: House) -> None:
    octets = notice() + b"x" * 70 + b"\r\n" + (b"y" * 998 + b"\r\n") * 200
    assert len(octets) < house.exchange.judges.settings.in_process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.exchange.keeping.IN_MEMORY", 1000)
        await house.accept("office", octets, "water")
    [mail] = house.mail("unit:water")
    assert mail.octets.endswith(octets.partition(b"\r\n\r\n")[2])


# Groups


async def test_a_group_is_one_blob_and_a_delivery_for_each_member(house: House) -> None:
    document_id = await house.accept("office", notice("all"), "all")
    found = house.document(document_id)
    assert len(found["recipients"]) == 44
    assert {one["via"] for one in found["recipients"]} == {"all@heping.test"}
    assert [(one["address"], one["group"]) for one in found["envelope"]] == [
        ("all@heping.test", True)
    ]
    events = house.events(document_id)
    assert events[0] == ("SubmissionAcceptance", "all")
    assert len([one for one in events if one[0] == "ContentConsignment"]) == 44
    assert house.kept() == [document_id]


async def test_a_group_is_frozen_when_it_is_sent(house: House) -> None:
    document_id = await house.accept("office", notice("subdistricts"), "subdistricts")
    before = [one["owner"] for one in house.document(document_id)["recipients"]]
    house.change(set_members, name="subdistricts", members=["water"])
    assert [one["owner"] for one in house.document(document_id)["recipients"]] == before


async def test_marks_follow_the_units_language_and_choice(house: House) -> None:
    house.change(change_unit, code="finance", subject_marks=False)
    subject = f"【特急】{NOTICE}"
    octets = letters.plain("office", "water commerce finance", subject)
    await house.accept("office", octets, "water", "commerce", "finance")
    subjects = {
        unit: house.mail(f"unit:{unit}")[0].message["Subject"]
        for unit in ("water", "commerce", "finance")
    }
    assert subjects == {
        "water": f"〔特急〕〔无章〕{subject}",
        "commerce": f"[Extra urgent][No seal] {subject}",
        "finance": subject,
    }


# Mail that is broken

JUNK = (
    b"\xff\xfe", b"\xed\xa0\x80", b"\xb9\xd8", b"\xc2\x85", b"\xe2\x80\xa8", b"\x01", b"\x7f",
    b"=?utf-7?Q?+2AA-?=", b"=?rot13?B?eA==?=", b"=?utf-8?B?7aCA?=", b"=?utf-16?B?ANg=?=",
    b"=?x*en?Q?a?=", b"=?utf-8?B?====?=", b"\xf0\x9f\x98\x80", b";", b'"', b"\r\n", b"<", b"//",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_no_mail_however_broken_must_wait_for_ever(
    seed: int, make_house: Callable[..., House]
) -> None:
    house = make_house(disabled_checks=["identity", "rate", "blindcopy"])
    await house.inspector.start()
    chance = random.Random(seed)
    whole = letters.with_attachment(notice(), "报告.txt", "正文".encode("gb18030"), "text/plain")
    kept = []
    for _ in range(20):
        octets = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(octets))
            octets[place : place + chance.choice([0, 0, 1, 5])] = chance.choice(JUNK)
        for name in (b"Message-ID: <", b"Subject: ", b"Content-Type: ", b"multipart/", b"filename"):
            place = octets.find(name)
            if place >= 0 and chance.random() < 0.2:
                octets[place + len(name) : place + len(name)] = chance.choice(JUNK)
        try:
            kept.append((await house.accept("office", bytes(octets), "water"), bytes(octets)))
        except Refused:
            continue  # what it is refused for does not matter here; any other error does
    await house.work()
    assert [piece.last_error for piece in house.pieces() if piece.last_error] == []
    assert kept
    for document_id, octets in kept:
        with house.blobs.open(document_id) as file:
            assert file.read() == octets
        assert house.document(document_id)


async def test_a_document_that_cannot_be_prepared_leaves_no_blob(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any, **_more: Any) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("gateway.exchange.exchange.views.prepare", broken)
    with pytest.raises(ValueError, match="a mistake"):
        await house.accept("office", notice(), "water")
    assert (house.documents(), house.kept()) == ([], [])
