"""Promises about encrypted mail: opened in memory if the office can, said so if it cannot."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest

from gateway.domain.document import Opening, SealState
from gateway.seals.judge import missing_recipients
from gateway.seals.opener import CannotOpen, FakeOpener
from gateway.seals.packets import dearmor
from gateway.seals.signer import load_office_opener, load_office_signer

HEAD = b"From: water@heping.test\r\nTo: education@heping.test\r\nSubject: ...\r\n"
ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nsecret text\r\n"


@pytest.fixture(scope="module")
def opener(hall):
    made = load_office_opener(hall.settings, hall.state)
    yield made
    made.close()


def wrap(ciphertext, *, more=b""):
    return (
        HEAD + b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
        b' boundary="e1"\r\n\r\n--e1\r\nContent-Type: application/pgp-encrypted\r\n\r\n'
        b"Version: 1\r\n\r\n--e1\r\nContent-Type: application/octet-stream\r\n\r\n"
        + ciphertext.replace(b"\n", b"\r\n") + more + b"\r\n--e1--\r\n"
    )  # fmt: skip


def encrypt(hall, content, *arguments, to=("postmaster@heping.test", "education@heping.test")):
    names = [word for name in to for word in ("-r", name)]
    return hall.client.gpg("--armor", *names, *arguments, "--encrypt", octets=content)


def seal_and_encrypt(hall, content, *more, who="water@heping.test", **to):
    return encrypt(hall, content, "--local-user", who, "--sign", *more, **to)


@pytest.mark.parametrize("compression", ["zip", "zlib", "bzip2", "none"])
def test_mail_sealed_and_encrypted_in_one_go_is_opened_and_judged(
    judged, hall, opener, compression
):
    ciphertext = seal_and_encrypt(hall, ENTITY, "--compress-algo", compression)
    result = judged(wrap(ciphertext), opener=opener)
    assert result.finding.state is SealState.VALID
    assert (result.opening, result.opened) == (Opening.OPENED, ENTITY)
    assert len(result.encrypted_to) == 2
    assert missing_recipients(result.encrypted_to, hall.book, [2]) == []
    assert missing_recipients(result.encrypted_to, hall.book, [1, 2]) == [1]


def test_mail_sealed_first_and_then_encrypted_is_opened_and_judged(judged, hall, opener):
    signature = hall.client.sign(ENTITY, "water@heping.test").replace(b"\n", b"\r\n")
    inner = (
        b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="b1"\r\n'
        b"\r\n--b1\r\n" + ENTITY + b"\r\n--b1\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + signature + b"\r\n--b1--\r\n"
    )  # fmt: skip
    result = judged(wrap(encrypt(hall, inner)), opener=opener)
    assert result.finding.state is SealState.VALID
    assert result.opened == inner


def test_encrypted_mail_without_a_seal_is_missing_it(judged, hall, opener):
    result = judged(wrap(encrypt(hall, ENTITY)), opener=opener)
    assert result.finding.state is SealState.MISSING
    assert result.opened == ENTITY


def test_the_seal_of_another_unit_inside_is_found(judged, hall, opener):
    ciphertext = seal_and_encrypt(hall, ENTITY, who="education@heping.test")
    assert judged(wrap(ciphertext), opener=opener).finding.state is SealState.OTHER_UNIT


def test_mail_encrypted_to_others_cannot_be_checked(judged, hall, opener):
    ciphertext = seal_and_encrypt(hall, ENTITY, to=("education@heping.test",))
    for who in (opener, None):
        result = judged(wrap(ciphertext), opener=who)
        assert result.finding.state is SealState.CANNOT_CHECK
        assert (result.opening, result.opened) == (Opening.NOT_CHECKED, None)
        assert len(result.encrypted_to) == 1


def test_a_hidden_recipient_is_shown_as_hidden_and_still_opened(judged, hall, opener):
    ciphertext = hall.client.gpg(
        "--armor", "--hidden-recipient", "postmaster@heping.test", "--encrypt", octets=ENTITY
    )
    result = judged(wrap(ciphertext), opener=opener)
    assert result.encrypted_to == ("0" * 16,)
    assert result.opened == ENTITY


def test_encryption_with_another_part_or_another_type_is_not_checked(judged, hall, opener):
    """A third part of any kind was once taken for a piece of the encryption, and not looked at."""
    footer = b"\r\n--e1\r\nContent-Type: text/plain\r\n\r\nfooter"
    cipher = seal_and_encrypt(hall, ENTITY)
    good = wrap(cipher)
    assert judged(good, opener=opener).opening is Opening.OPENED
    for message in (
        wrap(cipher, more=footer),
        good.replace(b"application/octet-stream", b"application/x-msdownload"),
        good.replace(
            b"Content-Type: application/pgp-encrypted\r\n", b"Content-Type: text/plain\r\n"
        ),
    ):
        found = judged(message, opener=opener)
        assert (found.opening, found.finding.state) == (
            Opening.NOT_CHECKED, SealState.CANNOT_CHECK,
        )  # fmt: skip


def test_encrypted_text_in_place_is_opened_as_a_text(judged, hall, opener):
    body = seal_and_encrypt(hall, "密文内容\n".encode("gb18030")).replace(b"\n", b"\r\n")
    head = HEAD + b"Content-Type: text/plain; charset=gb18030\r\n\r\n"
    result = judged(head + body, opener=opener)
    assert result.finding.state is SealState.VALID
    assert b"charset=gb18030" in result.opened
    assert result.opened.endswith("密文内容\n".encode("gb18030"))
    # Text beside it would be read by people, but by no check.
    beside = judged(head + b"hello\r\n" + body, opener=opener)
    assert beside.opening is Opening.NOT_CHECKED


def test_encrypted_content_in_a_corner_is_not_checked(judged, hall, opener):
    body = encrypt(hall, b"x").replace(b"\n", b"\r\n")
    mixed = (
        HEAD + b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n--m\r\nContent-Type: text/plain\r\n\r\n"
        + body + b"\r\n--m--\r\n"
    )  # fmt: skip
    result = judged(mixed, opener=opener)
    assert result.opening is Opening.NOT_CHECKED
    assert result.finding.state is SealState.CANNOT_CHECK
    twice = wrap(encrypt(hall, wrap(encrypt(hall, ENTITY))))
    assert judged(twice, opener=opener).opening is Opening.NOT_CHECKED


def test_smime_mail_is_not_checked(judged, opener):
    message = HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nAA=="
    assert judged(message, opener=opener).opening is Opening.NOT_CHECKED


def test_a_message_that_is_only_signed_and_packed_is_unpacked_for_the_checks(judged, hall):
    packed = hall.client.gpg("--armor", "--local-user", "water@heping.test", "--sign", octets=b"hi")
    head = HEAD + b"Content-Type: text/plain\r\n\r\n"
    result = judged(head + packed.replace(b"\n", b"\r\n"))
    assert result.finding.state is SealState.VALID
    assert result.opened.endswith(b"\r\n\r\nhi")


def test_a_bomb_inside_is_not_unpacked(judged, hall, opener):
    """gpg leaves the compression to us: 80 MB of zeros arrive in some 80 KB."""
    ciphertext = seal_and_encrypt(hall, bytes(80_000_000), "--compress-algo", "zlib", "-z", "9")
    assert len(ciphertext) < 200_000
    result = judged(wrap(ciphertext), opener=opener)
    assert result.opening is Opening.NOT_CHECKED
    assert "limit" in result.finding.detail


def test_a_changed_ciphertext_is_not_opened(hall, opener):
    binary = bytearray(dearmor(encrypt(hall, ENTITY)))
    binary[-30] ^= 1
    with pytest.raises(CannotOpen):
        opener.open(bytes(binary))


def test_garbage_in_an_encrypted_message_is_a_finding(judged, opener):
    for octets in (
        b"",
        b"garbage",
        b"-----BEGIN PGP MESSAGE-----\n\n!!!!\n-----END PGP MESSAGE-----",
    ):
        result = judged(wrap(octets), opener=opener)
        assert result.finding.state is SealState.CANNOT_CHECK
        assert result.opening is Opening.NOT_CHECKED


def test_the_fake_opener_opens_content(judged, hall):
    secret = subprocess.run(
        ["gpg", "--homedir", str(hall.state / "gnupg/office"), "--batch", "--pinentry-mode",
         "loopback", "--passphrase", "", "--export-secret-keys"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    result = judged(wrap(encrypt(hall, ENTITY)), opener=FakeOpener(secret))
    assert result.opened == ENTITY


def test_signing_and_opening_work_side_by_side(judged, hall, opener):
    signer = load_office_signer(hall.settings, hall.state)
    assert signer.sign(b"x").startswith(b"-----BEGIN PGP SIGNATURE-----")
    result = judged(wrap(encrypt(hall, ENTITY)), opener=opener, at=datetime.now(UTC))
    assert result.opening is Opening.OPENED
