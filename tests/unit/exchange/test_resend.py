"""Resends and duplicates: what was taken once is not taken twice, and nobody is left out."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Refused
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def notice(to: str = "water", sender: str = "office", **more: str) -> bytes:
    return letters.plain(sender, to, NOTICE, **more)


async def test_a_resend_answers_with_the_first_id_and_writes_nothing(house: House) -> None:
    octets = notice()
    first = await house.accept("office", octets, "water")
    events, pieces = house.events(first), house.pieces()
    again = await house.submit("office", octets, "water")
    assert (again.document_id, again.repeated) == (first, True)
    assert house.events(first) == events
    assert house.pieces() == pieces
    assert house.kept() == [first]
    assert len(house.mail("unit:water")) == 1
    assert len(house.mail("unit:office")) == 1


async def test_a_resend_adds_the_recipients_that_it_adds(house: House) -> None:
    octets = notice("water finance education")
    first = await house.accept("office", octets, "water")
    house.later(minutes=5)
    again = await house.submit("office", octets, "water", "finance", "education")
    assert (again.document_id, again.repeated) == (first, True)
    assert house.events(first) == [
        ("SubmissionAcceptance", "water"),
        ("ContentConsignment", "water"),
        ("SubmissionAcceptance", "finance"),
        ("SubmissionAcceptance", "education"),
        ("ContentConsignment", "finance"),
        ("ContentConsignment", "education"),
    ]
    assert [row.kind for row in house.pieces()].count("receipt") == 2
    assert len(house.mail("unit:water")) == 1
    [mail] = house.mail("unit:finance")
    assert mail.message["Subject"] == f"〔无章〕{NOTICE}"  # not called a duplicate of itself
    assert len(house.mail("unit:office")) == 1  # one copy in Sent
    assert house.kept() == [first]
    assert [one.owner_key for one in house.ladder.told] == [
        "unit:water", "unit:finance", "unit:education",
    ]  # fmt: skip


async def test_a_resend_to_a_group_reaches_only_who_had_it_not(house: House) -> None:
    octets = notice("water all")
    first = await house.accept("office", octets, "water")
    await house.accept("office", octets, "all")
    found = house.document(first)
    assert len(found["recipients"]) == 44
    assert len(house.mail("unit:water")) == 1
    assert {one["via"] for one in found["recipients"]} == {"water@heping.test", "all@heping.test"}
    await house.work()
    assert len(house.mail("unit:office", "receipt")) == 2


async def test_a_resend_after_a_week_is_a_document_of_its_own(house: House) -> None:
    octets = notice()
    first = await house.accept("office", octets, "water")
    house.later(days=7, seconds=1)
    assert await house.accept("office", octets, "water") != first


async def test_other_octets_under_one_message_id_are_another_document(house: House) -> None:
    octets = notice()
    first = await house.accept("office", octets, "water")
    assert await house.accept("office", octets + b"P.S.\r\n", "water") != first
    assert len(house.documents()) == 2


async def test_the_same_octets_from_another_sender_are_another_document(house: House) -> None:
    octets = notice("water")
    first = await house.accept("office", octets, "water")
    with pytest.raises(Refused):  # From is the office's
        await house.accept("finance", octets, "water")
    assert house.documents() == [first]


async def test_two_identical_submissions_at_once_are_one_document(house: House) -> None:
    octets = notice("water finance")
    done = await asyncio.gather(
        *(house.submit("office", octets, "water", "finance") for _ in range(8))
    )
    assert len({one.document_id for one in done}) == 1
    assert [one.repeated for one in done].count(False) == 1
    [document_id] = house.documents()
    assert house.kept() == [document_id]
    assert len(house.events(document_id)) == 4
    assert len(house.mail("unit:water")) == 1
    assert len(house.mail("unit:office")) == 1


async def test_who_is_overtaken_still_adds_the_recipients_of_its_own(house: House) -> None:
    octets = notice("water finance")
    done = await asyncio.gather(
        house.submit("office", octets, "water"), house.submit("office", octets, "finance")
    )
    assert len({one.document_id for one in done}) == 1
    [document_id] = house.documents()
    owners = {one["owner"] for one in house.document(document_id)["recipients"]}
    assert owners == {"unit:water", "unit:finance"}
    assert house.kept() == [document_id]


async def test_a_recoded_copy_within_a_day_is_accepted_and_marked(house: House) -> None:
    octets = notice()
    first = await house.accept("office", octets, "water")
    house.later(hours=23)
    second = await house.accept("office", octets.replace(b"Date: Sat", b"Date:  Sat"), "water")
    found = house.document(second)
    assert found["metadata"]["possible_duplicate_of"] == first
    assert found["metadata"]["warnings"].count("possible-duplicate") == 1
    subjects = [mail.message["Subject"] for mail in house.mail("unit:water")]
    assert subjects == [f"〔无章〕{NOTICE}", f"〔无章〕〔疑重发〕{NOTICE}"]
    house.later(hours=25)
    third = await house.accept("office", octets.replace(b"Date: Sat", b"Date:   Sat"), "water")
    assert house.document(third)["metadata"]["possible_duplicate_of"] == ""


async def test_other_recipients_make_no_duplicate(house: House) -> None:
    octets = notice("water finance")
    await house.accept("office", octets, "water")
    second = await house.accept("office", octets.replace(b"Date: Sat", b"Date:  Sat"), "finance")
    assert house.document(second)["metadata"]["possible_duplicate_of"] == ""
