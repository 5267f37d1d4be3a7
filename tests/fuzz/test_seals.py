"""Whatever stands where a seal should be, it is judged, and only a seal is taken for one."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import Cert, SignatureMode, Tsk, encrypt, sign

from gateway.domain.document import SealState
from gateway.errors import CommandError
from gateway.seals.book import Seal, SealBook
from gateway.seals.certificate import admit, read_certificate
from gateway.seals.clearsign import read_clearsigned
from gateway.seals.judge import judge
from gateway.seals.packets import (
    BrokenPackets,
    dearmor,
    read_message,
    read_packets,
    recipients_of,
    signatures_in,
)
from mailboxes.scan import scan
from tests import letters
from tests.fuzz.effort import effort
from tests.fuzz.mutations import MIME_PIECES, nearly

NOW = datetime.now(UTC)
SECRET = Tsk.generate("水务局 <water@heping.test>")
PUBLIC = bytes(SECRET.extract_certificate())
STRANGER = Tsk.generate("别人 <water@heping.test>")
BOOK = SealBook(
    (
        Seal(
            id=1, unit_id=2, fingerprint=read_certificate(PUBLIC).fingerprint, certificate=PUBLIC,
            issued_at=NOW - timedelta(days=1),
        ),
    )
)  # fmt: skip
TEXT = "关于防汛的通知\r\n各单位：\r\n".encode()
PLAIN = letters.plain("water", "office", "关于防汛的函")


def _signed(mode: SignatureMode, who: Tsk = SECRET) -> bytes:
    return bytes(sign(who.signer(), TEXT, mode=mode))


def _sealed(who: Tsk) -> bytes:
    signer = who.signer()
    return letters.sealed_by(PLAIN, lambda body: sign(signer, body, mode=SignatureMode.DETACHED))


DETACHED = _signed(SignatureMode.DETACHED)
CLEAR = _signed(SignatureMode.CLEAR)
ENCRYPTED = bytes(encrypt(TEXT, [Cert.from_bytes(PUBLIC)], SECRET.signer()))
PACKETS = tuple(
    dearmor(octets)
    for octets in (DETACHED, _signed(SignatureMode.INLINE), ENCRYPTED, PUBLIC, bytes(SECRET))
)
PIECES = (
    b"-----BEGIN PGP SIGNATURE-----\r\n", b"-----END PGP SIGNATURE-----", b"\r\n\r\n", b"- ",
    b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\n", b"Hash: MD5\r\n", b"=AAAA",
    b"\xc2\xff\xff\xff\xff\xff", b"\xc8", b"\xcb", b"\xd2", b"\xc1", b"\xe1", b"\x99", b"\xff",
    b"\xc0", b"\xd4", b"\0\0\0\0", b"\x84", b"\x0c", b"\xe0\xe0\xe0",
)  # fmt: skip


@effort(250)
@given(nearly((*PACKETS, DETACHED, CLEAR, ENCRYPTED), PIECES))
def test_packets_are_read_or_broken(octets: bytes) -> None:
    for work in (
        dearmor, signatures_in, recipients_of, lambda o: list(read_packets(o)),
        lambda o: read_message(o, limit=10_000),
    ):  # fmt: skip
        with contextlib.suppress(BrokenPackets):
            work(octets)
    found = read_clearsigned(octets)
    assert found is None or found.blocks or found.broken


@effort(150)
@given(nearly((PUBLIC, bytes(SECRET), bytes(SECRET.extract_certificate())), PIECES))
def test_a_certificate_is_read_or_refused_in_words(octets: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_certificate(octets)
    try:
        binary, _ = admit(octets, now=NOW)
    except CommandError as refused:
        assert "\n" not in refused.public
        assert len(refused.public) < 250
    else:
        assert not any(packet.tag in (5, 7) for packet in read_packets(binary))


SEALED = _sealed(SECRET)
CLEARSIGNED = (
    b"From: water@heping.test\r\nTo: office@heping.test\r\nSubject: a\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + CLEAR.replace(b"\n", b"\r\n")
)
LOCKED = (
    b"From: water@heping.test\r\nSubject: a\r\nContent-Type: multipart/encrypted; boundary=b;\r\n"
    b' protocol="application/pgp-encrypted"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted'
    b"\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
    + ENCRYPTED.replace(b"\n", b"\r\n") + b"\r\n--b--\r\n"
)  # fmt: skip


def _state(octets: bytes) -> SealState:
    judged = judge(octets, scan(octets), unit_id=2, book=BOOK, at=NOW, clock_skew=900, opener=None)
    return judged.finding.state


@effort(200)
@given(nearly((SEALED, CLEARSIGNED, LOCKED, _sealed(STRANGER)), (*PIECES, *MIME_PIECES)))
def test_every_mail_is_judged_and_a_seal_holds_only_over_the_octets_it_was_made_for(
    octets: bytes,
) -> None:
    if _state(octets) is SealState.VALID:
        # Then the sealed entity is in it, octet by octet; clear-signed lines but for their ends.
        body = SEALED.partition(b"\r\n\r\n")[2]
        entity = body[
            body.index(b"\r\n") + 2 : body.index(b"\r\n--" + letters.BOUNDARY.encode(), 9)
        ]
        words = [line.rstrip() for line in TEXT.splitlines()]
        clear = all(line in octets for line in words)
        assert entity in octets or clear


def test_the_mails_that_are_changed_are_good_ones() -> None:
    assert [_state(octets) for octets in (SEALED, CLEARSIGNED)] == [SealState.VALID] * 2
    assert _state(_sealed(STRANGER)) is not SealState.VALID


@pytest.mark.parametrize("other", [b"x", b"\r\n", b" "])
@effort(20)
@given(place=st.floats(0, 1, exclude_max=True))
def test_one_octet_more_in_what_was_sealed_breaks_the_seal(other: bytes, place: float) -> None:
    body = SEALED.partition(b"\r\n\r\n")[2]
    start = SEALED.index(body) + body.index(b"\r\n") + 2
    stop = SEALED.index(b"\r\n--" + letters.BOUNDARY.encode(), start)
    at = start + int(place * (stop - start))
    assert _state(SEALED[:at] + other + SEALED[at:]) is not SealState.VALID
