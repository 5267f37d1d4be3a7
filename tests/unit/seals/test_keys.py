"""Promises about keys: which may become a seal, how they are made, kept, handed out and used."""

from __future__ import annotations

import stat
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pysequoia import CipherSuite, Tsk

from gateway.config import Seals
from gateway.domain.document import SealState
from gateway.errors import CommandError, ConfigurationError, Deferred
from gateway.seals.book import Seal, SealBook
from gateway.seals.certificate import admit, read_certificate
from gateway.seals.handover import armoured, write_halves
from gateway.seals.keyring import LONGEST_HOME, Keyring
from gateway.seals.pgpmime import sign_mime
from gateway.seals.signer import (
    CREDENTIAL,
    FakeSigner,
    GpgSigner,
    OfficeSigner,
    load_office_signer,
    office_certificate,
    open_office_keyring,
    read_passphrase,
)
from gateway.seals.workshop import Workshop, create_office_key

ENTITY = b"Content-Type: text/plain\r\n\r\ntext\r\n"


WATER = 1


def wrap(signature: bytes) -> bytes:
    return (
        b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="b"\r\n'
        b"\r\n--b\r\n" + ENTITY + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + signature + b"\r\n--b--\r\n"
    )  # fmt: skip


def public(key: Tsk) -> bytes:
    return bytes(key.extract_certificate())


def test_ed25519_may_be_a_seal():
    octets = public(Tsk.generate("水务局 <water@heping.test>"))
    binary, facts = admit(armoured(octets), now=datetime.now(UTC))
    assert binary == octets
    assert facts.keys[0].algorithm == "Ed25519"
    assert facts.user_ids == ("水务局 <water@heping.test>",)


def test_rsa_with_3072_bits_may_be_a_seal_and_its_seals_are_valid(hall, judged):
    hall.client.gpg("--quick-generate-key", "Rsa <rsa@heping.test>", "rsa3072", "cert,sign", "1y")
    binary, facts = admit(hall.client.gpg("--export", "rsa@heping.test"), now=datetime.now(UTC))
    assert facts.keys[0].algorithm == "RSA 3072"
    seal = Seal(9, WATER, facts.fingerprint, binary, hall.now)
    message = wrap(hall.client.sign(ENTITY, "rsa@heping.test"))
    assert judged(message, book=SealBook((seal,))).finding.state is SealState.VALID


@pytest.mark.parametrize("suite", [CipherSuite.RSA2k, CipherSuite.P256])
def test_weaker_keys_may_not(suite):
    with pytest.raises(CommandError, match="cannot be a seal"):
        admit(public(Tsk.generate("x", cipher_suite=suite)), now=datetime.now(UTC))


def test_a_key_bound_by_sha1_may_not(hall):
    hall.client.gpg(
        "--cert-digest-algo", "SHA1", "--quick-generate-key", "Sha1 <sha1@heping.test>", "ed25519",
        "cert,sign", "1y",
    )  # fmt: skip
    key = hall.client.gpg("--export", "sha1@heping.test")
    with pytest.raises(CommandError, match="SHA-1"):
        admit(key, now=datetime.now(UTC))


def test_private_revoked_expired_and_other_files_are_refused_in_words(hall):
    now = datetime.now(UTC)
    key = Tsk.generate("x", validity_seconds=60)
    with pytest.raises(CommandError, match="private"):
        admit(bytes(key), now=now)
    with pytest.raises(CommandError, match="expired"):
        admit(public(key), now=now + timedelta(minutes=2))
    with pytest.raises(CommandError, match="exactly one key"):
        admit(public(key) + public(Tsk.generate("y")), now=now)
    for octets in (b"", b"hello", hall.client.sign(b"x", "water@heping.test")):
        with pytest.raises(CommandError):
            admit(octets, now=now)
    entry = hall.water.entry
    with pytest.raises(CommandError, match="revoked"):
        admit(armoured(entry.certificate, entry.revocation), now=now)


