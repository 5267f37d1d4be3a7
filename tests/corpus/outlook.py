"""Outlook Express, Outlook 2003 to 365: folded encoded words, winmail.dat, Importance, uuencode."""

from __future__ import annotations

import binascii

from tests.corpus import files
from tests.corpus.sample import Sample
from tests.corpus.tnef import winmail
from tests.corpus.writing import (
    CRLF,
    b_word,
    b_words,
    b_words_cut,
    crlf,
    fields,
    file_part,
    html,
    multipart,
    q_words,
    text_part,
)

_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "f8cfc0f01f0005000201a5f645300000000049454e44ae426082"
)


def express() -> Sample:
    """Outlook Express 6: subject words cut inside letters, MSMail fields, text and HTML."""
    subject = "和水发[2026]17号关于进一步加强城市供水安全管理工作的意见"
    text = "各单位：\n    现将意见印发给你们，请遵照执行。\n"
    boundary = "----=_NextPart_000_0012_01CBD8A5.6E4F2D10"
    head = fields(
        "Message-ID: <001501cbd8a5$6e4f2d10$0a01a8c0@shuiwu>",
        b"From: " + b_word("水务局".encode("gbk"), "gb2312") + b" <water@heping.test>",
        "To: <office@heping.test>",
        b"Subject: " + b_words_cut(subject, "gbk", "gb2312", octets=31),
        "Date: Thu, 5 Mar 2026 09:40:00 +0800",
        "MIME-Version: 1.0",
        "X-Priority: 3",
        "X-MSMail-Priority: Normal",
        "X-Mailer: Microsoft Outlook Express 6.00.2900.5512",
        "X-MimeOLE: Produced By Microsoft MimeOLE V6.00.2900.5512",
    )
    return Sample(
        "outlook-express",
        head
        + multipart(
            "alternative",
            boundary,
            text_part(text, "gbk", "gb2312", "base64"),
            text_part(html(text, "gb2312"), "gbk", "gb2312", "base64", subtype="html"),
            preamble="This is a multi-part message in MIME format.",
        ),
        subject=subject,
        title="关于进一步加强城市供水安全管理工作的意见",
        body="现将意见印发给你们",
        number="和水发〔2026〕17号",
        kind="意见",
        message_class="document",
        warnings=("number-malformed",),
    )


def express_uuencoded() -> Sample:
    """Outlook Express with the format "uuencode": no MIME at all, a GBK name behind `begin`."""
    content = "联系人：王伟\r\n电话：022-00000000\r\n".encode("gbk")
    name = "通讯录.txt"
    lines = [b"begin 666 " + name.encode("gbk")]
    lines += [
        binascii.b2a_uu(content[start : start + 45]).rstrip(b"\n")
        for start in range(0, len(content), 45)
    ]
    lines += [b"`", b"end", b""]
    head = fields(
        "Message-ID: <002001cbd8a5$99ee2d10$0a01a8c0@shuiwu>",
        "From: <water@heping.test>",
        "To: <office@heping.test>",
        b"Subject: " + "通讯录".encode("gbk"),
        "Date: Thu, 5 Mar 2026 09:41:00 +0800",
        "X-Mailer: Microsoft Outlook Express 5.00.2919.6600",
    )
    return Sample(
        "outlook-express-uuencoded",
        head + CRLF + "通讯录更新了，见附件。\r\n\r\n".encode("gbk") + CRLF.join(lines),
        subject="通讯录",
        title="通讯录",
        body="通讯录更新了",
        files=(name,),
        file_text="联系人：王伟",
    )


