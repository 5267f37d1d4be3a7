"""Replies, read receipts and mails to action addresses sign for a document, or return it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from gateway.directory import accounts
from gateway.directory.model import Role
from gateway.domain.address import Address
from gateway.domain.submission import Accepted
from gateway.errors import Refused
from gateway.evidence.notary import records_of
from gateway.policy.signing import Counts, ReadReceipt, Waiting
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


@pytest.fixture
async def document_id(house: House) -> str:
    made = await house.accept("office", letters.plain("office", "water finance", NOTICE), "water",
                              "finance")  # fmt: skip
    house.later(minutes=1)
    return made


def message_id(house: House, document_id: str) -> str:
    return str(house.document(document_id)["message_id"])


def address(house: House, owner: str = "unit:water") -> str:
    """Where the mail program sends its read receipt."""
    [mail] = house.mail(owner, "document")
    [field] = mail.message.get_all("Disposition-Notification-To")
    return str(field).strip("<>")


async def reply(
    house: House, document_id: str, text: str, login: str = "water-li", to: str = "office",
    **more: Any,
) -> Accepted:  # fmt: skip
    octets = letters.plain(
        login, to, f"Re: {NOTICE}", text, In_Reply_To=message_id(house, document_id)
    )
    return await house.submit(login, octets, *to.split(), **more)


async def to_address(
    house: House, text: str, login: str = "water-li", at: str = "", **more: str
) -> Accepted:
    octets = letters.plain(login, at or address(house), "x", text, **more)
    return await offer(house, octets, login, at)


async def offer(house: House, octets: bytes, login: str = "water-li", at: str = "") -> Accepted:
    """What a door does with a mail to such an address."""
    whole = Address.parse(at or address(house))
    account = house.directory.now().account(login)
    assert account is not None
    found = house.exchange.action(whole, account, "192.0.2.7")
    return await house.exchange.act(house.submission(login, octets, str(whole)), found)


def read_receipt(
    house: House, document_id: str,
    mode: str = "manual-action/MDN-sent-manually", kind: str = "displayed", about: str = "",
) -> bytes:  # fmt: skip
    return (
        "From: water-li@heping.test\r\nTo: x\r\nSubject: Return Receipt (displayed)\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report;\r\n"
        ' report-type=disposition-notification; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nThis is a Return Receipt.\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        "Reporting-UA: x; Thunderbird\r\nFinal-Recipient: rfc822;water@heping.test\r\n"
        f"Original-Message-ID: {about or message_id(house, document_id)}\r\n"
        f"Disposition: {mode}; {kind}\r\n\r\n--b--\r\n"
    ).encode()


def delivery(house: House, document_id: str, owner: str = "unit:water") -> dict[str, Any]:
    rows = house.document(document_id)["recipients"]
    return next(row for row in rows if row["owner"] == owner)


def last_record(house: House, document_id: str) -> dict[str, Any]:
    records = house.database.read_now(lambda c: records_of(c, document_id))
    value: dict[str, Any] = json.loads(records[-1].octets)
    return value


def counts(house: House, personal: Counts, shared: Counts = Counts.OPENED) -> None:
    live = house.means.signing
    chosen = ReadReceipt(personal=personal, shared=shared)
    live.adopt(live.now.model_copy(update={"read_receipt": chosen}))


@pytest.mark.parametrize("text", ["签收\n", "收到。\n", "Received\n\n> 各单位：\n"])
async def test_a_reply_that_is_only_the_word_signs(
    house: House, document_id: str, text: str
) -> None:
    documents = house.documents()
    accepted = await reply(house, document_id, text)
    assert accepted.document_id == document_id
    assert accepted.answer is not None and str(accepted.answer) == "250 2.0.0 Signed for"
    row = delivery(house, document_id)
    assert (row["state"], row["signed_by"], row["signed_way"]) == ("signed", "李娜", "reply")
    assert last_record(house, document_id)["actor"] == {
        "account": "water-li", "unit": "water", "name": "李娜", "login": "password",
        "address": "192.0.2.7",
    }  # fmt: skip
    assert house.ladder.ended == [row["delivery"]]
    # An act is no document: nothing is kept of it, and nobody gets it.
    assert house.documents() == documents
    assert len(house.kept()) == 1
    assert len(house.mail("unit:office", "document")) == 1


@pytest.mark.parametrize(
    "text",
    ["收到\n另外，会议室改在三楼，请转告。\n", "请尽快签收\n", "> 签收\n", "\n", "收到，马上办\n"],
)
async def test_an_ordinary_reply_stays_a_mail(house: House, document_id: str, text: str) -> None:
    accepted = await reply(house, document_id, text)
    assert accepted.answer is None
    assert delivery(house, document_id)["state"] == "consigned"
    assert len(house.mail("unit:office", "document")) == 2


async def test_an_inherited_subject_signs_for_nothing(house: House, document_id: str) -> None:
    octets = letters.plain(
        "water-li", "office", "签收", "请问会议在几点？", In_Reply_To=message_id(house, document_id)
    )
    assert (await house.submit("water-li", octets, "office")).answer is None
    assert delivery(house, document_id)["state"] == "consigned"


async def test_a_word_that_answers_no_document_is_a_mail(house: House, document_id: str) -> None:
    for fields in ({}, {"In_Reply_To": "<other@heping.test>"}):
        octets = letters.plain("water-li", "office", "签收", "签收", **fields)
        assert (await house.submit("water-li", octets, "office")).answer is None
    aside = await reply(house, document_id, "签收", to="finance")  # not to the document's sender
    assert aside.answer is None
    stranger = await reply(house, document_id, "签收", "education-zhao")  # not delivered there
    assert stranger.answer is None
    assert delivery(house, document_id)["state"] == "consigned"


async def test_a_thread_of_two_documents_says_not_which(house: House, document_id: str) -> None:
    other = await house.accept("office", letters.plain("office", "water", f"{NOTICE}二"), "water")
    both = f"{message_id(house, document_id)} {message_id(house, other)}"
    octets = letters.plain("water-li", "office", "Re: x", "签收", References=both)
    assert (await house.submit("water-li", octets, "office")).answer is None
    one = letters.plain(
        "water-li", "office", "Re: x", "签收", References=both,
        In_Reply_To=message_id(house, other),
    )  # fmt: skip
    assert (await house.submit("water-li", one, "office")).document_id == other
    assert delivery(house, document_id)["state"] == "consigned"


async def test_a_word_with_a_file_or_from_a_program_is_a_mail(
    house: House, document_id: str
) -> None:
    about = message_id(house, document_id)
    plain = letters.plain("water-li", "office", "Re: x", "签收", In_Reply_To=about)
    file = letters.with_attachment(plain, "a.txt", b"a")
    assert (await house.submit("water-li", file, "office")).answer is None
    program = letters.plain(
        "water-li", "office", "Re: x", "签收", In_Reply_To=about, Auto_Submitted="auto-replied"
    )
    assert (await house.submit("water-li", program, "office")).answer is None
    assert delivery(house, document_id)["state"] == "consigned"


async def test_a_shared_login_says_who_signs(house: House, document_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await reply(house, document_id, "签收", "water")
    assert refused.value.reply.code == 550
    assert "签收 姓名" in refused.value.reply.text_zh
    assert house.refusals() == []  # an act that fails is no refused document
    await reply(house, document_id, "签收 张三", "water")
    row = delivery(house, document_id)
    assert (row["signed_by"], row["signed_way"]) == ("张三", "reply")
    assert last_record(house, document_id)["actor"]["account"] == "water"


async def test_the_second_sign_for_is_no_error_and_is_explained(
    house: House, document_id: str
) -> None:
    await reply(house, document_id, "签收")
    house.later(minutes=1)
    second = await reply(house, document_id, "签收 王五", "water")
    assert second.answer is not None
    assert (second.answer.code, second.answer.text_zh) == (
        250,
        "此件已签收（李娜，2026-03-02 12:01）",
    )
    assert delivery(house, document_id)["signed_by"] == "李娜"
    await house.work()
    [answer] = house.mail("unit:water", "answer")
    assert "李娜" in answer.text and answer.message["Subject"].startswith("此件已签收")


async def test_two_replies_at_once_have_one_outcome(house: House, document_id: str) -> None:
    done = await asyncio.gather(
        reply(house, document_id, "签收"), reply(house, document_id, "签收 张三", "water")
    )
    assert all(one.answer is not None and one.answer.code == 250 for one in done)
    names = [event for event, _ in house.events(document_id)]
    assert names.count("ConsignmentAcceptance") == 1


async def test_a_reply_returns_with_its_reason(house: House, document_id: str) -> None:
    with pytest.raises(Refused, match="Say why"):
        await reply(house, document_id, "退文")
    done = await reply(house, document_id, "退文：缺少附件二")
    assert done.answer is not None and done.answer.text_zh.startswith("已退文")
    row = delivery(house, document_id)
    assert (row["state"], row["returned_reason"]) == ("returned", "缺少附件二")
    assert last_record(house, document_id)["reasons"] == [
        {"code": "Other", "detail": "缺少附件二"}, {"code": "Way", "detail": "reply"},
    ]  # fmt: skip
    await house.work()
    texts = [one.text for one in house.mail("unit:office", "receipt")]
    assert any("缺少附件二" in text for text in texts)
    [summary] = house.mail("unit:office", "summary")
    assert "原因：缺少附件二" in summary.text
    with pytest.raises(Refused, match="returned already"):
        await reply(house, document_id, "签收")


async def test_a_reason_that_bears_a_marking_goes_nowhere(house: House, document_id: str) -> None:
    before = house.events(document_id)
    with pytest.raises(Refused) as refused:
        await reply(house, document_id, "退文：机密★1年")
    assert refused.value.reason == "ClassificationMarking"
    assert house.events(document_id) == before


async def test_what_was_signed_for_is_returned_by_reply_of_a_shared_login(
    house: House, document_id: str
) -> None:
    await reply(house, document_id, "签收")
    with pytest.raises(Refused, match="who returns it"):
        await reply(house, document_id, "退文：缺少附件", "water")
    await reply(house, document_id, "退文 张三：缺少附件", "water")
    row = delivery(house, document_id)
    assert (row["state"], row["returned_by"], row["returned_reason"]) == (
        "returned", "张三", "缺少附件",
    )  # fmt: skip


async def test_every_recipients_copy_asks_for_a_receipt_to_the_action_address_alone(
    house: House,
) -> None:
    octets = letters.plain(
        "office", "water finance", NOTICE, Disposition_Notification_To="office@heping.test",
        Return_Receipt_To="office@heping.test",
    )  # fmt: skip
    document_id = await house.accept("office", octets, "water", "finance")
    where = address(house)
    assert where == address(house, "unit:finance")  # one view for all: the login tells them apart
    assert where.startswith(f"act+{document_id}.") and where == where.lower()
    assert len(where.partition("@")[0]) <= 64
    [mail] = house.mail("unit:water", "document")
    assert mail.message.get_all("Return-Receipt-To") is None
    [own] = house.mail("unit:office", "document")
    assert own.message.get_all("Disposition-Notification-To") == ["office@heping.test"]


async def test_plain_mail_keeps_its_own_wish_for_a_receipt(house: House) -> None:
    octets = letters.plain(
        "office", "water", "午餐", Disposition_Notification_To="office@heping.test"
    )
    await house.accept("office", octets, "water")
    assert address(house) == "office@heping.test"


async def test_a_read_receipt_sent_by_hand_signs_for_a_personal_login(
    house: House, document_id: str
) -> None:
    await offer(house, read_receipt(house, document_id))
    row = delivery(house, document_id)
    assert (row["signed_by"], row["signed_way"]) == ("李娜", "read-receipt")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("automatic-action/MDN-sent-automatically", "displayed"),
        ("automatic-action/MDN-sent-manually", "displayed"),
        ("manual-action/MDN-sent-automatically", "displayed"),
        ("manual-action/MDN-sent-manually", "deleted"),
        ("", ""),
    ],
)
async def test_a_read_receipt_that_nobody_sent_counts_for_nothing(
    house: House, document_id: str, mode: str, kind: str
) -> None:
    before = house.events(document_id)
    done = await offer(house, read_receipt(house, document_id, mode, kind))
    assert done.answer is not None and "does not sign" in done.answer.text
    assert house.events(document_id) == before


async def test_a_read_receipt_of_a_shared_login_names_nobody_and_only_opens(
    house: House, document_id: str
) -> None:
    await offer(house, read_receipt(house, document_id), "water")
    assert delivery(house, document_id)["state"] == "consigned"
    record = last_record(house, document_id)
    assert record["event"] == "ContentAccessTracking"
    assert record["reasons"] == [{"code": "Way", "detail": "read-receipt"}]


@pytest.mark.parametrize(("counted", "event"), [
    (Counts.OPENED, "ContentAccessTracking"), (Counts.NOTHING, "ContentConsignment"),
])  # fmt: skip
async def test_the_office_chooses_what_a_read_receipt_counts_as(
    house: House, document_id: str, counted: Counts, event: str
) -> None:
    counts(house, counted)
    await offer(house, read_receipt(house, document_id))
    assert delivery(house, document_id)["state"] == "consigned"
    assert last_record(house, document_id)["event"] == event


async def test_a_read_receipt_of_another_message_does_nothing(
    house: House, document_id: str
) -> None:
    before = house.events(document_id)
    with pytest.raises(Refused, match="not valid"):
        await offer(house, read_receipt(house, document_id, about="<other@heping.test>"))
    assert house.events(document_id) == before


async def test_any_mail_to_the_action_address_signs(house: House, document_id: str) -> None:
    await to_address(house, "好的，已经看到了。")
    assert delivery(house, document_id)["signed_way"] == "action-address"


async def test_a_shared_login_writes_a_name_to_the_action_address(
    house: House, document_id: str
) -> None:
    with pytest.raises(Refused, match="who signs"):
        await to_address(house, "", "water")
    await to_address(house, "张三", "water")
    assert delivery(house, document_id)["signed_by"] == "张三"


async def test_a_mail_to_the_action_address_may_return(house: House, document_id: str) -> None:
    await to_address(house, "退文：缺少附件")
    assert delivery(house, document_id)["returned_reason"] == "缺少附件"


async def test_what_a_program_sends_to_the_action_address_counts_for_nothing(
    house: House, document_id: str
) -> None:
    before = house.events(document_id)
    await to_address(house, "我正在休假。", Auto_Submitted="auto-replied")
    await to_address(house, "我正在休假。", Precedence="bulk")
    assert house.events(document_id) == before


@pytest.mark.parametrize("login", ["education-zhao", "office", "security"])
async def test_nobody_outside_the_unit_signs_with_whatever_address(
    house: House, document_id: str, login: str
) -> None:
    before = house.events(document_id)
    for octets in (read_receipt(house, document_id), letters.plain(login, "x", "x", "签收")):
        with pytest.raises(Refused, match="cannot sign"):
            await offer(house, octets, login)
    assert house.events(document_id) == before


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR, Role.MACHINE])
async def test_who_may_only_read_signs_with_no_address(
    house: House, document_id: str, role: Role
) -> None:
    house.change(accounts.change_account, login="water-li", units={"water": [role]})
    with pytest.raises(Refused, match="cannot sign"):
        await offer(house, read_receipt(house, document_id))
    assert delivery(house, document_id)["state"] == "consigned"


async def test_a_forged_or_expired_address_does_nothing_and_is_logged(
    house: House, document_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = address(house)
    local, _, domain = good.partition("@")
    other = "b" if local[-1] == "a" else "a"
    other_document = local.replace(document_id, document_id[:-1] + "0")
    bad = [
        f"{local[:-1]}{other}@{domain}", f"{other_document}@{domain}", f"act+@{domain}",
        f"act+x.1.y@{domain}", f"{local[:-2]}.z@{domain}", f"{local.rpartition('.')[0]}@{domain}",
        local.replace(f"{document_id}.", f"{document_id}.9") + f"@{domain}",
    ]  # fmt: skip
    for one in bad:
        with pytest.raises(Refused, match="not valid"):
            await to_address(house, "签收", at=one)
    house.later(days=368)
    with pytest.raises(Refused, match="not valid"):
        await to_address(house, "签收", at=good)
    assert delivery(house, document_id)["state"] == "consigned"
    logged = capsys.readouterr().out
    assert logged.count("action-address-refused") == len(bad) + 1
    assert "forged" in logged and "expired" in logged and "malformed" in logged


async def test_an_address_is_good_to_its_day_and_survives_upper_case(
    house: House, document_id: str
) -> None:
    house.later(seconds=timedelta(days=365).total_seconds())
    await to_address(house, "签收", at=address(house).upper())
    assert delivery(house, document_id)["state"] == "signed"


async def test_the_same_address_again_signs_no_second_time(house: House, document_id: str) -> None:
    for _ in range(2):
        await to_address(house, "签收")
        await offer(house, read_receipt(house, document_id))
    names = [event for event, _ in house.events(document_id)]
    assert names.count("ConsignmentAcceptance") == 1
    assert names.count("ContentAccessTracking") == 1  # the read receipt that came later


async def test_who_works_in_two_units_signs_for_the_one_in_whose_name_it_writes(
    house: House,
) -> None:
    octets = letters.plain("office", "audit statistics", NOTICE)
    document_id = await house.accept("office", octets, "audit", "statistics")
    about = message_id(house, document_id)
    for unit in ("statistics", "audit"):
        answer = letters.plain(unit, "office", "Re: x", "签收", In_Reply_To=about)
        await house.submit("audit-wu", answer, "office", sender=f"{unit}@heping.test")
        assert delivery(house, document_id, f"unit:{unit}")["signed_by"] == "吴刚"
    assert last_record(house, document_id)["actor"]["unit"] == "audit"


async def test_where_documents_wait_in_their_own_folder_they_leave_it_when_signed(
    house: House,
) -> None:
    live = house.means.signing
    live.adopt(live.now.model_copy(update={"wait_in": Waiting.TO_SIGN}))
    octets = letters.plain("office", "water commerce", NOTICE)
    document_id = await house.accept("office", octets, "water", "commerce")
    await house.accept("office", letters.plain("office", "water", "午餐"), "water")
    assert [one.folder for one in house.mail("unit:water", "document")] == ["INBOX", "待签收"]
    assert [one.folder for one in house.mail("unit:commerce", "document")] == ["To sign"]
    await reply(house, document_id, "签收")
    assert [one.folder for one in house.mail("unit:water", "document")] == ["INBOX", "已签收"]
    await house.sign(document_id, "commerce")
    assert [one.folder for one in house.mail("unit:commerce", "document")] == ["Signed"]


async def test_a_commit_that_fails_leaves_nothing_of_the_act(
    house: House, document_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = house.events(document_id)

    def broken(*_args: Any, **_values: Any) -> None:
        raise RuntimeError("the ladder broke")

    with monkeypatch.context() as patch:
        patch.setattr(house.ladder, "settled", broken)
        with pytest.raises(Exception, match="the ladder broke"):
            await reply(house, document_id, "签收")
    assert house.events(document_id) == before
    await reply(house, document_id, "签收")
    assert delivery(house, document_id)["state"] == "signed"
