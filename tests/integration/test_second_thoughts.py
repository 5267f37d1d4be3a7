"""What was decided once stays decided, and a refusal by the door itself is evidence too."""

from __future__ import annotations

import smtplib
from email import message_from_bytes, policy

from tests import letters
from tests.office import Office


def _receipts(office: Office, owner: str) -> list[str]:
    return [
        str(message_from_bytes(one, policy=policy.SMTP)["X-Yizhan-Event"])
        for one in office.mailbox(owner)["回执"]
    ]


def test_a_resend_is_answered_with_the_first_id_though_the_seal_was_cancelled_since(
    office: Office,
) -> None:
    octets = letters.sealed(
        letters.plain("water", "office", "和水报〔2026〕12号 关于防汛值班的报告"),
        office.folder / "seals" / "water.sec.asc",
    )
    first = office.accept("water", octets, "office")
    [seal] = [one for one in office.json("seal", "list") if one["unit"] == "water"]
    office.run("seal", "cancel", seal["fingerprint"], "--reason", "lost")
    assert office.accept("water", octets, "office") == first
    assert office.sql("SELECT count(*) FROM refusals") == [0]


def test_bare_line_ends_after_data_are_refused_with_a_receipt(office: Office) -> None:
    octets = letters.plain("water", "office", "关于会议的通知")
    with office.client("water") as client:
        client.mail(office.accounts["water"]["address"])
        client.rcpt("office@heping.test")
        client.docmd("DATA")
        client.send(octets + b"one\ntwo\r\n.\r\n")
        code, text = client.getreply()
    assert code == 554, text
    [refusal] = office.sql("SELECT id FROM refusals")
    found = office.settled(refusal)
    assert found["reasons"][0]["code"] == "InvalidFormat"
    assert [one["event"] for one in found["evidence"]] == ["SubmissionRejection"]
    assert _receipts(office, "unit:water") == ["SubmissionRejection"]


def test_a_message_that_is_too_large_is_refused_with_a_receipt(make_office) -> None:
    office = make_office(
        changes={"[reminders]": "[submission.limits]\nsize = 20000\n\n[reminders]"}
    )
    with office.running():
        octets = letters.plain("water", "office", "关于会议的通知", "长文" * 6_000)
        try:
            with office.client("water") as client:
                client.mail(office.accounts["water"]["address"])
                client.rcpt("office@heping.test")
                code, text = client.data(octets)
        except smtplib.SMTPDataError as error:
            code, text = error.smtp_code, error.smtp_error
        assert code == 552, text
        [refusal] = office.sql("SELECT id FROM refusals")
        assert office.settled(refusal)["reasons"][0]["code"] == "TooLarge"
        assert _receipts(office, "unit:water") == ["SubmissionRejection"]