def winmail_dat() -> Sample:
    """Outlook 2003 in rich text: the files are inside winmail.dat, their long names in UTF-16."""
    subject = "和水发〔2026〕18号 关于印发防汛预案的通知"
    text = "预案见附件。\n"
    name = "和平区城区防汛应急预案.docx"
    tnef = winmail(subject, text, [(name, files.docx("城区防汛应急预案\n第一章 总则\n"))])
    boundary = "----_=_NextPart_001_01CBD8A6.0C3B2A10"
    head = fields(
        "MIME-Version: 1.0",
        "X-MimeOLE: Produced By Microsoft Exchange V6.5",
        "Message-ID: <A1B2C3D4E5F60718@shuiwu.heping.test>",
        "X-MS-Has-Attach: yes",
        "X-MS-TNEF-Correlator: <A1B2C3D4E5F60718@shuiwu.heping.test>",
        "Thread-Index: AcvYpgw7KhB1b2x5VGVzdA==",
        b"Thread-Topic: " + b_words(subject, "gbk", "gb2312"),
        b"From: " + b_word("水务局".encode("gbk"), "gb2312") + b" <water@heping.test>",
        b"To: " + b_word("区政府办".encode("gbk"), "gb2312") + b" <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "gb2312"),
        "Date: Thu, 5 Mar 2026 09:42:00 +0800",
    )
    return Sample(
        "outlook-winmail-dat",
        head
        + multipart(
            "mixed",
            boundary,
            text_part(text, "gbk", "gb2312", "quoted-printable"),
            file_part(
                tnef,
                'Content-Type: application/ms-tnef;\r\n\tname="winmail.dat"',
                'Content-Disposition: attachment;\r\n\tfilename="winmail.dat"',
            ),
            preamble="This is a multi-part message in MIME format.",
        ),
        subject=subject,
        title="关于印发防汛预案的通知",
        body="预案见附件",
        number="和水发〔2026〕18号",
        kind="通知",
        message_class="document",
        files=(
            "winmail.dat",
            "winmail.dat: subject.txt",
            "winmail.dat: body.txt",
            f"winmail.dat: {name}",
        ),
        file_text="第一章 总则",
    )


def high_importance() -> Sample:
    """Outlook 2010: all three urgency fields, which make 加急 at most, never 特急."""
    subject = "请速报防汛值班表"
    text = "请今天下班前报来。\n"
    head = fields(
        b'From: "' + b_word("水务局".encode("gbk"), "gb2312") + b'" <water@heping.test>',
        "To: <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "gb2312"),
        "Date: Thu, 5 Mar 2026 09:43:00 +0800",
        "Message-ID: <000c01dcac5f$4b7d6a30$e2783e90$@heping.test>",
        "MIME-Version: 1.0",
        "X-Priority: 1 (Highest)",
        "X-MSMail-Priority: High",
        "X-Mailer: Microsoft Outlook 14.0",
        "Importance: High",
        "Thread-Index: AdysX0s4Hq2JUnJkR2mZ3v0n2X3o8Q==",
        "Content-Language: zh-cn",
    )
    return Sample(
        "outlook-high-importance",
        head + text_part(text, "gbk", "gb2312", "base64"),
        subject=subject,
        title=subject,
        body="请今天下班前报来",
        urgency="urgent",
    )


def low_importance() -> Sample:
    """Low importance is no urgency, whatever else the header says."""
    subject = "食堂下周菜单"
    head = fields(
        "From: <water@heping.test>",
        "To: <office@heping.test>",
        b"Subject: " + b_words(subject, "utf-8", "utf-8"),
        "Date: Thu, 5 Mar 2026 09:44:00 +0800",
        "Message-ID: <000d01dcac5f$6b7d6a30$e2783e90$@heping.test>",
        "MIME-Version: 1.0",
        "X-Priority: 5 (Lowest)",
        "X-MSMail-Priority: Low",
        "X-Mailer: Microsoft Outlook 16.0",
        "Importance: Low",
    )
    return Sample(
        "outlook-low-importance",
        head + text_part("菜单见公告栏。\n", "utf-8", "utf-8", "8bit"),
        subject=subject,
        title=subject,
        body="菜单见公告栏",
    )


