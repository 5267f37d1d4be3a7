"""Mail of macOS and iOS: GB18030 labels, RFC 2231 names, a comment in Mime-Version."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import (
    CRLF,
    b_words,
    crlf,
    extended,
    extended_sections,
    fields,
    file_part,
    quoted_printable,
    text_part,
)


def macos() -> Sample:
    """Unquoted charset, quoted-printable, and a file that is shown inline between two texts."""
    subject = "关于节水型单位建设工作的批复"
    name = "节水型单位名单.pdf"
    text = quoted_printable(crlf("同意命名下列单位。\n").encode("gb18030"))
    head = fields(
        b"From: " + b_words("水务局", "gb18030", "GB18030") + b" <water@heping.test>",
        "Content-Type: multipart/mixed;\r\n\t"
        'boundary="Apple-Mail=_0A3B5C7D-9E1F-4A2B-8C3D-4E5F6A7B8C9D"',
        "Mime-Version: 1.0 (Mac OS X Mail 16.0 \\(3774.600.62\\))",
        b"Subject: " + b_words(subject, "gb18030", "GB18030"),
        "Message-Id: <0A3B5C7D-9E1F-4A2B-8C3D-4E5F6A7B8C9D@heping.test>",
        "Date: Thu, 5 Mar 2026 10:30:00 +0800",
        "To: office@heping.test",
        "X-Mailer: Apple Mail (2.3774.600.62)",
    )
    line = b"--Apple-Mail=_0A3B5C7D-9E1F-4A2B-8C3D-4E5F6A7B8C9D"
    plain = (
        fields("Content-Transfer-Encoding: quoted-printable",
               "Content-Type: text/plain;\r\n\tcharset=GB18030")
        + CRLF + text
    )  # fmt: skip
    file = file_part(
        files.pdf("节水型单位名单\n第一中学\n"),
        b"Content-Disposition: inline;\r\n\t" + extended("filename", name, "gb18030", "GB18030"),
        b"Content-Type: application/pdf;\r\n\tx-unix-mode=0644;\r\n\tname=\""
        + b_words(name, "gb18030", "GB18030") + b'"',
    )  # fmt: skip
    body = b"".join(line + CRLF + part + CRLF for part in (plain, file, plain)) + line + b"--\r\n"
    return Sample(
        "apple-macos",
        head + CRLF + CRLF + body,
        subject=subject,
        title=subject,
        body="同意命名下列单位",
        kind="批复",
        message_class="document",
        files=(name,),
        file_text="第一中学",
        warnings=("direction-unusual",),  # a reply to a request goes downward
    )


def ios() -> Sample:
    """iOS: utf-8 in base64, a picture whose name is in sections."""
    subject = "现场照片"
    name = "和平区海河沿线堤防巡查现场照片（2026年3月5日上午）.jpeg"
    sections = b";\r\n\t".join(extended_sections("filename", name, "utf-8", "utf-8"))
    head = fields(
        "Content-Type: multipart/mixed; boundary=Apple-Mail-6E1F2A3B-4C5D-6E7F-8091-A2B3C4D5E6F7",
        "Content-Transfer-Encoding: 7bit",
        b"From: " + b_words("水务局", "utf-8", "utf-8") + b" <water@heping.test>",
        "Mime-Version: 1.0 (1.0)",
        "Date: Thu, 5 Mar 2026 10:31:00 +0800",
        b"Subject: " + b_words(subject, "utf-8", "utf-8"),
        "Message-Id: <6E1F2A3B-4C5D-6E7F-8091-A2B3C4D5E6F7@heping.test>",
        "To: office@heping.test",
        "X-Mailer: iPhone Mail (22F76)",
    )
    line = b"--Apple-Mail-6E1F2A3B-4C5D-6E7F-8091-A2B3C4D5E6F7"
    picture = file_part(
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9",
        b'Content-Type: image/jpeg;\r\n\tname="' + b_words(name, "utf-8", "utf-8") + b'"',
        b"Content-Disposition: inline;\r\n\t" + sections,
    )
    text = text_part("堤防正常。\n\n发自我的iPhone", "utf-8", "utf-8", "base64")
    body = b"".join(line + CRLF + part + CRLF for part in (picture, text)) + line + b"--\r\n"
    return Sample(
        "apple-ios",
        head + CRLF + CRLF + body,
        subject=subject,
        title=subject,
        body="堤防正常",
        files=(name,),
    )


def iso_2022_jp() -> Sample:
    """A client that picks the smallest charset: kanji alone go out as ISO-2022-JP."""
    subject = "防災合作事項"
    head = fields(
        "From: water@heping.test",
        "To: office@heping.test",
        b"Subject: " + b_words(subject, "iso2022_jp", "ISO-2022-JP", octets=100),
        "Date: Thu, 5 Mar 2026 10:32:00 +0800",
        "Message-Id: <0A3B5C7D-2022-4A2B-8C3D-4E5F6A7B8C9D@heping.test>",
        "Mime-Version: 1.0 (Apple Message framework v752.2)",
        "X-Mailer: Apple Mail (2.752.2)",
    )
    return Sample(
        "apple-iso-2022-jp",
        head + text_part("合作事項別添。\n", "iso2022_jp", "ISO-2022-JP", "7bit"),
        subject=subject,
        title=subject,
        body="合作事項別添",
    )


SAMPLES = (macos, ios, iso_2022_jp)
