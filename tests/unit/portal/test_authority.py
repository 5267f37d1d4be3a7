"""The office CA signs the office's own names and nothing else; who checks is OpenSSL."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway import authority, config_file, expiry
from gateway.authority import Authority
from gateway.errors import CommandError

NOW = datetime.now(UTC)
SERVER = authority.names("heping.test", "mail.heping.test", ["10.1.0.25", "::"])


@pytest.fixture(scope="module")
def office() -> Authority:
    return authority.make_authority("和平区政府电子邮局", "heping.test", SERVER, NOW)


def shake(
    folder: Path, office: Authority, certificate: x509.Certificate, key: object, name: str
) -> None:
    """A TLS handshake in memory; raises ssl.SSLError if the client does not trust."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    (folder / "ca").write_bytes(authority.chain_pem([office.certificate]))
    (folder / "crt").write_bytes(authority.chain_pem([certificate, office.certificate]))
    (folder / "key").write_bytes(authority.key_pem(key))
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(folder / "crt", folder / "key")
    here = ssl.create_default_context(cafile=str(folder / "ca"))
    here.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(down, up, server_hostname=name)
    server = there.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for one in (client, server):
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                continue


def forged(office: Authority, name: x509.GeneralName) -> tuple[x509.Certificate, object]:
    """What a thief of the CA's key would make."""
    key = authority.new_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
        .issuer_name(office.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(office.key.public_key()),
            critical=False,
        )
        .sign(office.key, hashes.SHA256())
    )
    return made, key


@pytest.mark.parametrize(
    "name", ["mail.heping.test", "autoconfig.heping.test", "localhost", "10.1.0.25", "127.0.0.1"]
)
def test_a_client_that_trusts_the_ca_trusts_each_name_of_the_server(
    name: str, office: Authority, tmp_path: Path
) -> None:
    key = authority.new_key()
    certificate = authority.issue(office, SERVER, key, NOW)
    shake(tmp_path, office, certificate, key, name)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid"):
        shake(tmp_path, office, certificate, key, "elsewhere.test")


def test_the_cas_key_forges_no_other_name(office: Authority, tmp_path: Path) -> None:
    certificate, key = forged(office, x509.DNSName("www.heping.test"))
    shake(tmp_path, office, certificate, key, "www.heping.test")  # so the forging itself works
    certificate, key = forged(office, x509.DNSName("www.bank.test"))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake(tmp_path, office, certificate, key, "www.bank.test")


def test_apple_takes_the_servers_certificate(office: Authority) -> None:
    """It refuses more than 825 days, a name only in the subject, and no purpose."""
    made = authority.issue(office, SERVER, authority.new_key(), NOW)
    assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(days=825)
    assert made.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    ca = office.certificate.extensions
    assert ca.get_extension_for_class(x509.BasicConstraints).critical
    assert ca.get_extension_for_class(x509.NameConstraints).critical
    assert ca.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


@pytest.mark.parametrize(
    "name", ["www.bank.test", "xheping.test", "heping.test.bank.test", "10.1.0.26", "::2"]
)
def test_a_name_that_the_ca_may_not_sign_is_refused_before_it_is_signed(
    name: str, office: Authority
) -> None:
    wanted = authority.names("heping.test", "mail.heping.test", [], [name])
    with pytest.raises(CommandError, match="may not sign this name"):
        authority.issue(office, wanted, authority.new_key(), NOW)


def test_no_certificate_outlives_the_ca_and_a_dead_ca_signs_nothing(office: Authority) -> None:
    late = office.certificate.not_valid_after_utc - timedelta(days=3)
    made = authority.issue(office, SERVER, authority.new_key(), late)
    assert made.not_valid_after_utc <= office.certificate.not_valid_after_utc
    with pytest.raises(CommandError, match="make-ca"):
        authority.issue(office, SERVER, authority.new_key(), late + timedelta(days=4))


def test_the_key_of_another_ca_is_not_taken(office: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(authority.chain_pem([office.certificate]))
    (tmp_path / "key").write_bytes(authority.key_pem(authority.new_key()))
    with pytest.raises(CommandError, match="is not the key of the office CA"):
        authority.read_authority(tmp_path / "ca", tmp_path / "key")
    with pytest.raises(CommandError, match="has no certificate"):
        authority.read_certificates(tmp_path / "key")


@pytest.fixture
def settings(office: Authority, tmp_path: Path) -> Callable[[int, str], object]:
    """The configuration of an office whose certificate ends after so many days."""

    def make(days: int, ca: str) -> object:
        then = NOW - timedelta(days=authority.SERVER_DAYS - days)
        key = authority.new_key()
        made = authority.issue(office, SERVER, key, then)
        (tmp_path / "tls.crt").write_bytes(authority.chain_pem([made, office.certificate]))
        (tmp_path / "ca.crt").write_bytes(authority.chain_pem([office.certificate]))
        file = tmp_path / "yizhan.toml"
        file.write_text(
            '[office]\ndomain = "heping.test"\nname = "甲"\n[state]\ndirectory = "state"\n'
            f'[tls]\ncertificate = "tls.crt"\nkey = "tls.key"\n{ca}'
            "[[submission.listeners]]\nport = 587\n"
        )
        return config_file.load(file)

    return make


@pytest.mark.parametrize(
    ("days", "ca", "word", "advice"),
    [
        (31, 'ca = "ca.crt"\n', "", ""),
        (29, 'ca = "ca.crt"\n', "ends on", "yizhan certificate renew"),
        (-1, 'ca = "ca.crt"\n', "has ended on", "yizhan certificate renew"),
        (29, "", "ends on", "put a new one in its place"),
    ],
)
def test_a_certificate_that_ends_soon_is_spoken_of_with_what_to_do(
    days: int, ca: str, word: str, advice: str, settings: Callable[[int, str], object]
) -> None:
    config = settings(days, ca)
    found = expiry.find_endings(config, NOW)  # type: ignore[arg-type]
    assert [word in one and advice in one for one in found] == [True] * bool(word)


def test_the_end_of_the_ca_is_spoken_of_a_year_before(
    settings: Callable[[int, str], object], office: Authority
) -> None:
    config = settings(400, 'ca = "ca.crt"\n')
    then = office.certificate.not_valid_after_utc - timedelta(days=360)
    found = expiry.find_endings(config, then)  # type: ignore[arg-type]
    assert "install it on every PC" in found[-1]
