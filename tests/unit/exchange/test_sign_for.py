"""签收 and the evidence of reminders: state, record and next work are one commit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.domain.event import Reason
from gateway.domain.states import Way
from gateway.errors import CommandError
from gateway.evidence.notary import records_of
from gateway.evidence.record import Actor
from gateway.exchange.documents import Filter, find_delivery, list_documents
from gateway.exchange.notify import Told, record_reminders
from gateway.exchange.sign_for import sign_for
from gateway.exchange.tables import documents
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


@pytest.fixture
async def document_id(house: House) -> str:
    octets = letters.plain("office", "water finance", NOTICE)
    return await house.accept("office", octets, "water", "finance")


async def test_a_sign_for_is_state_evidence_and_the_end_of_its_reminders(
    house: House, document_id: str
) -> None:
    house.later(minutes=3)
    before = house.database.units
    signed = await house.sign(document_id, "water")
    assert house.database.units == before + 1
    delivery = house.document(document_id)["recipients"][0]
    assert (delivery["state"], delivery["signed_by"]) == ("signed", "王伟")
    assert delivery["signed_way"] == "operator"
    assert house.events(document_id)[-1] == ("ConsignmentAcceptance", "water")
    assert house.ladder.ended == [signed.delivery_id]
    assert not signed.complete
    [_, second] = house.pieces("receipt")
    assert json.loads(second.payload) == {"records": [signed.record_id]}


async def test_the_record_says_who_signed_for_what_and_follows_the_one_before(
    house: House, document_id: str
) -> None:
    await house.sign(document_id, "water")
    records = house.database.read_now(lambda c: records_of(c, document_id))
    last = json.loads(records[-1].octets)
    assert last["actor"]["name"] == "王伟"
    assert last["recipient"] == "water@heping.test"
    assert last["application"]["number"] == "和政办发〔2026〕5号"
    assert last["previous"] == records[-2].digest
    assert last["sequence"] == len(records)


async def test_nobody_signs_twice(house: House, document_id: str) -> None:
    await house.sign(document_id, "water")
    events = house.events(document_id)
    with pytest.raises(CommandError, match=r"it is signed [(]by 王伟[)]"):
        await house.sign(document_id, "water", "李明")
    assert house.events(document_id) == events


async def test_a_delivery_that_failed_or_is_not_there_cannot_be_signed_for(house: House) -> None:
    actor = Actor(account="x")
    with pytest.raises(CommandError, match="no delivery 77"):
        now = house.clock.now()
        house.database.write_now(
            lambda c: sign_for(c, house.means, 77, actor=actor, way=Way.OPERATOR, now=now)
        )


async def test_nobody_signs_for_plain_mail(house: House) -> None:
    document_id = await house.accept("office", letters.plain("office", "water", "午饭"), "water")
    assert house.document(document_id)["metadata"]["class"] == "mail"
    with pytest.raises(CommandError, match="plain mail"):
        await house.sign(document_id, "water")
    assert house.ladder.told == []
    assert house.pieces("summary") == []


async def test_the_last_sign_for_completes_the_document_and_hastens_the_one_summary(
    house: House, document_id: str
) -> None:
    assert len(house.pieces("summary")) == 2  # after some minutes, and at the deadline
    assert not (await house.sign(document_id, "water")).complete
    assert len(house.pieces("summary")) == 2
    assert (await house.sign(document_id, "finance")).complete
    [summary] = house.pieces("summary")
    assert summary.due_at <= house.clock.now().timestamp() * 1000


async def test_a_failure_inside_leaves_the_delivery_unsigned(
    house: House, document_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any) -> None:
        raise RuntimeError("not now")

    monkeypatch.setattr(house.ladder, "settled", broken)
    with pytest.raises(RuntimeError, match="not now"):
        await house.sign(document_id, "water")
    assert house.document(document_id)["recipients"][0]["state"] == "consigned"
    assert len(house.events(document_id)) == 4


async def test_of_encrypted_content_no_record_claims_a_number(
    house: House, document_id: str
) -> None:
    opened = update(documents).values(opening="opened")
    house.database.write_now(lambda c: c.execute(opened).rowcount)
    await house.sign(document_id, "water")
    remind(house, document_id, "finance")
    records = house.database.read_now(lambda c: records_of(c, document_id))
    assert [json.loads(one.octets)["application"]["number"] for one in records[-2:]] == ["", ""]


def remind(
    house: House, document_id: str, unit: str, reason: Reason | None = None, detail: str = ""
) -> str:
    def work(connection: Connection) -> str:
        delivery = find_delivery(connection, document_id, f"unit:{unit}")
        assert delivery is not None
        told, now = Told(delivery, reason, detail), house.clock.now()
        [record] = record_reminders(connection, house.means, document_id, [told], now)
        return record

    return house.database.write_now(work)


async def test_a_reminder_that_went_out_and_one_that_did_not_are_evidence(
    house: House, document_id: str
) -> None:
    remind(house, document_id, "water")
    remind(house, document_id, "finance", Reason.RECIPIENT_UNREACHABLE, "no mobile number")
    assert house.events(document_id)[-2:] == [
        ("ConsignmentNotification", "water"),
        ("ConsignmentNotificationFailure", "finance"),
    ]
    last = house.document(document_id)["evidence"][-1]
    assert last["reasons"] == [{"code": "RecipientUnreachable", "detail": "no mobile number"}]
    assert house.document(document_id)["evidence"][-2]["reasons"] == []


async def test_a_reminder_of_a_delivery_that_is_not_the_documents_is_an_error(
    house: House, document_id: str
) -> None:
    other = await house.accept("office", letters.plain("office", "police", NOTICE), "police")
    now = house.clock.now()

    def work(connection: Connection) -> None:
        delivery = find_delivery(connection, document_id, "unit:water")
        assert delivery is not None
        record_reminders(connection, house.means, other, [Told(delivery)], now)

    before = house.events(other)
    with pytest.raises(LookupError):
        house.database.write_now(work)
    assert house.events(other) == before


# Questions about documents


def listed(house: House, **wanted: Any) -> list[str]:
    directory = house.directory.now()
    rows = house.database.read_now(lambda c: list_documents(c, Filter(**wanted), directory))
    return [row["id"] for row in rows]


async def test_documents_are_found_by_unit_time_state_urgency_class_and_text(
    house: House, document_id: str
) -> None:
    house.later(hours=1)
    later = house.clock.now()
    urgent = letters.plain("education", "water", "【特急】和教函〔2026〕7号 关于停课100%的函")
    other = await house.accept("education", urgent, "water")
    house.later(seconds=1)
    plain = await house.accept("office", letters.plain("office", "police", "午饭"), "police")
    units = {one.code: one.id for one in house.directory.now().units()}
    await house.sign(document_id, "water")

    assert listed(house) == [plain, other, document_id]
    assert listed(house, limit=1) == [plain]
    assert listed(house, unit_id=units["water"]) == [other, document_id]
    assert listed(house, unit_id=units["office"]) == [plain, document_id]
    assert listed(house, since=later) == [plain, other]
    assert listed(house, until=later) == [document_id]
    assert listed(house, state="signed") == [document_id]
    assert listed(house, urgency="extra") == [other]
    assert listed(house, message_class="mail") == [plain]
    assert listed(house, text="停课") == [other]
    assert listed(house, text="〔2026〕5号") == [document_id]
    assert listed(house, text="100%的") == [other]
    assert listed(house, text="%") == [other]
    assert listed(house, text="_") == []


async def test_a_long_list_asks_in_portions(house: House, document_id: str) -> None:
    directory = house.directory.now()

    def many(connection: Connection) -> int:
        from gateway.exchange.documents import _counts

        return len(_counts(connection, [document_id] + ["x"] * 40_000))

    assert house.database.read_now(many) == 1
    rows = house.database.read_now(lambda c: list_documents(c, Filter(limit=100_000), directory))
    assert [(row["recipients"], row["signed"]) for row in rows] == [(2, 0)]
