"""The summary (签收情况): one live mail that says who has signed, and whom to telephone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests import letters, postbox
from tests.office import Office
from tests.postbox import Letter

SETTINGS = """[receipts]
summary_minutes = 0.02
deadline_minutes = {extra = 0.07, urgent = 60, normal = 4320}

[reminders]"""


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    """First summaries come after 1.2 seconds, and 特急 has 4.2 seconds for signing."""
    with make_module_office(changes={"[reminders]": SETTINGS}).running() as running:
        yield running


def summaries(office: Office, owner: str, document_id: str) -> list[Letter]:
    found = postbox.letters(office, owner, document_id)
    return [letter for letter in found if letter.event == "Summary"]


def await_summary(
    office: Office, owner: str, document_id: str, good: Callable[[Letter], bool]
) -> Letter:
    """The only summary, once it says what is waited for."""
    deadline = time.monotonic() + 20
    while True:
        found = summaries(office, owner, document_id)
        assert len(found) <= 1, "there is only one live summary"
        if found and good(found[0]):
            return found[0]
        assert time.monotonic() < deadline, [letter.text for letter in found]
        time.sleep(0.2)


def sign(office: Office, document_id: str, unit: str, name: str) -> None:
    office.here("delivery", "sign", document_id, "--unit", unit, "--name", name)


def test_the_summary_comes_after_some_minutes_and_again_when_all_have_signed(
    office: Office,
) -> None:
    octets = letters.plain("office", "water finance", "【加急】和政办发〔2026〕61号 关于开会的通知")
    document_id = office.accept("office", octets, "water", "finance")
    first = await_summary(office, "unit:office", document_id, lambda _: True)
    assert first.folder == "INBOX"
    assert first.mail["Auto-Submitted"] == "auto-replied"
    assert first.mail["Return-Path"] == "<>"
    message_id = octets.partition(b"Message-ID: ")[2].split(b"\r\n")[0].strip().decode()
    assert first.mail["References"] == message_id
    assert "0/2" in first.mail["Subject"]
    for unit, telephone in (("water", "水务局"), ("finance", "财政局")):
        person, *_ = json.loads(office.here("duty", "list", unit, "--json"))
        landline = person["landline"] or person["mobile"]
        assert telephone in first.text
        assert landline in first.text

    sign(office, document_id, "water", "王伟")
    time.sleep(1.5)
    # one of two has signed: the list is not sent anew for each
    assert (
        summaries(office, "unit:office", document_id)[0].mail["Message-ID"]
        == (first.mail["Message-ID"])
    )
    sign(office, document_id, "finance", "钱丽")
    last = await_summary(
        office, "unit:office", document_id, lambda one: "2/2" in one.mail["Subject"]
    )
    assert last.folder == "INBOX"
    assert "\\Seen" not in last.flags
    assert "王伟" in last.text
    assert "钱丽" in last.text
    assert last.mail["Message-ID"] != first.mail["Message-ID"]


def test_at_the_deadline_the_missing_are_named_with_their_telephone(office: Office) -> None:
    octets = letters.plain("office", "water audit", "【特急】和政办发〔2026〕62号 关于防汛的通知")
    document_id = office.accept("office", octets, "water", "audit")
    sign(office, document_id, "water", "王伟")
    late = await_summary(
        office,
        "unit:office",
        document_id,
        lambda letter: "已过" in letter.text or "逾期" in letter.text,
    )
    assert "1/2" in late.mail["Subject"]
    assert "审计局" in late.text


def test_units_read_summaries_in_their_own_language(office: Office) -> None:
    octets = letters.plain("commerce", "water", "【加急】和商发〔2026〕63号 关于市场的通知")
    document_id = office.accept("commerce", octets, "water")
    letter = await_summary(office, "unit:commerce", document_id, lambda _: True)
    assert letter.mail["Subject"].startswith("Signed for by 0 of 1: ")
    assert "Water Bureau" in letter.text


def test_plain_mail_and_who_wants_no_notice_get_no_summary(office: Office) -> None:
    octets = letters.plain("office", "water", "午饭")
    mail = office.accept("office", octets, "water")
    octets = letters.plain("office", "water", "和政办发〔2026〕64号 关于停车的通知")
    silent = office.accept("office", octets, "water", rcpt=["NOTIFY=NEVER"])
    time.sleep(2.5)
    assert summaries(office, "unit:office", mail) == []
    assert summaries(office, "unit:office", silent) == []
