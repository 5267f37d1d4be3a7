"""What generated mails are made of: what is sound, and what exists all the same."""

from __future__ import annotations

WORDS = (
    "关于", "防汛", "工作", "的", "通知", "会议", "纪要", "和平区", "水务局", "附件", "请示",
    "2026年", "第3号", "回复", "繺誠", "朱镕基", "報告", "budget", "plan", "Report", "meeting",
    "water", "re", "a", "I", "№", "é", "😀",
)  # fmt: skip
CHARSETS = ("gb2312", "gbk", "gb18030", "big5", "utf-8", "hz-gb-2312", "iso-2022-cn", "us-ascii")
CODECS = {"hz-gb-2312": "hz", "gb2312": "gbk"}  # whoever writes gb2312 means GBK
LOCALS = (  # the first five are sound
    "office", "water", "li.ming", "zhang+tag", "x_y", "o'neil", "水务", "a", "UPPER", "-", "1",
)  # fmt: skip
HOSTS = (  # the first three are sound
    "heping.test", "water.heping.test", "x", "例子.测试", "[192.0.2.1]", "a.b.c.test",
)  # fmt: skip
DATES = (  # the first eight are sound
    "Mon, 2 Mar 2026 12:00:00 +0800", "2 Mar 2026 04:00:00 +0000", "Sun, 1 Mar 2026 00:30:00 +0800",
    "Sat, 28 Feb 2026 23:30:00 +0800", "Thu, 1 Jan 1981 00:00:00 +0000",
    "Mon, 02 Mar 2026 23:59:59 -1200", "Mon, 02 Mar 2026 00:00:01 +1400",
    "Fri, 31 Dec 2027 23:59:60 +0000", "Mon,  2 Mar 26 12:00 +0800 (CST)",
    "Tue, 30 Feb 2026 12:00:00 +0800", "2026-03-02 12:00:00", "today", "", "1 Apr 99 10:00:00 EST",
    "Fri, 31 Dec 2027 24:00:00 +0000", "2 Mar 2026 04:00:00 GMT",
)  # fmt: skip
SOUND_TYPES = (
    "application/pdf", "application/msword", "image/png", "text/calendar",
    "message/delivery-status", "application/octet-stream",
    "message/disposition-notification", "application/pgp-signature",
)  # fmt: skip
TYPES = (
    "text/plain", "text/html", "TEXT/Plain", "text / plain", "text", "text/", "/plain", "",
    "message/partial", "message/external-body", "text/rfc822-headers", "x-odd/x-odder", "a/b/c",
    "text/plain/html", "text plain", "(note) text/plain (more)", "text/plain;", ";", "text/;x",
)  # fmt: skip
IDS = (
    "<no-end@x", "no brackets", "<a b@x>", "<>", '<"q q"@x>', "(comment) <7@x>", "<水@x>",
    "<1@x>,<2@x>",
)  # fmt: skip
JUNK = (
    b"no colon here", b"X-Blank :x", b"X-Tab\t: x", b": no name", b"X-Empty:", b"X-Only-Blank: ",
    b" folded at the start", b"From someone Mon Mar  2 12:00:00 2026", b">From x", b"X Y: z",
    b"X-\xe6\xb0\xb4: \xe6\xb0\xb4", b"X-Fold: a\r\n \r\n b", b"X-Fold:\r\n\t\r\n\tb",
    b"X-CR: a\rb", b"Subject", b"X-8: \xcb\xae\xce\xf1", b"x-lower: 1", b"X-Colon:a:b:",
    b"X-Ctl: \x01\x7f\x1b[0m", b"Content-Type: text/html", b"Subject: second",
)  # fmt: skip
MULTIPARTS = (
    "mixed", "alternative", "related", "digest", "signed", "report", "MIXED", "x-odd", "",
    "parallel", "encrypted",
)  # fmt: skip
ENCODINGS = (  # the first five are sound
    "7bit", "8bit", "base64", "quoted-printable", "BASE64", "binary", "uuencode", "x-uuencode",
    "x-odd", "", "utf-8", "base64;", "7-bit", "8bit (mostly)", '"base64"', "7bit ", "gzip",
)  # fmt: skip
BOUNDARIES = (
    "b", "=_1", "----=_NextPart_000_0001", "b b", "b.", "b'c", "(b)", "a:b", "0", "界", "b" * 70,
    "=", "--", "b ", "b/c?",
)  # fmt: skip
PEOPLE = (  # fields with addresses, and the share of mails that have them
    (b"From", 0.95), (b"Sender", 0.3), (b"Reply-To", 0.3), (b"To", 0.9), (b"Cc", 0.4),
    (b"Bcc", 0.15),
)  # fmt: skip