def related_with_picture() -> Sample:
    """Outlook 2016: related over alternative, quoted-printable, a picture and a workbook."""
    subject = "〔2026〕3号会议纪要"
    text = "会议议定事项如下：\n一、供水\n二、排水\n"
    name = "会议议定事项分工表.xlsx"
    outer, related, inner = (f"----=_NextPart_00{n}_0031_01DCAC60.0F7A2B40" for n in range(3))
    word = b_words(name, "gbk", "gb2312").replace(b"\r\n ", b"\r\n\t")
    picture = file_part(
        _PIXEL,
        'Content-Type: image/png;\r\n\tname="image001.png"',
        'Content-Disposition: inline;\r\n\tfilename="image001.png"',
        "Content-ID: <image001.png@01DCAC60.0F7A2B40>",
    )
    head = fields(
        b'From: "' + b_word("水务局".encode("gbk"), "gb2312") + b'" <water@heping.test>',
        b"To: =?gb2312?B?" + b"x/jV/riusOw=" + b"?= <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "gb2312"),
        "Date: Thu, 5 Mar 2026 09:45:00 +0800",
        "Message-ID: <003101dcac60$0f7a2b40$2e6e81c0$@heping.test>",
        "MIME-Version: 1.0",
        "X-Mailer: Microsoft Outlook 16.0",
        "Thread-Index: AdysYA96pZ3l8YV5S0WXo2q9lqkZ0w==",
        "Content-Language: zh-cn",
    )
    return Sample(
        "outlook-related-with-picture",
        head
        + multipart(
            "mixed",
            outer,
            multipart(
                "related",
                related,
                multipart(
                    "alternative",
                    inner,
                    text_part(text, "gbk", "gb2312", "base64"),
                    text_part(
                        html(text, "gb2312"), "gbk", "gb2312", "quoted-printable", subtype="html"
                    ),
                ),
                picture,
            ),
            file_part(
                files.xlsx("事项\t责任单位\n供水\t水务局\n排水\t城管局\n"),
                b"Content-Type: application/vnd.openxmlformats-officedocument.spreadsheetml.sheet;"
                b'\r\n\tname="' + word + b'"',
                b'Content-Disposition: attachment;\r\n\tfilename="' + word + b'"',
            ),
            preamble="This is a multipart message in MIME format.",
        ),
        subject=subject,
        title=subject,
        body="会议议定事项如下",
        kind="纪要",
        message_class="notice",
        files=("image001.png", name),
        file_text="城管局",
    )


def utf_16_file() -> Sample:
    """Text files of Notepad: "Unicode", which is UTF-16 with its mark, and UTF-8 with one."""
    subject = "报送名单"
    boundary = "_004_TYZPR03MB5678A1B2C3D4E5F6_"
    names = ("参会人员名单.txt", "车辆名单.txt")
    head = fields(
        b"From: " + b_word("水务局".encode(), "utf-8") + b" <water@heping.test>",
        b"To: " + b_word("区政府办".encode(), "utf-8") + b" <office@heping.test>",
        b"Subject: " + b_words(subject, "utf-8", "utf-8"),
        b"Thread-Topic: " + b_words(subject, "utf-8", "utf-8"),
        "Thread-Index: AQHcrF4Ft3q0m1d2VUmXo2q9lqkZ0w==",
        "Date: Thu, 5 Mar 2026 09:46:00 +0800",
        "Message-ID: <TYZPR03MB5678A1B2C3D4E5F6@heping.test>",
        "Accept-Language: zh-CN, en-US",
        "Content-Language: zh-CN",
        "X-MS-Has-Attach: yes",
        "X-MS-TNEF-Correlator:",
        "MIME-Version: 1.0",
    )

    def file(name: str, content: bytes) -> bytes:
        return file_part(
            content,
            b'Content-Type: text/plain; name="' + b_words(name, "utf-8", "utf-8") + b'"',
            b"Content-Description: " + b_words(name, "utf-8", "utf-8"),
            b'Content-Disposition: attachment;\r\n\tfilename="'
            + b_words(name, "utf-8", "utf-8")
            + b'"; size=%d;\r\n\tcreation-date="Thu, 05 Mar 2026 01:46:00 GMT"' % len(content),
        )

    return Sample(
        "outlook-utf-16-file",
        head
        + multipart(
            "mixed",
            boundary,
            text_part("名单见附件。\n", "utf-8", "utf-8", "base64", tab=False),
            file(names[0], b"\xff\xfe" + crlf("王伟 水务局\n").encode("utf-16-le")),
            file(names[1], b"\xef\xbb\xbf" + crlf("津A00001\n").encode()),
        ),
        subject=subject,
        title=subject,
        body="名单见附件",
        files=names,
        file_text="王伟 水务局",
    )


