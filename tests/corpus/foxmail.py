"""Foxmail 5 to 7: raw GBK in the header, GB2312 labels on everything, X-GUID and X-Has-Attach."""

from __future__ import annotations

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.writing import (
    CRLF,
    b_word,
    b_words,
    b_words_cut,
    fields,
    file_part,
    html,
    multipart,
    quoted_printable,
    text_part,
)


def raw_gbk_header() -> Sample:
    """Foxmail 5 before its option for encoded words: 8-bit subject, names and body."""
    subject = "和水发〔2026〕15号 关于做好春灌供水工作的通知"
    text = "区政府办：\n    现将今年春灌供水安排报上，请审阅。\n\n和平区水务局\n"
    head = fields(
        "Date: Thu, 5 Mar 2026 09:30:15 +0800",
        b"From: " + "水务局".encode("gbk") + b" <water@heping.test>",
        b"To: " + "区政府办".encode("gbk") + b" <office@heping.test>",
        b"Subject: " + subject.encode("gbk"),
        "X-mailer: Foxmail 5.0 [cn]",
        "Mime-Version: 1.0",
        "Message-ID: <200603050930156250@heping.test>",
    )
    return Sample(
        "foxmail-raw-gbk-header",
        head + text_part(text, "gbk", "gb2312", "8bit"),
        subject=subject,
        title="关于做好春灌供水工作的通知",
        body="现将今年春灌供水安排报上",
        number="和水发〔2026〕15号",
        kind="通知",
        message_class="document",
    )


def raw_gbk_file_name() -> Sample:
    """The name of the file in raw GBK, with a letter whose second octet is a backslash."""
    name = "民衆來信摘要（三月）.txt"
    assert b"\\" in name.encode("gbk")
    subject = "群众来信摘要"
    boundary = "=====003_Dragon717235164521_====="
    head = fields(
        "Date: Thu, 5 Mar 2026 09:31:40 +0800",
        b'From: "' + "水务局".encode("gbk") + b'" <water@heping.test>',
        "To: office@heping.test",
        b"Subject: " + subject.encode("gbk"),
        "X-Priority: 3",
        "X-mailer: Foxmail 6, 15, 201, 26 [cn]",
        "Mime-Version: 1.0",
        "Message-ID: <200603050931401093@heping.test>",
    )
    quoted = name.encode("gbk")
    content = "三月共收到来信四件。\r\n".encode("gbk")
    return Sample(
        "foxmail-raw-gbk-file-name",
        head
        + multipart(
            "mixed",
            boundary,
            text_part("附件请查收。\n", "gbk", "gb2312", "8bit"),
            file_part(
                content,
                b'Content-Type: text/plain;\r\n\tname="' + quoted + b'"',
                b'Content-Disposition: attachment;\r\n\tfilename="' + quoted + b'"',
            ),
            preamble="This is a multi-part message in MIME format.",
        ),
        subject=subject,
        title=subject,
        body="附件请查收。",
        files=(name,),
        file_text="三月共收到来信四件",
    )


def gb2312_label_on_gbk() -> Sample:
    """朱镕 and 喆 are no letters of GB 2312, but the label says gb2312 all the same."""
    subject = "关于调整朱镕、李喆同志分工的函"
    text = "区政府办：\n    朱镕同志负责防汛，李喆、陶堃同志负责抗旱，请备案。\n"
    head = fields(
        "Date: Thu, 5 Mar 2026 09:32:11 +0800",
        b'From: "' + b_word("水务局".encode("gbk"), "gb2312") + b'" <water@heping.test>',
        b'To: "' + b_word("区政府办".encode("gbk"), "gb2312") + b'" <office@heping.test>',
        b"Subject: " + b_words(subject, "gbk", "gb2312"),
        "Message-ID: <202603050932110468@heping.test>",
        "X-mailer: Foxmail 6, 15, 201, 26 [cn]",
        "Mime-Version: 1.0",
    )
    return Sample(
        "foxmail-gb2312-label-on-gbk",
        head + text_part(text, "gbk", "gb2312", "base64"),
        subject=subject,
        title=subject,
        body="李喆、陶堃同志负责抗旱",
        kind="函",
        message_class="document",
    )


