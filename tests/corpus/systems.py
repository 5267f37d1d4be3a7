"""Office automation, scanners and scripts that send mail: no labels, wrong labels, raw octets."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import CRLF, b_words, crlf, fields, file_part, multipart, text_part


def _head(subject: bytes, message: str, *more: str | bytes) -> bytes:
    return fields(
        "From: water@heping.test",
        "To: office@heping.test",
        b"Subject: " + subject,
        "Date: Thu, 5 Mar 2026 10:50:00 +0800",
        f"Message-ID: <{message}@heping.test>",
        *more,
    )


def no_mime() -> Sample:
    """A script that knows nothing of MIME: GBK octets and no word about them."""
    subject = "水情日报"
    return Sample(
        "systems-no-mime",
        _head(subject.encode("gbk"), "script.1")
        + CRLF
        + crlf("三月五日水位：2.35米，流量正常。\n").encode("gbk"),
        subject=subject,
        title=subject,
        body="水位：2.35米，流量正常",
    )


def ascii_label() -> Sample:
    """The label says us-ascii, the octets are UTF-8."""
    subject = "和水发【2026】第025号 关于报送信息的通知"
    return Sample(
        "systems-ascii-label",
        _head(subject.encode(), "script.2", "MIME-Version: 1.0")
        + text_part("请按月报送信息。\n", "utf-8", "us-ascii", "7bit", tab=False),
        subject=subject,
        title="关于报送信息的通知",
        body="请按月报送信息",
        number="和水发〔2026〕25号",
        kind="通知",
        message_class="document",
        warnings=("number-malformed",),
    )


def unencoded_unquoted_name() -> Sample:
    """name= and filename= in raw UTF-8 without quotes, with a space inside."""
    subject = "扫描件"
    name = "和水发〔2026〕14号 扫描件.pdf"
    return Sample(
        "systems-unquoted-name",
        _head(subject.encode(), "scanner.1", "MIME-Version: 1.0", "X-Mailer: DocuCentre-VI C3371")
        + multipart(
            "mixed",
            "_DocuCentre_scan_20260305_",
            text_part("设备名称：打印室\n", "utf-8", "utf-8", "8bit", tab=False),
            file_part(
                files.pdf("关于春灌的通知\n扫描识别文字\n"),
                b"Content-Type: application/pdf; name=" + name.encode(),
                b"Content-Disposition: attachment; filename=" + name.encode(),
            ),
        ),
        subject=subject,
        title=subject,
        body="设备名称：打印室",
        files=(name,),
        file_text="扫描识别文字",
    )


def wrong_label_in_words() -> Sample:
    """JavaMail set up wrongly: the label says gb2312, the octets are UTF-8."""
    subject = "系统提醒：待办事项"
    return Sample(
        "systems-wrong-label",
        _head(
            b_words(subject, "utf-8", "gb2312", octets=200),
            "javamail.1",
            "MIME-Version: 1.0",
            "Auto-Submitted: auto-generated",
        )
        + text_part("您有一件待办事项。\n", "utf-8", "gb2312", "8bit", tab=False),
        subject=subject,
        title=subject,
        body="您有一件待办事项",
    )


def hz() -> Sample:
    """HZ, the 7-bit form of GB 2312 (RFC 1843)."""
    subject = "气象信息"
    return Sample(
        "systems-hz",
        _head(b_words(subject, "hz", "HZ-GB-2312", octets=200), "hz.1", "MIME-Version: 1.0")
        + text_part("今夜有中雨。\n", "hz", "hz-gb-2312", "7bit", tab=False),
        subject=subject,
        title=subject,
        body="今夜有中雨",
    )


def names_differ() -> Sample:
    """A path in name=, a bare name in filename=: people see the last step of filename=."""
    subject = "和水发〔2026〕26号 关于发布枯水期供水公告的通告"
    name = "公告.txt"
    path = "C:\\\\公文\\\\2026\\\\公告.txt".encode("gbk")
    return Sample(
        "systems-path-as-name",
        _head(b_words(subject, "gb18030", "gb18030"), "oa.1", "MIME-Version: 1.0")
        + multipart(
            "mixed",
            "oa-boundary-0001",
            text_part("公告见附件。\n", "gb18030", "gb18030", "base64"),
            file_part(
                crlf("供水公告\n").encode("gb18030"),
                b'Content-Type: application/octet-stream; name="' + path + b'"',
                b'Content-Disposition: attachment; filename="' + path + b'"',
            ),
        ),
        subject=subject,
        title="关于发布枯水期供水公告的通告",
        body="公告见附件",
        number="和水发〔2026〕26号",
        kind="通告",
        message_class="document",
        files=(name,),
        file_text="供水公告",
    )


SAMPLES = (
    no_mime,
    ascii_label,
    unencoded_unquoted_name,
    wrong_label_in_words,
    hz,
    names_differ,
)
