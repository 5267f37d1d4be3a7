"""ENVELOPE and BODYSTRUCTURE as IMAP clients expect them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mailboxes.imapdata import body, bodystructure, envelope
from mailboxes.scan import scan


def head(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def test_sender_and_reply_to_are_from_where_they_are_missing() -> None:
    found = envelope(
        scan(head("Date: today\nSubject: =?x?q?y?=\nFrom: Bureau <water@heping.test>\nReply-To: "))
    )
    sender = [["Bureau", None, "water", "heping.test"]]
    assert found == ["today", "=?x?q?y?=", sender, sender, sender, None, None, None, None, None]


def test_two_senders_and_other_strange_fields_do_no_harm() -> None:
    found = envelope(
        scan(
            head(
                "From: a@x, b@y\nSender: c@z\nSender: d@z\nTo: friends: (x) e@v, F <f@w>;\n"
                "Cc: undisclosed-recipients:;\nBcc: nobody\nMessage-ID: <1@x>\nIn-Reply-To: <0@x>"
            )
        )
    )
    assert found[2] == [[None, None, "a", "x"], [None, None, "b", "y"]]
    assert found[3] == [[None, None, "c", "z"], [None, None, "d", "z"]]
    assert found[5] == [
        [None, None, "friends", None],
        ["x", None, "e", "v"],
        ["F", None, "f", "w"],
        [None, None, None, None],
    ]
    assert found[6] == [[None, None, "undisclosed-recipients", None], [None, None, None, None]]
    assert found[7] == [[None, None, "nobody", "MISSING_DOMAIN"]]
    assert found[8:] == ["<0@x>", "<1@x>"]


def test_the_addresses_of_all_fields_of_a_name_are_there() -> None:
    found = envelope(scan(head("To: a@x\nSubject: s\nto: \nTo: b@y")))
    assert found[5] == [[None, None, "a", "x"], [None, None, "b", "y"]]


def test_words_without_an_address_are_a_name() -> None:
    found = envelope(scan(head('To: Water Bureau, office, "Li, Ming"')))
    assert found[5] == [
        ["Water Bureau", None, "MISSING_MAILBOX", "MISSING_DOMAIN"],
        [None, None, "office", "MISSING_DOMAIN"],
        ["Li, Ming", None, "MISSING_MAILBOX", "MISSING_DOMAIN"],
    ]


def test_a_field_that_is_empty_is_not_a_field_that_is_missing() -> None:
    found = bodystructure(scan(head("Content-ID:\nContent-Type: image/png\nContent-MD5:")))
    assert found[3:5] == ["", None]
    assert found[7:] == ["", None, None, None]


def test_raw_octets_of_a_name_are_given_as_they_are() -> None:
    octets = "From: 繺誠 <a@x>\r\n\r\n".encode("gbk")
    name = envelope(scan(octets))[2][0][0]  # type: ignore[index]
    assert str(name).encode("utf-8", "surrogateescape") == "繺誠".encode("gbk")


def test_text_without_a_charset_is_us_ascii() -> None:
    plain = ["text", "plain", ["charset", "us-ascii"], None, None, "7bit", 4, 1]
    assert bodystructure(scan(b"\r\nab\r\n")) == [*plain, None, None, None, None]
    assert body(bodystructure(scan(b"\r\nab\r\n"))) == plain
    html = bodystructure(scan(head("Content-Type: TEXT/HTML; format=flowed")))
    assert html[:3] == ["text", "html", ["format", "flowed", "charset", "us-ascii"]]


def test_sizes_are_those_of_bodies_and_messages_carry_their_envelope() -> None:
    octets = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-ID: <c>\r\n'
        b"Content-Description: d\r\nContent-Transfer-Encoding: BASE64\r\n"
        b"Content-Language: zh, en\r\n"
        b'Content-Disposition: Attachment; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\nQUJD\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Subject: s\r\n\r\nx\r\ny\r\n--b--\r\n"
    )
    found = bodystructure(scan(octets))
    pdf = [
        "application", "pdf", None, "<c>", "d", "base64", 4,
        None, ["attachment", ["filename", "a.pdf"]], ["zh", "en"], None,
    ]  # fmt: skip
    text = ["text", "plain", ["charset", "us-ascii"], None, None, "7bit", 4, 1]
    message = [
        "message", "rfc822", None, None, None, "7bit", 18,
        [None, "s", *[None] * 8], [*text, None, None, None, None], 3, None, None, None, None,
    ]  # fmt: skip
    assert found == [[pdf, message], "mixed", ["boundary", "b"], None, None, None]
    short = body(found)
    assert short == [[pdf[:7], [*message[:8], text, 3]], "mixed"]


def test_a_multipart_without_parts_is_shown_as_text() -> None:
    found = bodystructure(scan(head("Content-Type: multipart/mixed") + b"text\r\n"))
    assert found[:3] == ["text", "plain", ["charset", "us-ascii"]]
    assert found[6:8] == [6, 1]


def test_an_encoded_message_is_still_a_message() -> None:
    octets = head("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64") + b"QQ=="
    found = bodystructure(scan(octets))
    assert found[5:8] == ["base64", 4, [None] * 10]
    assert found[9] == 0


@given(st.binary(max_size=200))
def test_noise_never_raises_and_is_json(noise: bytes) -> None:
    for octets in (noise, b"From: " + noise + b"\r\nContent-Type: text/" + noise + b"\r\n\r\n"):
        part = scan(octets)
        for value in (envelope(part), bodystructure(part), body(bodystructure(part))):
            assert json.loads(json.dumps(value)) == value


def test_all_collected_mail_has_an_envelope(corpus: dict[str, bytes]) -> None:
    for octets in corpus.values():
        part = scan(octets)
        assert len(envelope(part)) == 10
        body(bodystructure(part))
