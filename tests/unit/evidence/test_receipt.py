"""The receipt as mail: read by people, by standard mail software and by a real gpg."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import subprocess
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.domain.event import Event, Reason
from gateway.evidence.opened import open_receipt
from gateway.evidence.receipt import RecipientFacts
from gateway.evidence.record import Actor, Statement

from .conftest import DOCUMENT, NOW, ORIGINAL, Made, Maker, accepted_statements, refused_statement


def parsed(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.default)


def text_of(octets: bytes) -> str:
    part = next(p for p in parsed(octets).walk() if p.get_content_type() == "text/plain")
    return str(part.get_content())


def blocks(octets: bytes) -> list[dict[str, str]]:
    status = next(
        p for p in parsed(octets).walk() if p.get_content_type() == "message/delivery-status"
    )
    return [{k: str(v) for k, v in block.items()} for block in status.get_payload()]  # type: ignore[union-attr]


def test_gpg_verifies_the_signed_part_with_the_exported_office_key(
    accepted: Made, tmp_path: Path
) -> None:
    opened = open_receipt(accepted.render())
    (tmp_path / "signed").write_bytes(opened.entity)
    (tmp_path / "signed.asc").write_bytes(opened.signature)
    (tmp_path / "office.pgp").write_bytes(accepted.signer.certificate)
    home = tmp_path / "home"
    home.mkdir(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--status-fd", "1"]
    try:
        subprocess.run([*gpg, "--import", tmp_path / "office.pgp"], check=True, capture_output=True)
        done = subprocess.run(
            [*gpg, "--verify", tmp_path / "signed.asc", tmp_path / "signed"],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"GOODSIG" in done.stdout
        (tmp_path / "signed").write_bytes(opened.entity.replace(b"delivered", b"deliveres"))
        broken = subprocess.run(
            [*gpg, "--verify", tmp_path / "signed.asc", tmp_path / "signed"],
            capture_output=True,
            check=False,
        )
        assert broken.returncode != 0
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


@pytest.mark.parametrize("style", ["full", "brief", "machine"])
@pytest.mark.parametrize("language", ["zh-CN", "en", "fr"])
def test_a_receipt_is_seven_bit_with_crlf_and_short_lines(
    accepted: Made, style: str, language: str
) -> None:
    octets = accepted.render(style, language)
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert max(len(line) for line in octets.split(b"\r\n")) <= 998
    assert not any(line.startswith(b"From ") for line in octets.split(b"\r\n"))


def test_a_receipt_has_the_structure_of_the_design(accepted: Made) -> None:
    message = parsed(accepted.render("full"))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/signed",
        "multipart/mixed",
        "multipart/report",
        "text/plain",
        "message/delivery-status",
        "text/plain",  # the standard library shows each block of the status as one
        "text/plain",
        "text/plain",
        "application/json",
        "application/json",
        "application/octet-stream",
        "application/pgp-signature",
    ]
    assert not [defect for part in message.walk() for defect in part.defects]
    report = next(p for p in message.walk() if p.get_content_type() == "multipart/report")
    assert report.get_param("report-type") == "delivery-status"


def test_a_receipt_is_never_answered_and_stands_in_the_thread_of_its_document(
    accepted: Made,
) -> None:
    message = parsed(accepted.render())
    assert message["Return-Path"] == "<>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert "Reply-To" not in message
    assert message["References"] == message["In-Reply-To"] == "<notice-5@heping.test>"
    assert message["From"] == "和平区电子邮局 <postmaster@heping.test>"
    assert message["To"] == "office@heping.test"
    assert message["Subject"] == "回执：已受理：关于做好防汛工作的通知"
    assert message["Message-ID"] == "<01h2xcejqtf2nbrexx3vqjhp55@heping.test>"
    assert message["X-Yizhan-Document"] == DOCUMENT
    assert message["X-Yizhan-Event"] == "SubmissionAcceptance, ContentConsignment"
    assert parsed(accepted.render(language="en"))["Subject"] == (
        "Receipt: accepted: 关于做好防汛工作的通知"
    )


def test_people_read_it_in_their_language(accepted: Made) -> None:
    chinese = text_of(accepted.render())
    assert "邮局已于 2026-03-09 16:30:00 受理" in chinese
    assert "已投递（2）：" in chinese
    assert "水务局" in chinese
    assert "UTC+08:00" in chinese
    english = text_of(accepted.render(language="en"))
    assert "accepted the document at 2026-03-09 16:30:00" in english
    assert "Delivered (2):" in english


def test_the_delivery_status_has_one_block_for_each_recipient(accepted: Made) -> None:
    about, water, finance = blocks(accepted.render())
    assert about == {
        "Original-Envelope-Id": "QQ+314",
        "Reporting-MTA": "dns; mail.heping.test",
        "Arrival-Date": "Mon, 09 Mar 2026 08:30:00 +0000",
        "X-Yizhan-Document": DOCUMENT,
    }
    assert water == {
        "Original-Recipient": "rfc822; all@heping.test",
        "Final-Recipient": "rfc822; water@heping.test",
        "Action": "delivered",
        "Status": "2.0.0",
        "Last-Attempt-Date": "Mon, 09 Mar 2026 08:30:00 +0000",
        "X-Yizhan-Event": "ContentConsignment",
    }
    assert finance["Final-Recipient"] == "rfc822; finance@heping.test"
    assert "Original-Recipient" not in finance


def test_the_records_part_holds_the_exact_octets(accepted: Made) -> None:
    files = open_receipt(accepted.render()).files
    carried = json.loads(files["records.json"])
    assert [base64.b64decode(each["record"]) for each in carried] == [
        record.octets for record in accepted.records
    ]
    assert [base64.b64decode(each["signature"]) for each in carried] == [
        record.signature for record in accepted.records
    ]
    assert json.loads(files["proof.json"])["checkpoint"] == accepted.checkpoint.note


def test_full_carries_the_original_and_brief_its_digests(accepted: Made) -> None:
    full = open_receipt(accepted.render("full")).files
    assert full[f"{DOCUMENT}.eml"] == ORIGINAL
    brief = open_receipt(accepted.render("brief")).files
    assert set(brief) == {"records.json", "proof.json", "digests.json"}
    assert json.loads(brief["digests.json"])["parts"][0]["type"] == "text/plain"


def test_machine_only_has_no_prose(accepted: Made) -> None:
    octets = accepted.render("machine")
    assert text_of(octets).split() == [DOCUMENT]
    assert parsed(octets)["Subject"] == f"SubmissionAcceptance {DOCUMENT}"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_receipt_of_a_marked_document_quotes_neither_title_nor_number(
    maker: Maker, language: str
) -> None:
    made = maker.make([refused_statement(Reason.CLASSIFICATION_MARKING)])
    for style in ("full", "brief", "machine"):
        octets = made.render(style, language)
        pieces = [text_of(octets), str(parsed(octets)["Subject"])]
        pieces += [content.decode() for content in open_receipt(octets).files.values()]
        for piece in pieces:
            assert "防汛" not in piece
            assert "和政办发" not in piece
        assert f"{DOCUMENT}.eml" not in open_receipt(octets).files


def test_a_refusal_says_why_and_what_to_do_and_never_contains_the_original(maker: Maker) -> None:
    made = maker.make([refused_statement(Reason.SEAL_OF_ANOTHER_UNIT)])
    made = replace(made, facts=replace(made.facts, sentence="请用本单位的印章重新盖章后再发。"))
    octets = made.render("full")
    text = text_of(octets)
    assert "原因：加盖的是其他单位的印章（body）。" in text
    assert "请用本单位的印章重新盖章后再发。" in text
    assert f"{DOCUMENT}.eml" not in open_receipt(octets).files
    _, block = blocks(octets)
    assert (block["Action"], block["Status"]) == ("failed", "5.7.7")
    assert block["X-Yizhan-Reason"] == "SealOfAnotherUnit"


def test_a_sign_for_names_the_unit_and_the_person(maker: Maker) -> None:
    signed = Statement(
        Event.CONSIGNMENT_ACCEPTANCE,
        NOW,
        recipient="water@heping.test",
        sender="office@heping.test",
        actor=Actor("water", "water", "李强", "operator"),
    )
    made = maker.make([signed])
    assert parsed(made.render())["Subject"] == "回执：水务局已签收：关于做好防汛工作的通知"
    assert "李强" in text_of(made.render())
    assert "by 李强" in text_of(made.render(language="en"))
    assert len(blocks(made.render())) == 2


def test_a_failed_delivery_says_so_in_the_subject(maker: Maker) -> None:
    failed = Statement(
        Event.CONTENT_CONSIGNMENT_FAILURE,
        NOW,
        recipient="finance@heping.test",
        reasons=((Reason.TECHNICAL_MALFUNCTION, ""),),
    )
    made = maker.make([*accepted_statements(["water"]), failed])
    octets = made.render()
    assert parsed(octets)["Subject"] == "回执：投递失败：关于做好防汛工作的通知"
    assert [block.get("Action") for block in blocks(octets)] == [None, "delivered", "failed"]


def test_hostile_names_cannot_begin_another_header_or_line(accepted: Made) -> None:
    facts = replace(
        accepted.facts,
        title="a\r\nBcc: evil@x.test\r\n\r\nb",
        message_id="<a@b>\r\nX-Evil: 1",
        envid="a\r\nAction: failed",
        recipients=(RecipientFacts("water@heping.test", "水\n务", "rfc822;a\r\nStatus: 5.0.0"),),
    )
    octets = replace(accepted, facts=facts).render()
    message = parsed(octets)
    assert "Bcc" not in message
    assert "X-Evil" not in message
    assert "References" not in message
    about, water, _ = blocks(octets)
    assert "Action" not in about
    assert water["Status"] == "2.0.0"
    assert "水 务" in text_of(octets)


def test_a_title_that_looks_encoded_is_shown_as_it_is(accepted: Made) -> None:
    title = "=?utf-8?b?QmNjOiB4?= " + "long " * 30
    facts = replace(accepted.facts, title=title)
    subject = str(parsed(replace(accepted, facts=facts).render(language="en"))["Subject"])
    assert subject == f"Receipt: accepted: {title.strip()}"


def test_an_address_with_chinese_letters_stays_seven_bit(maker: Maker) -> None:
    statements = accepted_statements(["水务"])
    octets = maker.make(statements).render()
    assert octets.isascii()
    assert blocks(octets)[1]["Final-Recipient"] == r"utf-8; \x{6C34}\x{52A1}@heping.test"


def test_a_receipt_of_nothing_is_refused(accepted: Made) -> None:
    with pytest.raises(ValueError, match="needs a record"):
        replace(accepted, records=[]).render()


def test_proofs_of_another_checkpoint_are_refused(accepted: Made) -> None:
    other = replace(accepted.checkpoint, size=99)
    with pytest.raises(ValueError, match="another checkpoint"):
        replace(accepted, checkpoint=other).render()