def test_an_issued_seal_is_certified_by_the_office_and_ends_after_its_years(hall):
    entry = hall.water.entry
    facts = read_certificate(entry.certificate)
    assert facts.fingerprint == entry.fingerprint
    assert facts.user_ids == ("水务局 <water@heping.test>",)
    assert [key.algorithm for key in facts.keys] == ["Ed25519", "Curve25519"]
    assert entry.expires_at is not None
    assert timedelta(days=3 * 365 - 2) < entry.expires_at - hall.now < timedelta(days=3 * 366)
    hall.client.gpg("--import", octets=entry.certificate)
    signatures = hall.client.gpg("--with-colons", "--check-signatures", entry.fingerprint)
    office = read_certificate(hall.office).fingerprint
    assert any(
        line.startswith("sig:!:") and office[-16:] in line
        for line in signatures.decode().splitlines()
    )


def test_the_private_half_is_handed_out_and_not_kept(hall):
    with open_office_keyring(hall.settings, hall.state) as keyring:
        assert keyring.fingerprints(secret=True) == [read_certificate(hall.office).fingerprint]
    with Workshop(hall.settings, hall.state) as workshop:
        made = workshop.issue("信访局", "letters@heping.test", passphrase="", years=0)
        with pytest.raises(CommandError, match="cannot be exported"):
            workshop.kept(made.entry.fingerprint, passphrase="")
    with Keyring(hall.state / "gnupg/checking") as checking:
        assert made.entry.fingerprint in checking.fingerprints()
        assert checking.fingerprints(secret=True) == []
    private = list(hall.state.glob("gnupg/*/private-keys-v1.d/*"))
    assert len(private) == 2  # the office key's two parts
    assert made.entry.expires_at is None


def test_a_kept_private_half_can_be_had_again(hall):
    with Workshop(hall.settings, hall.state) as workshop:
        made = workshop.issue("统计局", "counts@heping.test", passphrase="", years=1, keep=True)
        kept = workshop.kept(made.entry.fingerprint, passphrase="")
    assert made.entry.kept
    assert OfficeSigner(kept).fingerprint == made.entry.fingerprint
    for path in hall.state.glob("gnupg/kept/private-keys-v1.d/*"):
        path.unlink()


def test_a_unit_can_bring_its_own_key(hall, judged):
    own = Tsk.generate("财政局 <finance@heping.test>")
    with Workshop(hall.settings, hall.state) as workshop:
        entry = workshop.admit(public(own), now=datetime.now(UTC))
    assert (entry.origin, entry.fingerprint) == ("imported", OfficeSigner(bytes(own)).fingerprint)
    assert len(entry.certificate) > len(public(own))  # the office's certification


def test_key_files_are_private_and_never_overwritten(hall, tmp_path):
    public_file, private_file = write_halves(tmp_path, "water", hall.water)
    assert stat.S_IMODE(private_file.stat().st_mode) == 0o600
    assert private_file.read_bytes() == hall.water.private
    assert b"PUBLIC KEY" in public_file.read_bytes()
    with pytest.raises(CommandError, match="cannot be written"):
        write_halves(tmp_path, "water", hall.water)


def test_a_second_office_key_is_never_made(hall):
    with pytest.raises(CommandError, match="already"):
        create_office_key(hall.settings, hall.state, name="Office", address="p@heping.test")


def test_an_office_key_under_a_passphrase_signs_only_with_it(tmp_path, short):
    secret = tmp_path / "passphrase"
    secret.write_text("马 correct horse\nsecond line")
    secret.chmod(0o600)
    settings = Seals(passphrase_file=secret)
    certificate = create_office_key(settings, short, name="Office", address="p@heping.test")
    signer = load_office_signer(settings, short)
    assert signer.certificate  # gpg has verified a signature of it while loading
    assert office_certificate(settings, short) == certificate
    assert signer.fingerprint == read_certificate(certificate).fingerprint
    assert signer.micalg == "pgp-sha512"
    secret.write_text("wrong\n")
    with pytest.raises(ConfigurationError, match="passphrase"):
        load_office_signer(settings, short)


