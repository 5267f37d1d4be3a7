"""The summary: who has signed, and whom to telephone."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pysequoia
import pytest

from gateway.domain.document import DeliveryState
from gateway.evidence.opened import open_receipt
from gateway.evidence.summary import Row, SummaryFacts, render_summary
from gateway.seals.signer import FakeSigner
from gateway.templating import Templates

from .conftest import DOCUMENT, NOW

FACTS = SummaryFacts(
    summary_id="01h2xcejqtf2nbrexx3vqjhp56",
    document_id=DOCUMENT,
    office="和平区电子邮局",
    domain="heping.test",
    to="office@heping.test",
    now=NOW + timedelta(minutes=10),
    sent_at=NOW,
    deadline=NOW + timedelta(hours=1),
    rows=(
        Row("水务局", DeliveryState.SIGNED, "李强", NOW + timedelta(minutes=3)),
        Row("财政局", DeliveryState.CONSIGNED, telephone="022-23190001"),
        Row("教育局", DeliveryState.CONSIGNED),
        Row("劝业场街道", DeliveryState.FAILED, telephone="022-23190002"),
    ),
    title="关于做好防汛工作的通知",
    number="和政办发〔2026〕5号",
    message_id="<notice-5@heping.test>",
)


def read(octets: bytes) -> tuple[EmailMessage, str]:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    part = next(p for p in message.walk() if p.get_content_type() == "text/plain")
    return message, str(part.get_content())


def test_it_says_who_has_not_signed_with_their_telephone(
    signer: FakeSigner, templates: Templates
) -> None:
    octets = render_summary(FACTS, "zh-CN", signer, templates)
    message, text = read(octets)
    assert octets.isascii()
    assert message["Subject"] == "签收情况 1/4：关于做好防汛工作的通知"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["References"] == "<notice-5@heping.test>"
    assert "已签收 1/4。" in text
    assert "尚未签收（2）：\n  财政局　022-23190001\n  教育局　（未登记电话）\n" in text.replace(
        "\r\n", "\n"
    )
    assert "未能投递（1）：" in text
    assert "水务局　2026-03-09 16:33:00　李强" in text
    assert "签收时限：2026-03-09 17:30:00\n" in text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("zh-CN", "签收情况 2/2（已全部签收）：关于做好防汛工作的通知"),
        ("en", "Signed for by 2 of 2 (complete): 关于做好防汛工作的通知"),
    ],
)
def test_a_complete_one_says_so_first(
    signer: FakeSigner, templates: Templates, language: str, subject: str
) -> None:
    rows = tuple(Row(unit, DeliveryState.SIGNED, "李强", NOW) for unit in ("水务局", "财政局"))
    facts = replace(FACTS, rows=rows, now=NOW + timedelta(hours=2))
    message, text = read(render_summary(facts, language, signer, templates))
    assert message["Subject"] == subject
    assert "已过" not in text
    assert "(passed)" not in text


def test_after_the_deadline_it_says_so(signer: FakeSigner, templates: Templates) -> None:
    facts = replace(FACTS, now=NOW + timedelta(hours=2))
    assert "17:30:00（已过）" in read(render_summary(facts, "zh-CN", signer, templates))[1]
    assert "17:30:00 (passed)" in read(render_summary(facts, "en", signer, templates))[1]
    assert (
        "Deadline"
        not in read(render_summary(replace(FACTS, deadline=None), "en", signer, templates))[1]
    )


def test_it_is_signed_by_the_office(signer: FakeSigner, templates: Templates) -> None:
    opened = open_receipt(render_summary(FACTS, "zh-CN", signer, templates))
    pysequoia.verify(
        bytes=opened.entity,
        signature=pysequoia.Sig.from_bytes(opened.signature),
        store=lambda _: [pysequoia.Cert.from_bytes(signer.certificate)],
    )
    assert opened.disagreeing == ()
