"""The office CA: PCs install it once, and trust each certificate that the office's doors ever have.

It can sign nothing but the office's own names (RFC 5280, 4.2.1.10, critical), so whoever steals its
key can forge the office and nobody else: not a bank, not another intranet. Its key is needed only
for making or renewing the server's certificate, so it may be kept elsewhere in between.

The server's certificate lives 820 days: Apple's devices refuse more than 825.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import CommandError

CA_DAYS = 3652  # ten years
SERVER_DAYS = 820
_EARLIER = timedelta(hours=1)  # PCs whose clock is a little slow
_LONGEST_NAME = 64  # letters of one part of a subject (RFC 5280, appendix A.1)
_LOCAL = "localhost"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared, not bound


@dataclass(frozen=True, slots=True)
class Authority:
    """The office CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Names:
    """What the server is reached by: host names and IP addresses."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...]


def names(domain: str, host: str, listening: Iterable[str], more: Iterable[str] = ()) -> Names:
    """The names of an office's server; `listening` are the addresses of its doors.

    `more` are host names or IP addresses that clients use besides.
    """
    hosts = [host, domain, f"autoconfig.{domain}", f"autodiscover.{domain}", _LOCAL]
    addresses = ["127.0.0.1", "::1"]
    addresses += [one for one in listening if one not in _EVERYWHERE]
    for one in more:
        (addresses if _is_address(one) else hosts).append(one)
    return Names(tuple(dict.fromkeys(hosts)), tuple(dict.fromkeys(addresses)))


def make_authority(name: str, domain: str, server: Names, now: datetime) -> Authority:
    """A new CA that may sign names below the domain, and those that the server has elsewhere."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name[:_LONGEST_NAME]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Office CA of {domain}"[:_LONGEST_NAME]),
        ]
    )
    outside = [one for one in server.hosts if not _is_below(one, domain)]
    permitted: list[x509.GeneralName] = [x509.DNSName(one) for one in (domain, *outside)]
    permitted += [x509.IPAddress(ipaddress.ip_network(one)) for one in server.addresses]
    certificate = (
        _begun(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(
    authority: Authority, server: Names, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """A certificate for the server's key. Raises CommandError for a name that the CA may not sign.

    It never outlives the CA.
    """
    for name in (*server.hosts, *server.addresses):
        if not may_sign(authority.certificate, name):
            raise CommandError(
                f"{name}: the office CA may not sign this name; it was made for "
                f"{', '.join(permitted_names(authority.certificate))}"
            )
    if authority.certificate.not_valid_after_utc <= now:
        raise CommandError("the office CA has ended; make a new one: yizhan certificate make-ca")
    alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in server.hosts]
    alternatives += [x509.IPAddress(ipaddress.ip_address(one)) for one in server.addresses]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server.hosts[0][:_LONGEST_NAME])])
    left = (authority.certificate.not_valid_after_utc - now).days
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key())
    return (
        _begun(
            subject, authority.certificate.subject, key.public_key(), now, min(SERVER_DAYS, left)
        )
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )


def permitted_names(certificate: x509.Certificate) -> list[str]:
    """What a CA may sign, as text; empty if it has no constraints."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in found.permitted_subtrees or ()]


def may_sign(certificate: x509.Certificate, name: str) -> bool:
    """Whether the constraints of a CA allow that host name or IP address."""
    permitted = permitted_names(certificate)
    if not permitted:
        return True
    if _is_address(name):
        address = ipaddress.ip_address(name)
        return any(address in ipaddress.ip_network(one) for one in permitted if "/" in one)
    return any(_is_below(name, one) for one in permitted if "/" not in one)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key for a server (ECDSA P-256)."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as a PEM file has it, without a passphrase."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def chain_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates one after the other, the server's own first."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises CommandError that names the file."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"{path}: has no certificate in PEM form") from None


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key of a PEM file. Raises CommandError that names the file."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise CommandError(f"{path}: has no private key that can be used") from None


def read_authority(certificate: Path, key: Path) -> Authority:
    """The CA of two files. Raises CommandError if they are not a CA and its key."""
    found = read_certificates(certificate)[0]
    secret = read_key(key)
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or (
        secret.public_key() != found.public_key()
    ):
        raise CommandError(f"{key}: is not the key of the office CA {certificate}")
    return Authority(found, secret)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")
