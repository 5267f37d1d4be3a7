"""Promises about judging the seal of a message, on mail as gpg and mail clients make it."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.document import Opening, SealFault, SealState
from gateway.seals.judge import missing_recipients
from gateway.seals.pgpmime import sign_mime
from gateway.seals.signer import FakeSigner, OfficeSigner

HEAD = (
    b"From: =?utf-8?B?5rC05Yqh5bGA?= <water@heping.test>\r\nTo: all@heping.test\r\n"
    b"Subject: =?utf-8?B?6YCa55+l?=\r\nMIME-Version: 1.0\r\n"
)
ENTITY = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"5YWz5LqO6Ziy5rGb55qE6YCa55+l\r\n"
)


def wrap(entity, signature, *, epilogue=b"", preamble=b"", more=b"", head=HEAD):
    return b"".join(
        (
            head,
            b'Content-Type: multipart/signed; micalg="pgp-sha512";\r\n'
            b' protocol="application/pgp-signature"; boundary="b1"\r\n\r\n',
            preamble,
            b"--b1\r\n", entity, b"\r\n--b1\r\n",
            b"Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n",
            signature.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), more,
            b"\r\n--b1--\r\n", epilogue,
        )
    )  # fmt: skip


@pytest.fixture
def sealed(hall):
    return wrap(ENTITY, hall.client.sign(ENTITY, "water@heping.test"))


def test_a_seal_over_the_whole_body_is_valid(judged, sealed, hall):
    result = judged(sealed)
    assert result.finding.state is SealState.VALID
    assert result.finding.fingerprint == hall.water.entry.fingerprint
    assert result.finding.signed_at.endswith("Z")
    assert (result.opening, result.opened, result.encrypted_to) == (Opening.PLAIN, None, ())


def test_a_text_mode_signature_is_valid(judged, hall):
    signature = hall.client.sign(ENTITY, "water@heping.test", "--textmode")
    assert judged(wrap(ENTITY, signature)).finding.state is SealState.VALID


def test_what_the_office_wraps_is_valid_for_us_and_for_gpg(judged, hall, tmp_path):
    signer = OfficeSigner(hall.water.private)
    body, content_type = sign_mime(ENTITY, signer)
    message = HEAD + b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    assert judged(message).finding.state is SealState.VALID
    (tmp_path / "sig").write_bytes(signer.sign(ENTITY))
    (tmp_path / "entity").write_bytes(ENTITY)
    status = hall.client.gpg(
        "--status-fd", "1", "--verify", str(tmp_path / "sig"), str(tmp_path / "entity")
    )
    assert b"VALIDSIG " + hall.water.entry.fingerprint.encode() in status


@pytest.mark.parametrize("change", [(b"utf-8\r\nC", b"utf-9\r\nC"), (b"5YWz", b"6YWz")])
def test_one_changed_octet_under_the_seal_is_invalid(judged, sealed, change):
    assert judged(sealed.replace(*change)).finding.state is SealState.INVALID


def test_a_list_footer_behind_the_seal_is_partly(judged, sealed):
    inner = sealed[sealed.index(b"Content-Type: multipart/signed") :]
    listed = (
        HEAD + b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n--b0\r\n' + inner
        + b"\r\n--b0\r\nContent-Type: text/plain\r\n\r\n-- \r\nA list\r\n--b0--\r\n"
    )  # fmt: skip
    finding = judged(listed).finding
    assert finding.state is SealState.PARTLY
    assert "not covered" in finding.detail


def test_a_third_part_or_an_epilogue_is_partly_but_a_preamble_is_nothing(judged, hall):
    signature = hall.client.sign(ENTITY, "water@heping.test")
    third = b"\r\n--b1\r\nContent-Type: text/plain\r\n\r\nfooter"
    state = lambda octets: judged(octets).finding.state  # noqa: E731
    assert state(wrap(ENTITY, signature, more=third)) is SealState.PARTLY
    assert state(wrap(ENTITY, signature, epilogue=b"footer\r\n")) is SealState.PARTLY
    assert state(wrap(ENTITY, signature, epilogue=b"\r\n")) is SealState.VALID
    note = b"This is an OpenPGP/MIME signed message (RFC 4880 and 3156)\r\n"
    assert state(wrap(ENTITY, signature, preamble=note)) is SealState.VALID


def test_nothing_can_be_shown_from_the_place_of_the_signature(judged, hall):
    """A text/html part with words before the armour was once the proof of a valid seal."""
    armour = crlf(hall.client.sign(ENTITY, "water@heping.test"))
    html = wrap(ENTITY, b"<h1>forged</h1>\r\n" + armour).replace(
        b"Content-Type: application/pgp-signature; name=signature.asc", b"Content-Type: text/html"
    )
    assert judged(html).finding.state is SealState.INVALID
    for beside in (b"forged\r\n" + armour, armour + b"forged\r\n", armour + armour):
        assert judged(wrap(ENTITY, beside)).finding.state is SealState.PARTLY
    assert judged(wrap(ENTITY, b"\r\n" + armour + b"\r\n  \r\n")).finding.state is SealState.VALID


@pytest.mark.parametrize("more", [b'; boundary="zz"', b"; boundary*=us-ascii''zz"])
def test_a_boundary_that_programs_read_differently_is_under_no_whole_seal(judged, hall, more):
    sealed = wrap(ENTITY, hall.client.sign(ENTITY, "water@heping.test"))
    assert judged(sealed.replace(b'"b1"', b'"b1"' + more, 1)).finding.state is not SealState.VALID


def test_two_content_types_cannot_hide_text_from_the_seal(judged, hall):
    signature = hall.client.sign(ENTITY, "water@heping.test")
    message = wrap(ENTITY, signature).replace(
        b"\r\n\r\n--b1", b"\r\nContent-Type: text/plain\r\n\r\n--b1", 1
    )
    assert judged(message).finding.state is SealState.PARTLY


def test_without_a_signature_the_seal_is_missing(judged):
    assert judged(HEAD + ENTITY).finding.state is SealState.MISSING


def test_an_smime_signature_is_not_a_seal(judged, sealed):
    message = sealed.replace(b"pgp-signature", b"pkcs7-signature")
    finding = judged(message).finding
    assert finding.state is SealState.MISSING
    assert "pkcs7" in finding.detail


def test_the_seal_of_a_forwarded_message_is_not_the_senders(judged, sealed):
    forwarded = (
        HEAD + b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n'
        b"--b0\r\nContent-Type: message/rfc822\r\n\r\n" + sealed + b"\r\n--b0--\r\n"
    )  # fmt: skip
    assert judged(forwarded).finding.state is SealState.MISSING


def test_the_seal_of_another_unit_is_named_so(judged, hall):
    message = wrap(ENTITY, hall.client.sign(ENTITY, "education@heping.test"))
    finding = judged(message).finding
    assert finding.state is SealState.OTHER_UNIT
    assert finding.fingerprint == hall.education.entry.fingerprint


def test_a_key_that_is_nobodys_seal_is_unknown_whatever_name_it_bears(judged):
    signer = FakeSigner("水务局 <water@heping.test>")
    finding = judged(wrap(ENTITY, signer.sign(ENTITY))).finding
    assert finding.state is SealState.UNKNOWN_KEY


def test_a_cancelled_seal_counts_until_its_cancellation_and_not_after(judged, sealed, hall):
    now = datetime.now(UTC)
    gone = hall.book_with(cancelled_at=now - timedelta(hours=1), cancel_reason="stick lost")
    finding = judged(sealed, book=gone).finding
    assert finding.state is SealState.CANCELLED
    assert finding.cancelled_at
    assert "stick lost" in finding.detail
    later = hall.book_with(cancelled_at=now + timedelta(hours=1), cancel_reason="planned")
    assert judged(sealed, book=later).finding.state is SealState.VALID


def test_a_cancelled_seal_does_not_count_for_a_back_dated_signature(judged, hall):
    """Judged when received: the thief of a seal chooses the time in his signature."""
    signature = hall.client.sign(ENTITY, "water@heping.test")
    gone = hall.book_with(cancelled_at=datetime.now(UTC), cancel_reason="stolen")
    at = datetime.now(UTC) + timedelta(seconds=1)
    assert judged(wrap(ENTITY, signature), book=gone, at=at).finding.state is SealState.CANCELLED


def test_a_replaced_seal_counts_no_longer(judged, sealed, hall):
    replaced = hall.book_with(replaced_at=datetime.now(UTC))
    finding = judged(sealed, book=replaced, at=datetime.now(UTC)).finding
    assert finding.state is SealState.CANCELLED
    assert "replaced" in finding.detail


def test_a_forged_signature_in_the_name_of_a_cancelled_seal_is_invalid(judged, sealed, hall):
    gone = hall.book_with(cancelled_at=hall.now, cancel_reason="x")
    assert judged(sealed.replace(b"5YWz", b"6YWz"), book=gone).finding.state is SealState.INVALID


def test_an_expired_signature_and_an_expired_seal_are_expired(judged, sealed, hall):
    signature = hall.client.sign(ENTITY, "water@heping.test", "--default-sig-expire", "seconds=60")
    message = wrap(ENTITY, signature)
    assert judged(message).finding.state is SealState.VALID
    at = datetime.now(UTC) + timedelta(seconds=90)
    assert judged(message, at=at).finding.state is SealState.EXPIRED
    ended = hall.book_with(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert judged(sealed, book=ended).finding.state is SealState.EXPIRED
    in_four_years = datetime.now(UTC) + timedelta(days=4 * 365)
    finding = judged(sealed, at=in_four_years).finding
    assert finding.state is SealState.EXPIRED
    assert "the seal expired" in finding.detail


def test_a_signature_from_the_future_is_invalid_beyond_the_skew(judged, sealed):
    now = datetime.now(UTC)
    assert judged(sealed, at=now - timedelta(minutes=10)).finding.state is SealState.VALID
    finding = judged(sealed, at=now - timedelta(minutes=20)).finding
    assert finding.state is SealState.INVALID
    assert "future" in finding.detail
    assert finding.fault is SealFault.CLOCK  # an honest sender is not told that it was changed


def test_a_client_whose_clock_is_a_little_fast_can_seal(judged, hall):
    for minutes, state in ((10, SealState.VALID), (20, SealState.INVALID)):
        ahead = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%S")
        signature = hall.client.sign(ENTITY, "water@heping.test", "--faked-system-time", ahead)
        assert judged(wrap(ENTITY, signature)).finding.state is state


def test_sha1_does_not_count(judged, hall):
    signature = hall.client.sign(ENTITY, "water@heping.test", "--digest-algo", "SHA1")
    finding = judged(wrap(ENTITY, signature)).finding
    assert finding.state is SealState.INVALID
    assert "SHA1" in finding.detail
    assert finding.fault is SealFault.WEAK


def test_of_several_signatures_the_senders_own_counts(judged, hall):
    both = hall.client.gpg(
        "--armor", "-u", "education@heping.test", "-u", "water@heping.test", "--detach-sign",
        octets=ENTITY,
    )  # fmt: skip
    finding = judged(wrap(ENTITY, both)).finding
    assert finding.state is SealState.VALID
    assert finding.fingerprint == hall.water.entry.fingerprint
    assert "other-unit" in finding.detail


def test_a_broken_or_empty_signature_is_invalid(judged):
    for signature in (b"", b"nonsense\n", b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n"):
        finding = judged(wrap(ENTITY, signature)).finding
        assert (finding.state, finding.fault) == (SealState.INVALID, SealFault.FORM)


def protected(subject, sender=b"water@heping.test", mark=b'protected-headers="v1"'):
    return (
        b"Content-Type: text/plain; charset=utf-8; " + mark + b"\r\nSubject: " + subject
        + b"\r\nFrom: <" + sender + b">\r\n\r\ntext\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("mark", [b'protected-headers="v1"', b"hp=clear"])
def test_protected_headers_must_say_what_the_message_says(judged, hall, mark):
    def state(entity):
        return judged(wrap(entity, hall.client.sign(entity, "water@heping.test"))).finding

    same = "通知".encode()
    assert state(protected(same, mark=mark)).state is SealState.VALID
    other = state(protected("通报".encode(), mark=mark))
    assert other.state is SealState.INVALID
    assert "subject" in other.detail
    foreign = state(protected(same, b"x@heping.test", mark=mark))
    assert (foreign.state, foreign.fault) == (SealState.INVALID, SealFault.HEADER)


def inline(hall, text, who="water@heping.test"):
    return hall.client.gpg("--local-user", who, "--clearsign", octets=text)


def plain(body, charset=b"utf-8", encoding=b"8bit"):
    return (
        HEAD + b"Content-Type: text/plain; charset=" + charset
        + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    )  # fmt: skip


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_text_sealed_in_place_is_valid_in_any_charset(judged, hall, charset):
    text = "关于防汛的通知\n- 第一条  \n\nFrom here\n-----\n末行".encode(charset)
    message = plain(crlf(inline(hall, text)), charset.encode())
    assert judged(message).finding.state is SealState.VALID


def test_text_sealed_in_place_survives_quoted_printable(judged, hall):
    import quopri

    body = quopri.encodestring(inline(hall, "通知\n内容\n".encode()))
    message = plain(crlf(body), encoding=b"quoted-printable")
    assert judged(message).finding.state is SealState.VALID


def test_text_beside_the_sealed_text_is_partly(judged, hall):
    block = crlf(inline(hall, b"sealed\n"))
    assert judged(plain(block + b"\r\nnot sealed\r\n")).finding.state is SealState.PARTLY
    assert judged(plain(b"not sealed\r\n" + block)).finding.state is SealState.PARTLY
    assert judged(plain(b"\r\n" + block + b"\r\n  \r\n")).finding.state is SealState.VALID
    assert judged(plain(block + block)).finding.state is SealState.PARTLY


def test_changed_text_and_smuggled_lines_in_place_are_invalid(judged, hall):
    block = crlf(inline(hall, b"sealed\n"))
    assert judged(plain(block.replace(b"\r\nsealed", b"\r\nSealed"))).finding.state is (
        SealState.INVALID
    )
    # A reader sees this line, but no signature covers the lines above the empty one.
    smuggled = block.replace(b"\r\n\r\nsealed", b"\r\nComment: pay twice\r\n\r\nsealed")
    assert judged(plain(smuggled)).finding.state is SealState.INVALID
    assert judged(plain(block.partition(b"-----END")[0])).finding.state is SealState.INVALID


def test_sealed_text_with_an_attachment_is_partly(judged, hall):
    mixed = (
        HEAD + b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n--b0\r\n'
        b"Content-Type: text/plain\r\n\r\n" + crlf(inline(hall, b"sealed\n"))
        + b"\r\n--b0\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--b0--\r\n"
    )  # fmt: skip
    assert judged(mixed).finding.state is SealState.PARTLY


def test_a_good_part_does_not_cover_up_for_a_forged_one(judged, hall, sealed):
    good = sealed[sealed.index(b"Content-Type: multipart/signed") :]
    forged = good.replace(b"b1", b"b2").replace(b"5YWz", b"6YWz")
    both = (
        HEAD + b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n--b0\r\n' + good
        + b"\r\n--b0\r\n" + forged + b"\r\n--b0--\r\n"
    )  # fmt: skip
    assert judged(both).finding.state is SealState.INVALID


def test_missing_recipients_are_the_units_whose_seals_cannot_decrypt(hall):
    water = hall.client.gpg("-k", "--with-colons", "--with-subkey-fingerprint", "water@heping.test")
    subkey = next(line for line in water.decode().splitlines() if line.startswith("sub"))
    key_id = subkey.split(":")[4]
    assert missing_recipients((key_id,), hall.book, (1, 2, 3)) == [2, 3]
    assert missing_recipients(("0" * 16,), hall.book, (1,)) == [1]
    replaced = hall.book_with(replaced_at=hall.now)
    assert missing_recipients((key_id,), replaced, (1,)) == [1]
    primary = hall.water.entry.fingerprint[-16:]  # it signs; nobody can decrypt by it
    assert missing_recipients((primary,), hall.book, (1,)) == [1]


def test_book_and_judgement_travel_between_processes(judged, sealed, hall):
    assert pickle.loads(pickle.dumps(hall.book)) == hall.book  # noqa: S301
    result = judged(sealed)
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    change=st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.binary(max_size=12)),
    in_place=st.booleans(),
)
def test_whatever_mail_comes_judging_ends_with_a_finding(judged, hall, sealed, change, in_place):
    octets = plain(crlf(inline_once(hall))) if in_place else sealed
    at, cut, put = change
    at %= len(octets)
    changed = octets[:at] + put + octets[at + cut :]
    if judged(changed).finding.state is SealState.VALID:
        # Only what no seal covers can differ.
        assert b"5YWz5LqO6Ziy5rGb55qE6YCa55+l" in changed or b"inline text" in changed


_kept: dict[str, bytes] = {}


def inline_once(hall):
    if "inline" not in _kept:
        _kept["inline"] = inline(hall, b"inline text\n")
    return _kept["inline"]


def test_many_hash_lines_over_a_signed_text_cost_no_more_than_their_length() -> None:
    from gateway.seals.clearsign import _HASH

    # One line more once doubled the time: with 36 of them the daemon stood still for hours.
    lines = b"Hash: SHA256\r\n" * 5000
    assert _HASH.match(lines + b"x\r\n") is None
    assert _HASH.match(lines + b"\r\n") is not None