def utf_16_body() -> Sample:
    """A body in UTF-16 under base64, as some exports of Exchange write it."""
    subject = "关于配合做好管网普查的函"
    text = "区政府办：\n    请协调各街道配合管网普查。\n"
    head = fields(
        "From: water@heping.test",
        "To: office@heping.test",
        b"Subject: " + b_words(subject, "utf-8", "utf-8"),
        "Date: Thu, 5 Mar 2026 09:47:00 +0800",
        "Message-ID: <utf16.1@heping.test>",
        "MIME-Version: 1.0",
        "X-Mailer: Internet Mail Service (5.5.2653.19)",
    )
    return Sample(
        "outlook-utf-16-body",
        head + text_part(text, "utf-16", "utf-16", "base64"),
        subject=subject,
        title=subject,
        body="请协调各街道配合管网普查",
        kind="函",
        message_class="document",
    )


def utf_7() -> Sample:
    """Outlook set to UTF-7: a 7-bit body, and the same charset in the subject's words."""
    subject = "停水通知"
    text = "今晚十时起停水检修。\n"
    head = fields(
        "From: water@heping.test",
        "To: office@heping.test",
        b"Subject: " + q_words(subject, "utf-7", "utf-7", octets=60),
        "Date: Thu, 5 Mar 2026 09:48:00 +0800",
        "Message-ID: <utf7.1@heping.test>",
        "MIME-Version: 1.0",
        "X-Mailer: Microsoft Outlook, Build 10.0.2627",
    )
    return Sample(
        "outlook-utf-7",
        head + text_part(text, "utf-7", "utf-7", "7bit"),
        subject=subject,
        title=subject,
        body="今晚十时起停水检修",
        kind="通知",
        message_class="notice",
    )


def reply_with_topic() -> Sample:
    """答复: keeps the number and the urgency of the document that it answers, and is plain mail."""
    subject = "答复: 【特急】和政办发〔2026〕45号 关于做好防汛工作的通知"
    head = fields(
        b"From: " + b_word("水务局".encode("gbk"), "gb2312") + b" <water@heping.test>",
        b"To: " + b_word("区政府办".encode("gbk"), "gb2312") + b" <office@heping.test>",
        b"Subject: " + b_words(subject, "gbk", "gb2312"),
        b"Thread-Topic: " + b_words(subject[4:], "gbk", "gb2312"),
        "Date: Thu, 5 Mar 2026 09:49:00 +0800",
        "Message-ID: <reply.1@heping.test>",
        "In-Reply-To: <notice.45@heping.test>",
        "References: <notice.45@heping.test>",
        "MIME-Version: 1.0",
        "X-Mailer: Microsoft Outlook 15.0",
    )
    return Sample(
        "outlook-reply",
        head + text_part("收到，已安排值班。\n", "gbk", "gb2312", "quoted-printable"),
        subject=subject,
        title="关于做好防汛工作的通知",
        body="收到，已安排值班",
        number="和政办发〔2026〕45号",
        kind="通知",
        urgency="extra",
    )


SAMPLES = (
    express,
    express_uuencoded,
    winmail_dat,
    high_importance,
    low_importance,
    related_with_picture,
    utf_16_file,
    utf_16_body,
    utf_7,
    reply_with_topic,
)
