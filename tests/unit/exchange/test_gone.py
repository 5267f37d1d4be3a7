"""Who is no longer there: between RCPT and DATA, between login and DATA, after a merger."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.directory.edit import change_unit, merge_units, set_members
from gateway.errors import Refused
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def notice(to: str = "water", sender: str = "office", **more: str) -> bytes:
    return letters.plain(sender, to, NOTICE, **more)


async def test_who_leaves_between_rcpt_and_data_makes_the_whole_message_refused(
    house: House,
) -> None:
    submission = house.submission("office", notice("water finance"), "water", "finance")
    house.change(change_unit, code="finance", active=False)
    with pytest.raises(Refused) as caught:
        await house.exchange.accept(submission)
    assert caught.value.reason == "UnknownRecipient"
    assert house.documents() == []


async def test_where_policy_lets_it_pass_the_failure_is_evidence_not_silence(
    make_house: Callable[..., House],
) -> None:
    house = make_house(disabled_checks=["recipients"])
    submission = house.submission("office", notice("water finance"), "water", "finance")
    house.change(change_unit, code="finance", active=False)
    document_id = (await house.exchange.accept(submission)).document_id
    assert house.events(document_id) == [
        ("SubmissionAcceptance", "water"),
        ("SubmissionAcceptance", "finance"),
        ("ContentConsignment", "water"),
        ("ContentConsignmentFailure", "finance"),
    ]
    failed = house.document(document_id)["recipients"][1]
    assert (failed["state"], failed["consigned"]) == ("failed", None)
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    assert receipt.flags == ()  # unread: something went wrong


async def test_a_group_that_has_lost_its_last_member_is_a_failure_too(
    make_house: Callable[..., House],
) -> None:
    house = make_house(disabled_checks=["recipients"])
    submission = house.submission("office", notice("water subdistricts"), "water", "subdistricts")
    house.change(set_members, name="subdistricts", members=[])
    document_id = (await house.exchange.accept(submission)).document_id
    assert ("ContentConsignmentFailure", "subdistricts") in house.events(document_id)


async def test_who_comes_back_within_the_week_gets_it_with_the_resend(
    make_house: Callable[..., House],
) -> None:
    house = make_house(disabled_checks=["recipients"])
    octets = notice("water finance")
    submission = house.submission("office", octets, "water", "finance")
    house.change(change_unit, code="finance", active=False)
    document_id = (await house.exchange.accept(submission)).document_id
    house.change(change_unit, code="finance", active=True)
    assert await house.accept("office", octets, "water", "finance") == document_id
    assert house.events(document_id)[-1] == ("ContentConsignment", "finance")
    assert len(house.mail("unit:finance")) == 1
    await house.work()
    assert len(house.mail("unit:office", "receipt")) == 2


async def test_mail_to_a_merged_unit_reaches_its_successor_once(house: House) -> None:
    house.change(merge_units, code="science", into="education")
    octets = notice("science education")
    document_id = await house.accept("office", octets, "science", "education")
    [delivery] = house.document(document_id)["recipients"]
    assert (delivery["owner"], delivery["address"]) == ("unit:education", "education@heping.test")
    assert len(house.mail("unit:education")) == 1
    await house.work()
    assert len(house.mail("unit:office", "receipt")) == 1


async def test_an_account_that_lost_its_right_since_login_is_refused(house: House) -> None:
    submission = house.submission("water", notice("office", "water"), "office")
    house.change(change_unit, code="water", active=False)
    with pytest.raises(Refused) as caught:
        await house.exchange.accept(submission)
    assert caught.value.reason == "SenderNotIdentified"


async def test_who_stands_in_to_is_a_main_recipient_wherever_else_it_stands(house: House) -> None:
    octets = notice("water", Cc="water@heping.test, finance@heping.test")
    document_id = await house.accept("office", octets, "water", "finance")
    roles = {one["owner"]: one["role"] for one in house.document(document_id)["recipients"]}
    assert roles == {"unit:water": "to", "unit:finance": "cc"}
