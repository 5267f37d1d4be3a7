"""QQ mail on the web: gb18030 everywhere, X-QQ fields, encoded words in quotes."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import (
    b_word,
    b_words,
    b_words_cut,
    fields,
    file_part,
    html,
    multipart,
    text_part,
)


def _head(subject: bytes, message: str, *more: str) -> bytes:
    return fields(
        b'From: "=?gb18030?B?' + b"y67O8b7W" + b'?=" <water@heping.test>',
        b'To: "=?gb18030?B?' + b"x/jV/riusOw=" + b'?=" <office@heping.test>',
        b"Subject: " + subject,
        "Mime-Version: 1.0",
        *more,
        "Date: Thu, 5 Mar 2026 10:01:22 +0800",
        "X-Priority: 3",
        f"Message-ID: <tencent_{message}@heping.test>",
        "X-QQ-MIME: TCMime 1.0 by Tencent",
        "X-Mailer: QQMail 2.x",
        "X-QQ-Mailer: QQMail 2.x",
    )


def _part(number: int) -> str:
    return f"----=_NextPart_69A8E1B2_0E5F4A30_{number:08X}"


def _file(name: str, content: bytes) -> bytes:
    word = b_words(name, "gb18030", "gb18030", octets=60)
    return file_part(
        content,
        b'Content-Type: application/octet-stream;\r\n\tcharset="gb18030";\r\n\tname="'
        + word
        + b'"',
        b'Content-Disposition: attachment; filename="' + word + b'"',
    )


def text_and_html() -> Sample:
    """The usual form: alternative in base64, a file named in GB18030."""
    subject = "和水函〔2026〕6号 关于商请提供管网资料的函"
    text = "区政府办：\n　　因工作需要，商请提供管网资料。"
    name = "资料清单.xlsx"
    return Sample(
        "qqmail-text-and-html",
        _head(b_word(subject.encode("gb18030"), "gb18030"), "1F8A2C3E4D5B6A79801234567890ABCDEF01")
        + multipart(
            "mixed",
            _part(1),
            multipart(
                "alternative",
                _part(2),
                text_part(text, "gb18030", "gb18030", "base64"),
                text_part(html(text, "GB18030"), "gb18030", "gb18030", "base64", subtype="html"),
            ),
            _file(name, files.xlsx("序号\t名称\n1\t管网平面图\n")),
            preamble="This is a multi-part message in MIME format.",
        ),
        subject=subject,
        title="关于商请提供管网资料的函",
        body="因工作需要，商请提供管网资料",
        number="和水函〔2026〕6号",
        kind="函",
        message_class="document",
        files=(name,),
        file_text="管网平面图",
    )


def cut_in_a_letter() -> Sample:
    """Subject words cut inside letters, of which one has four octets."""
    subject = "【特急】和水发〔2026〕19号 关于㙍头泵站险情处置情况的紧急报告"
    text = "区政府办：\n　　㙍头泵站险情已经排除。"
    return Sample(
        "qqmail-cut-in-a-letter",
        _head(
            b_words_cut(subject, "gb18030", "gb18030", octets=29),
            "2F8A2C3E4D5B6A79801234567890ABCDEF02",
            'Content-Class: "urn:content-classes:message"',
        )
        + text_part(text, "gb18030", "gb18030", "base64"),
        subject=subject,
        title="关于㙍头泵站险情处置情况的紧急报告",
        body="㙍头泵站险情已经排除",
        number="和水发〔2026〕19号",
        kind="报告",
        urgency="extra",
        message_class="document",
    )


def ofd_and_pdf() -> Sample:
    """Two layout documents, one with 〔 〕 in its name."""
    subject = "报送《和水发〔2026〕20号》正式稿"
    names = ("和水发〔2026〕20号.ofd", "和水发〔2026〕20号.pdf")
    text = "关于开展节水宣传的通知\n各单位：\n请按要求开展节水宣传。\n"
    return Sample(
        "qqmail-ofd-and-pdf",
        _head(b_word(subject.encode("gb18030"), "gb18030"), "3F8A2C3E4D5B6A79801234567890ABCDEF03")
        + multipart(
            "mixed",
            _part(3),
            text_part("正式稿见附件。", "gb18030", "gb18030", "base64"),
            _file(names[0], files.ofd(text)),
            _file(names[1], files.pdf(text)),
        ),
        subject=subject,
        title=subject,
        body="正式稿见附件",
        files=names,
        file_text="请按要求开展节水宣传",
    )


def label_in_the_subject() -> Sample:
    """【邮件】 says that a mail is only mail, though its subject has a number."""
    subject = "【邮件】和水发〔2026〕19号的排版问题"
    return Sample(
        "qqmail-label-in-the-subject",
        _head(b_word(subject.encode("gb18030"), "gb18030"), "4F8A2C3E4D5B6A79801234567890ABCDEF04")
        + text_part("第二页的页码请再核对。", "gb18030", "gb18030", "base64"),
        subject=subject,
        title=subject,
        body="第二页的页码请再核对",
    )


SAMPLES = (text_and_html, cut_in_a_letter, ofd_and_pdf, label_in_the_subject)
