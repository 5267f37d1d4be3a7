"""Mails that may be acts are read as people meant them, however their programs wrote them."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.act_mail import ActMail, may_answer, read_act_mail
from tests.letters import plain, with_attachment


def html(text: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["In-Reply-To"] = "<a@b>"
    message.set_content(text, subtype="html")
    return message.as_bytes()


def test_the_plain_alternative_is_read() -> None:
    message = EmailMessage(policy=SMTP)
    message.set_content("签收\n\n> 各单位")
    message.add_alternative("<p>别的</p>", subtype="html")
    read = read_act_mail(message.as_bytes())
    assert (read.own, read.files) == (("签收",), False)


def test_html_alone_is_read_as_it_is_shown() -> None:
    quoted = "<div>签收</div><div>发件人：区政府办</div><blockquote>请签收</blockquote>"
    assert read_act_mail(html(quoted)).own == ("签收",)


def test_what_is_answered_is_found_with_the_newest_reference_first() -> None:
    octets = plain("a", "b", "x", In_Reply_To="<1@x> <2@x>", References="<1@x> <3@x>")
    read = read_act_mail(octets)
    assert read.replied == ("<1@x>", "<2@x>")
    assert read.referred == ("<3@x>", "<1@x>")
    assert may_answer(octets)


def test_words_of_the_body_answer_nothing() -> None:
    assert not may_answer(b"Subject: x\r\n\r\nIn-Reply-To: <a@b>\r\n")
    assert not may_answer(b"Subject: x\n\nReferences: <a@b>\n")
    assert may_answer(b"Subject: x\nREFERENCES : <a@b>\n\n")


def test_a_picture_in_a_signature_is_no_file_but_an_attachment_is() -> None:
    mail = plain("a", "b", "x", "签收")
    assert not read_act_mail(mail).files
    assert read_act_mail(with_attachment(mail, "a.png", b"x", "image/png")).files
    message = EmailMessage(policy=SMTP)
    message.set_content("<p>签收</p><img src=cid:a>", subtype="html")
    message.add_related(b"x", "image", "png", cid="<a>")
    assert not read_act_mail(message.as_bytes()).files


def test_an_attached_message_is_a_file_and_its_text_is_not_ours() -> None:
    inner = EmailMessage(policy=SMTP)
    inner.set_content("签收")
    message = EmailMessage(policy=SMTP)
    message.set_content("请看附件")
    message.add_attachment(inner)
    read = read_act_mail(message.as_bytes())
    assert (read.own, read.files) == (("请看附件",), True)


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; x",
        "Precedence: bulk",
        "X-Autoreply: yes",
        "X-Autorespond: Re: x",
        "Subject: 自动回复: 通知",
        "Subject: Automatic reply: notice",
    ],
)
def test_programs_say_that_they_are_programs(field: str) -> None:
    assert read_act_mail(f"{field}\r\n\r\n签收\r\n".encode()).automatic
    assert not read_act_mail(b"Auto-Submitted: no\r\n\r\nx\r\n").automatic


def test_a_report_of_delivery_is_automatic() -> None:
    octets = (
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\n\r\nreceived\r\n--b--\r\n"
    )
    assert read_act_mail(octets).automatic


@given(st.binary(max_size=400), st.sampled_from([b"", b"In-Reply-To: <a@b>\r\n", b"Content-Type:"]))
def test_nothing_makes_it_raise(octets: bytes, before: bytes) -> None:
    assert isinstance(read_act_mail(before + octets), ActMail)
    may_answer(octets)


@given(st.text(max_size=200))
def test_no_disposition_that_is_not_exactly_by_hand_counts(text: str) -> None:
    line = text.replace("\r", " ").replace("\n", " ")
    octets = (
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Disposition: {line}\r\n\r\n--b--\r\n"
    ).encode("utf-8", "replace")
    receipt = read_act_mail(octets).receipt
    assert receipt is not None
    if receipt.by_hand:
        assert "mdn-sent-manually" in line.lower() and "manual-action" in line.lower()