def gb2312_label_on_gb18030() -> Sample:
    """Letters of four octets (㛃, 𠮷) under the label GB2312, quoted-printable."""
    subject = "关于报送王㛃、𠮷田同志考察材料的报告"
    text = "区政府办：\n    现将王㛃同志的考察材料报上。\n"
    head = fields(
        "Date: Thu, 5 Mar 2026 09:33:20 +0800",
        "From: water <water@heping.test>",
        "To: office <office@heping.test>",
        b"Subject: " + b_words(subject, "gb18030", "GB2312"),
        "X-Priority: 3",
        "X-GUID: 5D1A0E4B-6C2F-4E0B-9F35-30B2A0D1E001",
        "X-Has-Attach: no",
        "X-Mailer: Foxmail 7.2.25.228[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <202603050933207031001@heping.test>",
    )
    return Sample(
        "foxmail-gb2312-label-on-gb18030",
        head + text_part(text, "gb18030", "GB2312", "quoted-printable"),
        subject=subject,
        title=subject,
        body="现将王㛃同志的考察材料报上",
        kind="报告",
        message_class="information",
    )


def version_7() -> Sample:
    """Foxmail 7: text and HTML in base64, encoded words within quotes for the file's name."""
    subject = "【加急】和水发〔2026〕16号 关于召开防汛抗旱工作会议的通知"
    text = "各单位：\n    定于3月10日召开防汛抗旱工作会议，请按时参加。\n\n\n\nwater@heping.test\n"
    name = "防汛抗旱工作会议议程.docx"
    outer, inner = "----=_001_NextPart704561027366_=----", "----=_002_NextPart104283306187_=----"
    word = b_word(name.encode("gbk"), "GB2312")
    head = fields(
        "Date: Thu, 5 Mar 2026 09:34:02 +0800",
        'From: "water@heping.test" <water@heping.test>',
        "To: office <office@heping.test>",
        "Cc: finance <finance@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "GB2312"),
        "X-Priority: 3",
        "X-GUID: 5D1A0E4B-6C2F-4E0B-9F35-30B2A0D1E002",
        "X-Has-Attach: yes",
        "X-Mailer: Foxmail 7.2.25.228[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <202603050934021562512@heping.test>",
    )
    return Sample(
        "foxmail-7",
        head
        + multipart(
            "mixed",
            outer,
            multipart(
                "alternative",
                inner,
                text_part(text, "gbk", "GB2312", "base64"),
                text_part(
                    html(text, "GB2312"), "gbk", "GB2312", "quoted-printable", subtype="html"
                ),
            ),
            file_part(
                files.docx("会议议程\n一、学习文件\n二、部署防汛工作\n"),
                b'Content-Type: application/octet-stream;\r\n\tname="' + word + b'"',
                b'Content-Disposition: attachment;\r\n\tfilename="' + word + b'"',
            ),
            preamble="This is a multi-part message in MIME format.",
        ),
        subject=subject,
        title="关于召开防汛抗旱工作会议的通知",
        body="定于3月10日召开防汛抗旱工作会议",
        number="和水发〔2026〕16号",
        kind="通知",
        urgency="urgent",
        message_class="document",
        files=(name,),
        file_text="二、部署防汛工作",
    )


def long_name_cut_in_a_letter() -> Sample:
    """A long file name as several encoded words in one quoted string, cut inside letters."""
    name = (
        "和平区水务局关于二〇二五年度农村饮水安全工程建设资金使用情况的自查报告（征求意见稿）.txt"
    )
    subject = "请提意见"
    boundary = "----=_001_NextPart370518864404_=----"
    words = b_words_cut(name, "gbk", "GB2312", octets=31).replace(b"\r\n ", b"\r\n\t")
    head = fields(
        "Date: Thu, 5 Mar 2026 09:35:44 +0800",
        "From: water <water@heping.test>",
        "To: office <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "GB2312"),
        "X-Has-Attach: yes",
        "X-Mailer: Foxmail 7.2.13.365[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <202603050935446090621@heping.test>",
    )
    return Sample(
        "foxmail-long-name-cut-in-a-letter",
        head
        + multipart(
            "mixed",
            boundary,
            text_part("请于本周五前反馈意见。\n", "gbk", "GB2312", "base64"),
            file_part(
                "一、基本情况\r\n".encode("gbk"),
                b'Content-Type: text/plain;\r\n\tname="' + words + b'"',
                b'Content-Disposition: attachment;\r\n\tfilename="' + words + b'"',
            ),
        ),
        subject=subject,
        title=subject,
        body="请于本周五前反馈意见",
        files=(name,),
        file_text="一、基本情况",
    )


