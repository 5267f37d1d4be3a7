"""Refusing: evidence and a receipt, once, and of the content nothing but its digest."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from gateway.directory.edit import change_unit
from gateway.directory.model import UnitClass
from gateway.directory.tables import accounts, directory_version
from gateway.errors import Deferred, Refused
from mailboxes import remembered
from tests import letters
from tests.house import House
from tests.schema import all_tables

SUBJECT = "机密★1年 关于专项资金的函"


def marked(to: str = "office", **more: str) -> bytes:
    return letters.plain("finance", to, SUBJECT, **more)


async def refused(house: House, login: str, octets: bytes, *to: str, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await house.submit(login, octets, *to, **more)
    return caught.value


def everything(house: House) -> bytes:
    """All that is on disk: every cell of every table, and every file."""

    def cells(connection: Connection) -> list[object]:
        tables = all_tables().sorted_tables
        return [cell for one in tables for row in connection.execute(select(one)) for cell in row]

    found = house.database.read_now(cells)
    octets = [cell if isinstance(cell, bytes) else str(cell).encode() for cell in found]
    octets += [path.read_bytes() for path in house.folder.rglob("*") if path.is_file()]
    return b"\n".join(octets)


async def test_a_refusal_is_evidence_a_receipt_and_an_alert_in_one_transaction(
    house: House,
) -> None:
    octets = marked()
    before = house.database.units
    error = await refused(house, "finance", octets, "office")
    assert house.database.units == before + 1
    assert (error.reason, error.reply.code) == ("ClassificationMarking", 550)
    assert error.reply.text.isascii()
    assert error.reply.text_zh
    [refusal_id] = house.refusals()
    found = house.document(refusal_id)
    assert (found["state"], found["rule"]) == ("refused", "marking")
    assert found["digest"] == hashlib.sha256(octets).hexdigest()
    assert house.events(refusal_id) == [("SubmissionRejection", "office")]
    [record] = found["evidence"]
    assert [reason["code"] for reason in record["reasons"]] == ["ClassificationMarking"]
    assert [row.kind for row in house.pieces()] == ["receipt", "alert"]
    assert (house.documents(), house.kept()) == ([], [])


async def test_a_refused_document_gets_one_record_for_each_recipient(house: House) -> None:
    octets = marked("office water")
    await refused(house, "finance", octets, "office", "water")
    [refusal_id] = house.refusals()
    assert house.events(refusal_id) == [
        ("SubmissionRejection", "office"), ("SubmissionRejection", "water"),
    ]  # fmt: skip


async def test_nothing_of_a_refused_document_is_remembered(house: House) -> None:
    await house.accept("finance", letters.plain("finance", "office", "关于开会的通知"), "office")
    assert any(one.cache_info().currsize for one in remembered._ALL)
    await refused(house, "finance", marked(), "office")
    assert not any(one.cache_info().currsize for one in remembered._ALL)


async def test_nothing_of_a_marked_document_is_kept_or_quoted(house: House) -> None:
    words = "专项资金的安排见下表甲乙丙丁"
    octets = letters.plain("finance", "office", SUBJECT, f"机密★1年\n\n{words}\n")
    await refused(house, "finance", octets, "office")
    await house.work()
    assert [one.kind for one in house.mail("unit:finance")] == ["receipt"]
    seen = everything(house)
    for text in (SUBJECT, words, "专项资金"):
        assert text.encode() not in seen
        assert text.encode("gb18030") not in seen
    for mail in (*house.mail("unit:finance"), *house.mail("person:security")):
        for part in mail.message.walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                assert "专项资金".encode() not in payload


async def test_the_sender_is_told_in_its_receipt_and_the_officer_in_an_alert(
    house: House,
) -> None:
    await refused(house, "finance", marked(), "office")
    [refusal_id] = house.refusals()
    await house.work()
    [receipt] = house.mail("unit:finance", "receipt")
    assert (receipt.folder, receipt.flags) == ("回执", ())
    assert receipt.message["X-Yizhan-Document"] == refusal_id
    [alert] = house.mail("person:security", "alert")
    assert alert.flags == ("\\Flagged",)
    assert refusal_id in alert.text
    assert house.pieces() == []


async def test_an_identical_resend_gets_the_first_refusal_and_nothing_else(house: House) -> None:
    octets = marked()
    first = await refused(house, "finance", octets, "office")
    again = await refused(house, "finance", octets, "office")
    assert again.reply == first.reply
    assert again.reason == first.reason
    assert len(house.refusals()) == 1
    assert len(house.pieces()) == 2


async def test_identical_refusals_at_once_are_one(house: House) -> None:
    octets = marked()
    errors = await asyncio.gather(*(refused(house, "finance", octets, "office") for _ in range(6)))
    assert len({str(error.reply) for error in errors}) == 1
    assert len(house.refusals()) == 1
    assert len(house.pieces()) == 2


@pytest.mark.parametrize("change", ["octets", "recipients", "week"])
async def test_another_submission_is_judged_anew(change: str, house: House) -> None:
    octets = marked("office water")
    await refused(house, "finance", octets, "office")
    match change:
        case "octets":
            await refused(house, "finance", octets + b"\r\n", "office")
        case "recipients":
            await refused(house, "finance", octets, "office", "water")
        case "week":
            house.later(days=7, seconds=1)
            await refused(house, "finance", octets, "office")
    assert len(house.refusals()) == 2


async def test_after_a_change_that_could_decide_otherwise_it_is_judged_anew(house: House) -> None:
    octets = letters.plain("finance", "all", "关于会议的通知")
    error = await refused(house, "finance", octets, "all")
    assert error.reason == "PolicyViolation"  # the group is not for bureaus
    house.change(change_unit, code="finance", unit_class=UnitClass.ORGAN)
    assert len(house.document(await house.accept("finance", octets, "all"))["recipients"]) == 44


async def test_what_must_wait_leaves_nothing_behind(house: House) -> None:
    house.exchange.judges.rates._most = 10_000
    account = house.directory.now().account("finance")
    assert account is not None
    for _ in range(700):
        house.exchange.judges.rates.note(account.id, house.clock.now())
    with pytest.raises(Deferred):
        await house.submit("finance", letters.plain("finance", "office", "会议"), "office")
    assert (house.refusals(), house.documents(), house.pieces(), house.kept()) == ([], [], [], [])


@pytest.mark.parametrize(
    ("notify", "receipts"), [("", 1), ("NEVER", 0), ("FAILURE", 1), ("SUCCESS", 0), ("DELAY", 0)]
)
async def test_never_stops_the_mail_but_not_the_record(
    notify: str, receipts: int, house: House
) -> None:
    await refused(house, "finance", marked(), f"office {notify}".strip())
    [refusal_id] = house.refusals()
    assert len(house.events(refusal_id)) == 1
    await house.work()
    assert len(house.mail("unit:finance", "receipt")) == receipts
    assert len(house.mail("person:security", "alert")) == 1
    assert house.pieces() == []


async def test_an_alert_without_anybody_to_tell_stays_and_is_tried_again(house: House) -> None:
    await refused(house, "finance", marked(), "office")
    # No command takes the last operator away; a database that was mended by hand may lack one.
    set_active(house, False)
    await house.work()
    [piece] = house.pieces()
    assert piece.kind == "alert"
    assert "neither a security officer nor an operator" in piece.last_error
    set_active(house, True)
    await house.work(minutes=5)
    assert house.pieces() == []
    assert len(house.mail("person:security", "alert")) == 1


def set_active(house: House, active: bool) -> None:
    def work(connection: Connection) -> None:
        logins = ("security", "operator")
        connection.execute(
            update(accounts).where(accounts.c.login.in_(logins)).values(active=active)
        )
        newer = directory_version.c.version + 1
        connection.execute(update(directory_version).values(version=newer))

    house.database.write_now(work)
