"""Refusals by mail: the sender's receipt and the security officer's alert, without the content."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests import letters, postbox
from tests.office import Office

SECRET = "白杨林渡口改建方案"
MARKED = f"机密★1年 关于{SECRET}的函"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


def refused(office: Office, login: str, octets: bytes, *to: str, **more: list[str]) -> str:
    """Submit what must be refused and wait for the letters about it; the refusal's id."""
    before = set(refusals(office))
    code, text = office.send(login, octets, *to, **more)
    assert code == 550, text
    new = set(refusals(office)) - before
    assert len(new) <= 1
    deadline = time.monotonic() + 20
    while office.sql("SELECT kind FROM outbox WHERE kind != 'summary'"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return new.pop() if new else ""


def refusals(office: Office) -> list[str]:
    return [str(one) for one in office.sql("SELECT id FROM refusals ORDER BY id")]


def test_a_refusal_is_a_signed_receipt_that_says_what_to_do(office: Office) -> None:
    octets = letters.plain("water", "office", "关于评奖的函").replace(b"To: office", b"To: audit")
    refusal = refused(office, "water", octets, "office")
    [letter] = postbox.receipts(office, "unit:water", refusal)
    assert letter.event == "SubmissionRejection"
    assert letter.flags == ()  # not born \Seen: somebody must read it
    assert "密送" in letter.text
    assert letter.file("digests.json") is not None
    about, block = (
        dict(part.items()) for part in letter.part("message/delivery-status").get_payload()
    )
    assert about["X-Yizhan-Document"] == refusal
    assert (block["Action"], block["Status"]) == ("failed", "5.7.1")
    assert block["X-Yizhan-Reason"] == "BlindCopy"

    file = office.folder / "refusal.eml"
    file.write_bytes(letter.octets)
    said = json.loads(office.run("receipt", "verify", str(file), "--json").stdout)
    assert said["ok"]
    assert [event["reasons"] for event in said["events"]] == [["BlindCopy"]]
    found = office.document(refusal)
    assert (found["state"], found["rule"]) == ("refused", "blind-copy")
    assert postbox.letters(office, "unit:office") == []


def test_an_identical_resend_gets_the_first_refusal_and_no_second_receipt(office: Office) -> None:
    octets = letters.plain("water", "office", "关于奖金的函").replace(b"To: office", b"To: audit")
    first = office.send("water", octets, "office")
    assert refused(office, "water", octets, "office") == ""
    assert office.send("water", octets, "office") == first
    newest = refusals(office)[-1]
    assert len(postbox.receipts(office, "unit:water", newest)) == 1
    assert len(office.document(newest)["evidence"]) == 1


def test_a_refusal_can_be_mended_by_the_operator_and_the_same_octets_then_pass(
    office: Office,
) -> None:
    octets = letters.plain("water", "subdistricts", "关于通讯录的函")
    office.here("group", "change", "subdistricts", "--sender", "office")
    refusal = refused(office, "water", octets, "subdistricts")
    assert office.document(refusal)["rule"] == "group-closed"
    office.here("group", "change", "subdistricts", "--sender", "office", "--sender", "water")
    assert office.send("water", octets, "subdistricts")[0] == 250


def test_failure_is_told_to_who_wants_to_hear_of_failure_only(office: Office) -> None:
    for wish, told in (("NOTIFY=FAILURE", 1), ("NOTIFY=SUCCESS", 0), ("NOTIFY=NEVER", 0)):
        octets = letters.plain("water", "audit", f"关于{wish}的函")
        refusal = refused(office, "water", octets, "office", rcpt=[wish])
        assert len(postbox.receipts(office, "unit:water", refusal)) == told, wish
        [record] = office.document(refusal)["evidence"]
        assert record["event"] == "SubmissionRejection"


def test_a_marking_is_told_to_the_security_officer_and_quoted_to_nobody(office: Office) -> None:
    octets = letters.plain("finance", "sports", MARKED, text=f"{SECRET}\n")
    refusal = refused(office, "finance", octets, "sports")
    code, text = office.send("finance", octets, "sports")
    assert code == 550
    assert "classification marking" in text
    assert SECRET not in text
    found = office.document(refusal)
    assert [reason["code"] for reason in found["reasons"]] == ["ClassificationMarking"]

    [alert] = postbox.letters(office, "person:security", refusal)
    assert (alert.folder, alert.event) == ("INBOX", "Alert")
    assert "\\Flagged" in alert.flags
    assert "财政局" in alert.text
    assert refusal in alert.text
    [receipt] = postbox.receipts(office, "unit:finance", refusal)
    for letter in (alert, receipt):
        assert SECRET not in "".join(str(part) for part in letter.mail.values())
        for part in letter.mail.walk():
            content = part.get_payload(decode=True) or b""
            assert SECRET.encode() not in content
    assert SECRET not in json.dumps(found, ensure_ascii=False)
    assert postbox.letters(office, "unit:sports") == []


def test_without_a_security_officer_the_operators_are_told(office: Office) -> None:
    before = len(postbox.letters(office, "person:security"))
    office.here("account", "change", "security", "--inactive")
    refusal = refused(office, "audit", letters.plain("audit", "sports", MARKED), "sports")
    [alert] = postbox.letters(office, "person:operator", refusal)
    assert "审计局" in alert.text
    office.here("account", "change", "security", "--active")
    assert len(postbox.letters(office, "person:security")) == before