def high_priority() -> Sample:
    """The button 紧急: X-Priority alone, and no text part beside the HTML."""
    subject = "明天上午的会议改到下午三点"
    text = "时间改了，地点不变。\n"
    head = fields(
        "Date: Thu, 5 Mar 2026 09:36:05 +0800",
        "From: water <water@heping.test>",
        "To: office <office@heping.test>",
        b"Subject: " + b_words(subject, "utf-8", "utf-8"),
        "X-Priority: 1 (Highest)",
        "X-Has-Attach: no",
        "X-Mailer: Foxmail 7.2.25.492[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <2026030509360548434110@heping.test>",
    )
    return Sample(
        "foxmail-high-priority",
        head + text_part(html(text, "utf-8"), "utf-8", "utf-8", "quoted-printable", subtype="html"),
        subject=subject,
        title=subject,
        body="时间改了，地点不变",
        urgency="urgent",
    )


def forwarded_as_a_file() -> Sample:
    """转发 as an attachment: a whole message inside, its name and subject in GBK."""
    inner = fields(
        "From: finance@heping.test",
        "To: water@heping.test",
        b"Subject: " + b_words("和财发〔2026〕3号 关于预算的批复", "gbk", "GB2312"),
        "Mime-Version: 1.0",
    ) + text_part("同意。\n", "gbk", "GB2312", "base64")
    subject = "转发: 和财发〔2026〕3号 关于预算的批复"
    boundary = "----=_001_NextPart587413026551_=----"
    name = "和财发〔2026〕3号 关于预算的批复.eml"
    word = b_words(name, "gbk", "GB2312", octets=60)
    head = fields(
        "Date: Thu, 5 Mar 2026 09:37:52 +0800",
        "From: water <water@heping.test>",
        "To: office <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "GB2312"),
        "X-Mailer: Foxmail 7.2.25.228[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <202603050937521718015@heping.test>",
    )
    message = (
        fields(
            b'Content-Type: message/rfc822;\r\n\tname="' + word + b'"',
            b'Content-Disposition: attachment;\r\n\tfilename="' + word + b'"',
        )
        + CRLF
        + inner
    )
    return Sample(
        "foxmail-forwarded-as-a-file",
        head
        + multipart(
            "mixed",
            boundary,
            text_part("请看附件中财政局的批复。\n", "gbk", "GB2312", "base64"),
            message,
        ),
        subject=subject,
        title="关于预算的批复",
        body="请看附件中财政局的批复",
        number="和财发〔2026〕3号",
        kind="批复",
    )


def plain_and_html_quoted_printable() -> Sample:
    """A request upward whose number stands in the body's head, with an attached template."""
    subject = "关于增拨防汛物资经费的请示"
    text = (
        "和平区水务局文件\n\n和水〔2026〕9号\n\n关于增拨防汛物资经费的请示\n\n区人民政府：\n"
        "    汛期将至，现请求增拨防汛物资经费20万元。\n    妥否，请批示。\n"
    )
    boundary = "----=_001_NextPart118264703321_=----"
    octets = text.replace("\n", "\r\n").encode("gbk")
    plain = (
        fields('Content-Type: text/plain;\r\n\tcharset="GB2312"',
               "Content-Transfer-Encoding: quoted-printable")
        + CRLF
        + quoted_printable(octets)
    )  # fmt: skip
    head = fields(
        "Date: Thu, 5 Mar 2026 09:38:26 +0800",
        "From: water <water@heping.test>",
        "To: office <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "GB2312"),
        "X-Mailer: Foxmail 7.2.25.228[cn]",
        "Mime-Version: 1.0",
        "Message-ID: <202603050938263125420@heping.test>",
    )
    return Sample(
        "foxmail-number-in-the-body",
        head
        + multipart(
            "alternative",
            boundary,
            plain,
            text_part(html(text, "GB2312"), "gbk", "GB2312", "base64", subtype="html"),
        ),
        subject=subject,
        title=subject,
        body="妥否，请批示。",
        number="和水〔2026〕9号",
        kind="请示",
        message_class="document",
    )


SAMPLES = (
    raw_gbk_header,
    raw_gbk_file_name,
    gb2312_label_on_gbk,
    gb2312_label_on_gb18030,
    version_7,
    long_name_cut_in_a_letter,
    high_priority,
    forwarded_as_a_file,
    plain_and_html_quoted_printable,
)