def test_the_gpg_signer_does_the_same(hall, judged):
    with Keyring(hall.client.home) as keyring:
        signer = GpgSigner(keyring, hall.water.entry.fingerprint)
        body, content_type = sign_mime(ENTITY, signer)
    message = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    assert judged(message).finding.state is SealState.VALID


def test_a_credential_of_systemd_is_taken_though_its_acl_looks_like_a_groups_right(
    tmp_path, monkeypatch
):
    credential = tmp_path / "yizhan-seal-passphrase"
    credential.write_text("secret\n")
    credential.chmod(0o440)  # what stat shows of an ACL for the daemon's user
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_passphrase(Seals()) == "secret"
    assert read_passphrase(Seals(passphrase_file=credential)) == "secret"


def test_a_passphrase_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "p"
    path.write_text("x")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others"):
        read_passphrase(Seals(passphrase_file=path))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_passphrase(Seals(passphrase_file=tmp_path / "none"))


def test_the_passphrase_may_be_a_systemd_credential(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert read_passphrase(Seals()) == ""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_passphrase(Seals()) == ""
    (tmp_path / CREDENTIAL).write_text("from systemd\nrest")
    (tmp_path / CREDENTIAL).chmod(0o400)
    assert read_passphrase(Seals()) == "from systemd"


def test_without_an_office_key_one_sentence_says_so(short):
    with pytest.raises(ConfigurationError, match="yizhan init"):
        load_office_signer(Seals(), short)


def test_without_gpg_one_sentence_says_what_to_install(short):
    with pytest.raises(ConfigurationError, match="apt install gnupg"):
        Keyring(short / "k", gpg="/nowhere/gpg")


def test_a_path_too_long_for_gpgs_sockets_is_refused_before_gpg_fails(short):
    with pytest.raises(ConfigurationError, match="shorter path"):
        Keyring(short / ("x" * LONGEST_HOME))
    home = short / ("x" * (LONGEST_HOME - len(str(short)) - 1))
    with Keyring(home) as keyring:
        assert keyring.create("Longest", "l@heping.test", passphrase="", years=0)


def test_a_gpg_that_hangs_is_ended_and_the_sender_may_try_again(short):
    program = short / "gpg"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *--list-config*|*--version*) exec gpg "$@";; esac\nexec sleep 60\n'
    )
    program.chmod(0o700)
    (short / "gpgconf").symlink_to("/usr/bin/gpgconf")
    began = time.monotonic()
    with Keyring(short / "k", gpg=str(program), seconds=0.5) as keyring, pytest.raises(Deferred):
        keyring.unwrap(b"\x84\x5e", "")
    assert time.monotonic() - began < 10


def test_line_ends_in_a_name_cannot_write_other_key_parameters(short):
    with Keyring(short / "k") as keyring, pytest.raises(CommandError, match="line ends"):
        keyring.create("x\n%no-protection", "a@heping.test", passphrase="p", years=1)


def test_sign_mime_refuses_what_a_relay_would_change():
    signer = FakeSigner()
    for entity in (b"A: b\n\nx", b"A: b\r\n\r\n\xe4", b"A: b\r\n\r\nx\ry"):
        with pytest.raises(ValueError, match="7-bit"):
            sign_mime(entity, signer)


def test_sign_mime_chooses_a_boundary_that_is_not_inside():
    signer = FakeSigner()
    _, first = sign_mime(ENTITY, signer)
    boundary = first.rpartition('boundary="')[2].rstrip('"').encode()
    assert boundary not in ENTITY
    body, _ = sign_mime(ENTITY + b"--" + boundary + b"\r\n", signer)
    assert body.count(b"application/pgp-signature") == 1


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short path; the agents that were started in it are ended."""
    folder = tmp_path_factory.mktemp("s")
    yield folder
    for home in (folder, *folder.glob("*"), *folder.glob("gnupg/*")):
        if home.is_dir():
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_a_packet_that_nobody_knows_makes_no_certificate() -> None:
    # The library raises an error of its own only when such a packet is looked at.
    octets = public(Tsk.generate("水务局 <water@heping.test>"))
    with pytest.raises(ValueError, match="Unknown packet tag"):
        read_certificate(octets + b"\xf0\x01x")
