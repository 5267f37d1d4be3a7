"""Coremail and the web mails made of it (163, universities, governments): GBK in Q and B words."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import (
    b_words,
    b_words_cut,
    extended,
    fields,
    file_part,
    html,
    multipart,
    q_words,
    q_words_cut,
    text_part,
)

_XT5 = "Coremail Webmail Server Version XT5.0.14 build 20230109(dcb5de15)"


def _head(subject: bytes, number: int, *more: str, mailer: str = _XT5) -> bytes:
    return fields(
        "Date: Thu, 5 Mar 2026 10:10:30 +0800 (GMT+08:00)",
        "X-CM-HeaderCharset: UTF-8",
        b"From: " + q_words("水务局", "gbk", "GBK") + b" <water@heping.test>",
        b"To: " + q_words("区政府办", "gbk", "GBK") + b" <office@heping.test>",
        b"Subject: " + subject,
        "X-Priority: 3",
        f"X-Mailer: {mailer}",
        "\t Copyright (c) 2002-2026 www.mailtech.cn heping",
        *more,
        "MIME-Version: 1.0",
        f"Message-ID: <5d1a0e4b.{number:x}.18f0a1b2c3d.Coremail.water@heping.test>",
        "X-Coremail-Locale: zh_CN",
        "X-CM-TRANSID:AQAAfwBn6OG3jKhpAAEBAA--.1" + f"{number}W",
        "X-CM-SenderInfo: pzdwv2x6khqx1hs2v3/1tbiAQABAGmo",
    )


def text_and_html() -> Sample:
    """GBK in the Q encoding for the subject, the text in base64, the file's name in a B word."""
    subject = "和水发(2026)21号 关于开展河道清淤工作的通知"
    text = "各街道：\n    请于4月底前完成河道清淤。\n"
    name = "河道清淤任务分解表.docx"
    word = b_words(name, "gbk", "GBK", octets=60)
    outer, inner = "----=_Part_125_1374562934.1772676630123", "----=_Part_127_1822.1772676630124"
    return Sample(
        "coremail-text-and-html",
        _head(q_words(subject, "gbk", "GBK"), 1, "X-Originating-IP: [10.1.2.3]")
        + multipart(
            "mixed",
            outer,
            multipart(
                "alternative",
                inner,
                text_part(text, "gbk", "GBK", "base64", tab=False),
                text_part(html(text, "GBK"), "gbk", "GBK", "base64", subtype="html", tab=False),
            ),
            file_part(
                files.docx("任务分解表\n小淀街 3公里\n"),
                b"Content-Type: application/vnd.openxmlformats-officedocument.wordprocessingml."
                b'document; \r\n\tname="' + word + b'"',
                b'Content-Disposition: attachment; \r\n\tfilename="' + word + b'"',
            ),
        ),
        subject=subject,
        title="关于开展河道清淤工作的通知",
        body="请于4月底前完成河道清淤",
        number="和水发〔2026〕21号",
        kind="通知",
        message_class="document",
        files=(name,),
        file_text="小淀街 3公里",
        warnings=("number-malformed",),
    )


def q_words_cut_in_a_letter() -> Sample:
    """Words of the Q encoding cut inside letters, and a 文号 in full-width letters and brackets."""
    subject = "和水发（２０２６）２２号　关于表彰节水先进集体的决定"
    text = "决定授予下列单位节水先进集体称号。\n"
    return Sample(
        "coremail-q-words-cut-in-a-letter",
        _head(q_words_cut(subject, "gbk", "GBK"), 2)
        + text_part(text, "gbk", "GBK", "quoted-printable", tab=False),
        subject=subject,
        title="关于表彰节水先进集体的决定",
        body="决定授予下列单位",
        number="和水发〔2026〕22号",
        kind="决定",
        message_class="document",
        warnings=("number-malformed",),
    )


def utf_8_cut_in_a_letter() -> Sample:
    """UTF-8 words cut every so many octets, which divides most letters."""
    subject = "关于报送2025年度水资源管理工作总结的报告"
    text = "区政府办：\n    现将工作总结报上。\n"
    return Sample(
        "coremail-utf-8-cut-in-a-letter",
        _head(b_words_cut(subject, "utf-8", "UTF-8", octets=32), 3)
        + text_part(text, "utf-8", "UTF-8", "base64", tab=False),
        subject=subject,
        title=subject,
        body="现将工作总结报上",
        kind="报告",
        message_class="information",
    )


def rfc_2231_file_name() -> Sample:
    """163.com: filename* beside a plain filename of another form, both for the same file."""
    subject = "材料"
    name = "2025年工作总结（定稿）.pdf"
    word = q_words(name, "gbk", "GBK", octets=200)
    return Sample(
        "coremail-rfc-2231-file-name",
        _head(b_words(subject, "gbk", "GBK"), 4, mailer="Coremail Webmail Server Version XT5.0.13")
        + multipart(
            "mixed",
            "----=_Part_31_95.1772676690555",
            text_part("请查收。\n", "gbk", "GBK", "base64", tab=False),
            file_part(
                files.pdf("2025年工作总结\n节水成效明显\n"),
                b'Content-Type: application/pdf; name="' + word + b'"',
                b"Content-Disposition: attachment;\r\n\t"
                + extended("filename", name, "gbk", "GBK")
                + b';\r\n\tfilename="2025_____________.pdf"',
            ),
        ),
        subject=subject,
        title=subject,
        body="请查收",
        files=(name,),
        file_text="节水成效明显",
    )


def urgent() -> Sample:
    """The box 紧急: X-Priority 1 without any word in the subject."""
    subject = "今天下午四点视频调度"
    head = _head(b_words(subject, "utf-8", "UTF-8"), 5).replace(b"X-Priority: 3", b"X-Priority: 1")
    return Sample(
        "coremail-urgent",
        head + text_part("请准时上线。\n", "utf-8", "UTF-8", "base64", tab=False),
        subject=subject,
        title=subject,
        body="请准时上线",
        urgency="urgent",
    )


SAMPLES = (
    text_and_html,
    q_words_cut_in_a_letter,
    utf_8_cut_in_a_letter,
    rfc_2231_file_name,
    urgent,
)
