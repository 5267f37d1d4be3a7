"""Mail in traditional script, in Big5 and in UTF-8; words are compared in one script."""

from __future__ import annotations

from tests.corpus.sample import Sample
from tests.corpus.writing import (
    b_word,
    b_words,
    b_words_cut,
    crlf,
    extended,
    fields,
    file_part,
    html,
    multipart,
    q_words,
    text_part,
)


def _head(subject: bytes, message: str, *more: str) -> bytes:
    return fields(
        "From: water@heping.test",
        "To: office@heping.test",
        b"Subject: " + subject,
        "Date: Thu, 5 Mar 2026 10:40:00 +0800",
        f"Message-ID: <{message}@heping.test>",
        "MIME-Version: 1.0",
        *more,
    )


def big5() -> Sample:
    """Outlook of Taiwan or Hong Kong; 許, 功 and 蓋 end with a backslash in Big5."""
    subject = "關於申請取水許可證的函"
    text = "區政府辦：\n    現函請核發取水許可證，並祝成功。\n"
    name = "取水許可證申請表.txt"
    assert b"\\" in name.encode("big5")
    word = b_word(name.encode("big5"), "big5")
    return Sample(
        "traditional-big5",
        _head(b_words(subject, "big5", "big5"), "big5.1", "X-Mailer: Microsoft Outlook, Build 11.0")
        + multipart(
            "mixed",
            "----=_NextPart_000_0007_01CBD8B0.11111110",
            text_part(text, "big5", "big5", "base64"),
            file_part(
                crlf("申請單位：水務局\n").encode("big5"),
                b'Content-Type: text/plain; charset=big5;\r\n\tname="' + word + b'"',
                b'Content-Disposition: attachment;\r\n\tfilename="' + word + b'"',
            ),
        ),
        subject=subject,
        title=subject,
        body="現函請核發取水許可證",
        kind="函",
        message_class="document",
        files=(name,),
        file_text="申請單位：水務局",
    )


def big5_cut_in_a_letter() -> Sample:
    """Subject words in Big5 cut inside letters; HTML alone, 8 bits."""
    subject = "【特急】關於防颱準備工作的緊急通知"
    text = "請各單位立即做好防颱準備。\n"
    return Sample(
        "traditional-big5-cut-in-a-letter",
        _head(b_words_cut(subject, "big5", "Big5"), "big5.2")
        + text_part(html(text, "big5"), "big5", "big5", "8bit", subtype="html"),
        subject=subject,
        title="關於防颱準備工作的緊急通知",
        body="請各單位立即做好防颱準備",
        kind="通知",
        urgency="extra",
        message_class="notice",
    )


def utf_8() -> Sample:
    """UTF-8: kind, urgency and number are found as in simplified script."""
    subject = "〔加急〕和水發〔2026〕24號 關於加強供水調度工作的通知"
    text = "各單位：\n    請加強供水調度。\n"
    name = "供水調度表.txt"
    return Sample(
        "traditional-utf-8",
        _head(b_words(subject, "utf-8", "UTF-8"), "utf8.1")
        + multipart(
            "mixed",
            "=_traditional_1",
            text_part(text, "utf-8", "UTF-8", "quoted-printable", tab=False),
            file_part(
                crlf("調度員：張偉\n").encode(),
                "Content-Type: text/plain; charset=UTF-8",
                b"Content-Disposition: attachment;\r\n\t"
                + extended("filename", name, "utf-8", "UTF-8"),
            ),
        ),
        subject=subject,
        title="關於加強供水調度工作的通知",
        body="請加強供水調度",
        number="和水发〔2026〕24号",
        kind="通知",
        urgency="urgent",
        message_class="document",
        files=(name,),
        file_text="調度員：張偉",
    )


def gbk() -> Sample:
    """Traditional letters under the label gb2312, as input methods of the mainland make them."""
    subject = "關於舉辦書法展覽的函"
    text = "請貴辦審閱並複示。\n"
    return Sample(
        "traditional-gbk",
        _head(q_words(subject, "gbk", "gb2312"), "gbk.1", "X-Mailer: Foxmail 6, 15, 201, 26 [cn]")
        + text_part(text, "gbk", "gb2312", "quoted-printable"),
        subject=subject,
        title=subject,
        body="請貴辦審閱並複示",
        kind="函",
        message_class="document",
    )


SAMPLES = (big5, big5_cut_in_a_letter, utf_8, gbk)
