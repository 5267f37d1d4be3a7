"""Texts, names, addresses and bodies as Chinese mail really carries them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.decode import addresses, charset_text, decode_body, decode_text, parameter
from mailboxes.parameters import take_apart

TITLE = "关于加强和平区防汛工作的通知"


def word(text: bytes, charset: str, encoding: str = "B") -> bytes:
    return b"=?%s?%s?%s?=" % (charset.encode(), encoding.encode(), base64.b64encode(text))


@pytest.mark.parametrize("charset", ["gbk", "gb18030", "utf-8"])
def test_raw_octets_in_a_subject_are_read(charset: str) -> None:
    assert decode_text(TITLE.encode(charset)) == TITLE


@pytest.mark.parametrize("charset", ["gb2312", "GBK", "utf-8", "big5", "GB18030"])
def test_words_split_inside_a_letter_are_joined(charset: str) -> None:
    text = "關於通知" if charset == "big5" else TITLE
    octets = text.encode(charset)
    value = word(octets[:5], charset) + b" \t" + word(octets[5:], charset.upper())
    assert decode_text(value) == text


def test_a_gb2312_label_means_gb18030() -> None:
    assert decode_text(word("朱镕基〔2026〕㐂".encode("gb18030"), "gb2312")) == "朱镕基〔2026〕㐂"


def test_words_and_plain_text_keep_their_spaces() -> None:
    assert decode_text(b"Re: =?utf-8?Q?=E6=B0=B4?= =?utf-8?Q?=E5=8A=A1_x?= end") == "Re: 水务 x end"
    assert decode_text(b"=?utf-8?Q?a?= b =?utf-8?Q?c?=") == "a b c"
    assert decode_text(b"=?us-ascii*en?Q?hello?=") == "hello"
    assert decode_text(b"=?broken") == "=?broken"
    assert (
        decode_text(
            "【特急】".encode("gbk") + b" =?gbk?B?" + base64.b64encode("水".encode("gbk")) + b"?="
        )
        == "【特急】 水"
    )


def test_broken_words_show_what_can_be_shown() -> None:
    assert decode_text(b"=?utf-8?B?5rC05YqhX?=") == "水务"
    assert decode_text(b"=?no-such-charset?Q?=E6=B0=B4?=") == "水"
    assert decode_text(b"=?unicode_escape?Q?=5Cq?=") == "\\q"
    assert decode_text(b"=?x\x00y?B?QQ==?=") == "=?xy?B?QQ==?="


@pytest.mark.parametrize(
    "field",
    [
        "attachment; filename*=utf-8''%E6%9C%BA%E5%AF%86.docx",
        "attachment; filename*=GBK'zh'%BB%FA%C3%DC.docx",
        "attachment; filename*0*=utf-8''%E6%9C; filename*1*=%BA%E5%AF%86; filename*2=.docx",
        'attachment; filename="=?utf-8?B?5py65a+GLmRvY3g=?="',
        "attachment; filename==?gb2312?B?u/rD3C5kb2N4?=",
        'attachment; FileName = "机密.docx"',
        "attachment; filename=机密.docx ; size=3",
        'attachment;; filename="机密.docx',
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_file_names_are_read_in_every_form(field: str, charset: str) -> None:
    kind, parameters = take_apart(field.encode(charset))
    assert kind == "attachment"
    assert parameter(parameters, "filename") == "机密.docx"


def test_a_gbk_letter_whose_second_octet_is_a_backslash_is_not_cut() -> None:
    name = "誠乗.doc"
    assert b"\\" in name.encode("gbk")
    _, parameters = take_apart(b'attachment; filename="' + name.encode("gbk") + b'"')
    assert parameter(parameters, "filename") == name


def test_parameters_are_found_whatever_stands_around_them() -> None:
    assert take_apart(b"Text/Plain; CharSet=us-ascii (Plain text)") == (
        "text/plain",
        (("charset", "us-ascii"),),
    )
    assert take_apart(b'text / html ; a="x;y\\"z" ; b=2') == (
        "text/html",
        (("a", 'x;y"z'), ("b", "2")),
    )
    assert take_apart(b"") == ("", ())
    assert take_apart(b"multipart/mixed; boundary=----=_Next_1")[1] == (
        ("boundary", "----=_Next_1"),
    )
    assert dict(take_apart(b"application/x; name=my file.doc; b=c d")[1]) == {
        "name": "my file.doc",
        "b": "c",
    }


def test_bodies_are_decoded_leniently() -> None:
    assert decode_body(b"5rC0\r\n 5Yqh!!", "BASE64") == "水务".encode()
    assert decode_body(b"aGFs\r\nbG8", "base64") == b"hallo"
    assert decode_body(b"aA==\r\naQ==\r\n", "base64") == b"hi"
    assert decode_body(b"=" * 100_000, "base64") == b""
    assert decode_body(b"a=3Db=\r\nc  \r\nd=E6=B0=B4=ZZ", "quoted-printable") == (
        "a=bc\r\nd水=ZZ".encode()
    )
    assert decode_body(b"x=\r\n", "7bit") == b"x=\r\n"
    assert decode_body(b"text\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n", "x-uuencode") == b"Cat"
    assert decode_body(b"no begin", "uuencode") == b"no begin"


def test_the_label_of_a_body_may_be_wrong() -> None:
    assert charset_text(TITLE.encode("gbk"), "us-ascii") == TITLE
    assert charset_text(TITLE.encode("gbk"), "utf-8") == TITLE
    assert charset_text(TITLE.encode(), "") == TITLE
    broken = TITLE.encode() * 5 + b"\xff" + TITLE.encode() * 5
    assert charset_text(broken, "utf-8") == TITLE * 5 + "\ufffd" + TITLE * 5


def test_addresses_are_read_with_groups_comments_and_quotes() -> None:
    assert addresses(b'"Wang, W." <w@heping.test>, (note) b@heping.test (Bureau), <c@x>') == [
        ("Wang, W.", "w@heping.test"),
        ("Bureau", "b@heping.test"),
        ("", "c@x"),
    ]
    assert addresses(b"all: a@x, B <b@y>;, c@z") == [("", "a@x"), ("B", "b@y"), ("", "c@z")]
    assert addresses(b"undisclosed-recipients:;") == []
    assert addresses(b"<@r1,@r2:u@h>") == [("", "u@h")]
    assert addresses(b"nobody") == [("", "nobody")]
    assert addresses(b"A <a@x, B <b@y>") == [("A", "a@x"), ("B", "b@y")]
    assert addresses(b'"a@b" <"quoted local"@h>') == [("a@b", "quoted local@h")]
    assert addresses(b"u@[IPv6:::1]") == [("", "u@[IPv6:::1]")]
    assert addresses(b"Big Bug bb@bug.com") == [("Big Bug", "bb@bug.com")]
    assert addresses(b"a@x b@y") == [("", "a@x"), ("", "b@y")]
    assert addresses(b"<a@x b@y>") == [("", "a@x"), ("", "b@y")]
    assert addresses(b"water @ heping . test") == [("", "water@heping.test")]
    assert addresses(b"") == []


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_raw_display_names_are_read(charset: str) -> None:
    assert addresses("水务局 <water@heping.test>, 繺誠".encode(charset)) == [
        ("水务局", "water@heping.test"),
        ("", "繺誠"),
    ]
    assert addresses(word(b"\xcb\xae", "gb2312") + b" <water@heping.test>") == [
        ("水", "water@heping.test")
    ]


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "?"]))
def test_nothing_raises(noise: bytes, encoding: str) -> None:
    decode_body(noise, encoding)
    decode_body(b"begin 644 x\n" + noise, encoding)
    decode_text(noise)
    decode_text(b"=?gb2312?B?" + noise + b"?= =?utf-7?q?" + noise + b"?=")
    addresses(noise)
    charset_text(noise, noise.decode("latin-1"))
    for charset in ("utf-16", "iso-2022-jp", "hz", "utf-7", "big5", "idna"):
        charset_text(noise, charset)
    _, parameters = take_apart(b"a/b; name=" + noise + b"; name*0*=" + noise)
    parameter(parameters, "name")


@given(st.binary(max_size=300))
def test_what_was_encoded_is_decoded(octets: bytes) -> None:
    assert decode_body(base64.encodebytes(octets), "base64") == octets


@pytest.mark.parametrize("text", ["通知", "通讯录.txt", "学校", "联通, 测试"])
def test_gbk_that_happens_to_be_utf_8_is_read_as_what_people_wrote(text: str) -> None:
    assert decode_text(text.encode("gbk")) == text
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize("text", ["café", "ação", "Привет", "25 °C ± 2", "μg", "שלום"])
def test_utf_8_of_other_scripts_is_not_taken_for_gbk(text: str) -> None:
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize("label", ["rot13", "zlib", "base64", "hex", "bz2", "uu", "quopri"])
def test_a_codec_of_python_that_is_no_charset_is_an_unknown_label(label: str) -> None:
    assert decode_text(f"=?{label}?Q?abc?=".encode()) == "abc"


def test_half_a_letter_in_utf_7_becomes_a_replacement() -> None:
    assert decode_text(b"=?utf-7?Q?a+2AA-b?=") == "a\ufffdb"
    assert decode_text(b"=?utf-7?Q?+kBp35Q-?=") == "通知"
    assert decode_text(b"=?utf-7?Q?+2D3eAA-?=") == "😀"
