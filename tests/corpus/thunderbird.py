"""Thunderbird: UTF-8 in 8 bits, format=flowed, file names in sections of RFC 2231."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import (
    CRLF,
    b_words,
    base64_lines,
    crlf,
    extended_sections,
    fields,
    file_part,
    multipart,
    q_words,
    text_part,
)


def _head(subject: bytes, message: str, *more: str) -> bytes:
    return fields(
        f"Message-ID: <{message}@heping.test>",
        "Date: Thu, 5 Mar 2026 10:20:00 +0800",
        "MIME-Version: 1.0",
        "User-Agent: Mozilla Thunderbird",
        "Content-Language: zh-CN",
        "To: office <office@heping.test>",
        b"From: " + b_words("水务局", "utf-8", "UTF-8") + b" <water@heping.test>",
        b"Subject: " + subject,
        *more,
    )


def sections() -> Sample:
    """A long file name: encoded words in Content-Type, numbered sections in the disposition."""
    subject = "和水发〔2026〕23号 关于做好2026年农村饮水安全巩固提升工程前期工作的通知"
    name = "2026年农村饮水安全巩固提升工程前期工作任务清单（第二批）及责任单位.docx"
    parts = b";\r\n ".join(extended_sections("filename", name, "utf-8", "UTF-8", octets=50))
    return Sample(
        "thunderbird-sections",
        _head(b_words(subject, "utf-8", "UTF-8"), "6f0d7f0e-8f1e-4c5f-9f52-3a8b9f3c1d01")
        + multipart(
            "mixed",
            "------------kWkA0C5oT1f6bJXW3Xv6Xn0C",
            text_part("各单位：\n    请抓紧开展前期工作。\n", "utf-8", "UTF-8", "8bit", tab=False),
            file_part(
                files.docx("任务清单\n一、选址\n二、可研\n"),
                b"Content-Type: " + files.DOCX.encode() + b';\r\n name="'
                + b_words(name, "utf-8", "UTF-8") + b'"',
                b"Content-Disposition: attachment;\r\n " + parts,
            ),
        ),
        subject=subject,
        title="关于做好2026年农村饮水安全巩固提升工程前期工作的通知",
        body="请抓紧开展前期工作",
        number="和水发〔2026〕23号",
        kind="通知",
        message_class="document",
        files=(name,),
        file_text="二、可研",
    )  # fmt: skip


def raw_utf_8() -> Sample:
    """With SMTPUTF8 switched on: a raw UTF-8 header (RFC 6532) and a flowed body."""
    subject = "【加急】关于紧急调运防汛物资的通知"
    text = "各街道：\n请立即 \n调运编织袋两万条。\n"
    head = fields(
        "Message-ID: <6f0d7f0e-8f1e-4c5f-9f52-3a8b9f3c1d02@heping.test>",
        "Date: Thu, 5 Mar 2026 10:21:00 +0800",
        "MIME-Version: 1.0",
        "User-Agent: Mozilla Thunderbird",
        "To: 区政府办 <office@heping.test>".encode(),
        "From: 水务局 <water@heping.test>".encode(),
        b"Subject: " + subject.encode(),
        "Content-Type: text/plain; charset=UTF-8; format=flowed",
        "Content-Transfer-Encoding: 8bit",
    )
    return Sample(
        "thunderbird-raw-utf-8",
        head + CRLF + crlf(text).encode(),
        subject=subject,
        title="关于紧急调运防汛物资的通知",
        body="调运编织袋两万条",
        kind="通知",
        urgency="urgent",
        message_class="notice",
    )


def highest_priority() -> Sample:
    """Options, Priority, Highest."""
    subject = "请回电"
    return Sample(
        "thunderbird-highest-priority",
        _head(
            q_words(subject, "utf-8", "UTF-8"),
            "6f0d7f0e-8f1e-4c5f-9f52-3a8b9f3c1d03",
            "X-Priority: 1 (Highest)",
        )
        + text_part("请回电 022-00000000。\n", "utf-8", "UTF-8", "base64", tab=False),
        subject=subject,
        title=subject,
        body="请回电 022-00000000",
        urgency="urgent",
    )


def protected_headers() -> Sample:
    """A subject on two lines, and a text file under text/plain with its charset and no name=."""
    subject = "关于召开河长制工作联席会议的函"
    name = "议题.txt"
    part = (
        fields(
            "Content-Type: text/plain; charset=GB18030",
            b"Content-Disposition: attachment; "
            + b";\r\n ".join(extended_sections("filename", name, "gb18030", "GB18030")),
            "Content-Transfer-Encoding: base64",
        )
        + CRLF
        + base64_lines(crlf("议题一：河道保洁\n").encode("gb18030"))
    )
    return Sample(
        "thunderbird-text-file",
        _head(b_words(subject, "utf-8", "UTF-8", octets=18), "6f0d7f0e-8f1e-4c5f-9f52-3a8b9f3c1d04")
        + multipart(
            "mixed",
            "------------aXkA0C5oT1f6bJXW3Xv6Xn04",
            text_part("议题见附件。\n", "utf-8", "UTF-8", "8bit", tab=False),
            part,
        ),
        subject=subject,
        title=subject,
        body="议题见附件",
        kind="函",
        message_class="document",
        files=(name,),
        file_text="议题一：河道保洁",
    )


SAMPLES = (sections, raw_utf_8, highest_priority, protected_headers)
