"""The way of a document: submitted by SMTP, kept, delivered, receipted, announced."""

from __future__ import annotations

from email import message_from_bytes, policy

from tests import letters
from tests.office import Office

SUBJECT = "【特急】和政办发〔2026〕45号 关于做好防汛工作的通知"


def test_a_sealed_notice_reaches_every_unit_and_its_sender_gets_one_receipt(
    office: Office,
) -> None:
    octets = letters.sealed(
        letters.plain("office", "all", SUBJECT), office.folder / "seals" / "office.sec.asc"
    )
    document_id = office.accept("office", octets, "all")
    found = office.settled(document_id)

    assert found["digest"]
    assert found["metadata"]["urgency"] == "extra"
    assert found["metadata"]["number"] == "和政办发〔2026〕45号"
    assert found["metadata"]["class"] == "document"
    assert found["seal"]["state"] == "valid"
    assert len(found["recipients"]) == 44
    assert {one["state"] for one in found["recipients"]} == {"consigned"}
    events = [one["event"] for one in found["evidence"]]
    assert events.count("SubmissionAcceptance") == 1
    assert events.count("ContentConsignment") == 44
    assert events.count("ConsignmentNotification") == 44
    assert [one["sequence"] for one in found["evidence"]] == list(range(1, len(events) + 1))
    assert len(office.messages_to_phones()) == 44

    water = office.mailbox("unit:water")
    [view] = water["INBOX"]
    message = message_from_bytes(view, policy=policy.SMTP)
    assert message["Subject"] == "〔特急〕〔章✓〕" + SUBJECT
    assert message["Yizhan-Document"] == document_id
    assert octets.partition(b"\r\n\r\n")[2] == view.partition(b"\r\n\r\n")[2]

    sender = office.mailbox("unit:office")
    [receipt] = sender["回执"]
    assert document_id.encode() in receipt
    assert len(sender["已发送"]) == 1


def test_the_export_of_a_document_is_what_went_over_the_wire(office: Office) -> None:
    octets = letters.plain("water", "office", "和水报〔2026〕12号 关于防汛值班安排的报告")
    document_id = office.accept("water", octets, "office")
    target = office.folder / "out.eml"
    office.run("document", "export", document_id, "-o", str(target))
    assert target.stat().st_mode & 0o077 == 0  # it lies outside the state directory
    assert target.read_bytes() == octets


def test_a_resend_after_a_lost_reply_gets_the_first_documents_id(office: Office) -> None:
    octets = letters.plain("water", "office finance", "关于会议的通知")
    first = office.accept("water", octets, "office")
    assert office.accept("water", octets, "office") == first
    assert office.accept("water", octets, "office", "finance") == first
    found = office.settled(first)
    assert sorted(one["owner"] for one in found["recipients"]) == ["unit:finance", "unit:office"]
    assert len(office.json("document", "list")) == 1
    assert len(office.mailbox("unit:office")["INBOX"]) == 1
    assert len(office.mailbox("unit:finance")["INBOX"]) == 1


def test_everything_is_still_there_after_a_kill_and_a_restart(office: Office) -> None:
    octets = letters.plain("water", "office", "关于报送材料的通知")
    document_id = office.accept("water", octets, "office")
    office.kill()
    office.start()
    found = office.settled(document_id)
    assert [one["event"] for one in found["evidence"]].count("ContentConsignment") == 1
    assert len(office.mailbox("unit:office")["INBOX"]) == 1
    assert len(office.mailbox("unit:water")["回执"]) == 1


def test_who_has_signed_gets_no_further_reminder_and_completes_the_summary(
    office: Office,
) -> None:
    octets = letters.plain("office", "water", "和政办发〔2026〕46号 关于开会的通知")
    document_id = office.accept("office", octets, "water")
    office.settled(document_id)
    office.run("delivery", "sign", document_id, "--unit", "water", "--name", "王伟")
    found = office.settled(document_id)
    [delivery] = found["recipients"]
    assert (delivery["state"], delivery["signed_by"]) == ("signed", "王伟")
    assert found["evidence"][-1]["event"] == "ConsignmentAcceptance"
    again = office.run(
        "delivery", "sign", document_id, "--unit", "water", "--name", "王伟", check=False
    )
    assert again.returncode == 1
    assert "王伟" in again.stderr
