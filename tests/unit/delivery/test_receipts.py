"""Receipts: who gets which, by NOTIFY; one for each transaction; none before the log has sealed."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest

from gateway.delivery.outbox import NotYet, Piece
from gateway.delivery.receipts import Receipts
from gateway.directory.edit import change_unit
from gateway.exchange.outbox import Kind
from tests import letters
from tests.house import House, Mail

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def notice(to: str = "water", **more: str) -> bytes:
    return letters.plain("office", to, NOTICE, **more)


def blocks(mail: Mail) -> dict[str, str]:
    """Local part of each recipient in the delivery status, and its action."""
    [status] = [
        part for part in mail.message.walk() if part.get_content_type() == "message/delivery-status"
    ]
    found = {}
    for block in status.get_payload():  # type: ignore[union-attr]
        assert isinstance(block, EmailMessage)
        if block["Final-Recipient"]:
            address = block["Final-Recipient"].partition(";")[2].strip()
            found[address.partition("@")[0]] = block["Action"]
    return found


async def test_one_receipt_tells_of_all_consignments_of_one_transaction(house: House) -> None:
    document_id = await house.accept("office", notice("water finance"), "water", "finance")
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    assert (receipt.folder, receipt.flags) == ("回执", ("\\Seen",))
    message = receipt.message
    assert message["X-Yizhan-Document"] == document_id
    assert message["Return-Path"] in (None, "<>")
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "office@heping.test"
    assert set(blocks(receipt)) == {"water", "finance"}
    assert [row.kind for row in house.pieces()] == ["summary", "summary"]


async def test_a_notice_to_all_is_one_receipt(house: House) -> None:
    await house.accept("office", notice("all"), "all")
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    assert len(blocks(receipt)) >= 44


async def test_nothing_goes_out_before_the_log_has_sealed_its_records(house: House) -> None:
    await house.accept("office", notice(), "water")
    assert not await house.worker.turn()
    assert house.mail("unit:office", "receipt") == []
    [piece] = [row for row in house.pieces() if row.kind == "receipt"]
    assert (piece.attempts, piece.last_error) == (0, "")
    await house.sealer.turn()
    house.later(seconds=1)
    assert await house.worker.turn()
    assert len(house.mail("unit:office", "receipt")) == 1


async def test_the_handler_says_not_yet(house: House) -> None:
    await house.accept("office", notice(), "water")
    [row] = [row for row in house.pieces() if row.kind == "receipt"]
    piece = Piece(row.id, Kind.RECEIPT, row.document_id, row.payload, 1)
    with pytest.raises(NotYet):
        await Receipts(house.bureau).handle(piece)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        (("water", "finance"), {"water", "finance"}),
        (("water NEVER", "finance"), {"finance"}),
        (("water NEVER", "finance NEVER"), None),
        (("water SUCCESS", "finance FAILURE"), {"water"}),
        (("water SUCCESS,FAILURE", "finance DELAY"), {"water"}),
        (("water DELAY", "finance FAILURE"), None),
    ],
)
async def test_notify_decides_what_is_mailed_and_never_what_is_recorded(
    wishes: tuple[str, ...], told: set[str] | None, house: House
) -> None:
    document_id = await house.accept("office", notice("water finance"), *wishes)
    assert len(house.events(document_id)) == 4
    await house.work()
    receipts = house.mail("unit:office", "receipt")
    if told is None:
        assert receipts == []
    else:
        [receipt] = receipts
        assert set(blocks(receipt)) == told
    assert house.pieces("receipt") == []


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("", [True]),
        (" NEVER", []),
        (" FAILURE", [True]),
        (" DELAY", []),
        (" SUCCESS", [False]),  # that the office took it is a success of its own
    ],
)
async def test_a_failure_is_mailed_to_who_asked_for_failures_or_for_nothing(
    wish: str, told: list[bool], make_house: Any
) -> None:
    house = make_house(disabled_checks=["recipients"])
    submission = house.submission("office", notice("finance"), f"finance{wish}")
    house.change(change_unit, code="finance", active=False)
    await house.exchange.accept(submission)
    await house.work()
    receipts = house.mail("unit:office", "receipt")
    assert [blocks(receipt)["finance"] == "failed" for receipt in receipts] == told
    assert [receipt.flags == () for receipt in receipts] == told  # unread, where it went wrong


async def test_the_wish_for_a_group_holds_for_all_its_members(house: House) -> None:
    wishes = ("subdistricts NEVER", "water")
    await house.accept("office", notice("subdistricts water"), *wishes)
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    assert set(blocks(receipt)) == {"water"}


async def test_a_sign_for_is_mailed_to_the_sender(house: House) -> None:
    document_id = await house.accept("office", notice("water finance NEVER"), "water")
    await house.work()
    await house.sign(document_id, "water")
    await house.work()
    assert len(house.mail("unit:office", "receipt")) == 2


async def test_who_wants_no_receipts_gets_none_for_a_sign_for(house: House) -> None:
    document_id = await house.accept("office", notice(), "water NEVER")
    await house.sign(document_id, "water")
    await house.work(minutes=60 * 24 * 10)
    assert [mail.kind for mail in house.mail("unit:office")] == ["document"]
    assert house.pieces() == []


async def test_a_resends_receipt_tells_only_of_its_own_recipients(house: House) -> None:
    octets = notice("water finance")
    await house.accept("office", octets, "water")
    await house.work()
    await house.accept("office", octets, "water", "finance")
    await house.work()
    _, second = house.mail("unit:office", "receipt")
    assert set(blocks(second)) == {"finance"}


async def test_the_envid_comes_back(house: House) -> None:
    await house.accept("office", notice(), "water", envid="QQ314159")
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    [status] = [
        part
        for part in receipt.message.walk()
        if part.get_content_type() == "message/delivery-status"
    ]
    assert status.get_payload(0)["Original-Envelope-Id"] == "QQ314159"  # type: ignore[index]


@pytest.mark.parametrize(
    ("style", "original"), [("full", True), ("brief", False), ("machine", False)]
)
async def test_the_document_may_say_which_kind_of_receipt_it_wants(
    style: str, original: bool, house: House
) -> None:
    octets = notice(X_Yizhan_Receipt=style)
    await house.accept("office", octets, "water")
    await house.work()
    [receipt] = house.mail("unit:office", "receipt")
    payloads = [part.get_payload(decode=True) for part in receipt.message.walk()]
    assert (octets in payloads) == original


async def test_a_unit_that_has_been_closed_since_gets_no_receipt_and_blocks_nobody(
    house: House,
) -> None:
    await house.accept("finance", letters.plain("finance", "water", NOTICE), "water")
    await house.accept("office", notice(), "water")
    house.change(change_unit, code="finance", active=False)
    await house.work()
    assert house.mail("unit:finance", "receipt") == []
    assert len(house.mail("unit:office", "receipt")) == 1
    assert house.pieces("receipt") == []


async def test_a_receipt_in_english_lies_in_the_english_folder(house: House) -> None:
    octets = letters.plain("commerce", "water", NOTICE)
    await house.accept("commerce", octets, "water")
    await house.work()
    [receipt] = house.mail("unit:commerce", "receipt")
    assert receipt.folder == "Receipts"
