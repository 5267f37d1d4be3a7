"""Client certificates: what an account may show instead of a password, whole or by fingerprint.

A whole certificate (DER) can pass the handshake of the doors by itself. Of one that a CA of the
office has signed the SHA-256 fingerprint is enough: the handshake needs only the CA then.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import CommandError

_PEM = b"-----BEGIN CERTIFICATE-----"
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{64}")
_LONGEST = 65_536  # octets; a certificate has one or two thousand
_GOOD_FOR_CLIENTS = {
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a person recognises a certificate by."""

    subject: str  # RFC 4514: CN=water-li,O=水务局
    expires: datetime


def fingerprint(der: bytes) -> str:
    """SHA-256 of the certificate, lower-case hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def is_fingerprint(text: str) -> bool:
    """Whether it has the form of a fingerprint, as `openssl x509 -fingerprint` shows it."""
    return _FINGERPRINT.fullmatch(text.strip().replace(":", "")) is not None


def describe(der: bytes) -> Description:
    """Subject and expiry. Raises CommandError if the octets are no certificate."""
    certificate = _parse(der)
    return Description(_subject(certificate), certificate.not_valid_after_utc)


def read(octets: bytes, now: datetime) -> bytes:
    """The certificate (DER) in the octets of a file, PEM or DER.

    Raises CommandError if there is not exactly one, or if the doors' handshake would refuse it: it
    has expired, or was made for servers only.
    """
    if len(octets) > _LONGEST:
        raise CommandError("this file is too large for a certificate")
    if _PEM in octets:
        try:
            found = x509.load_pem_x509_certificates(octets)
        except ValueError:
            raise CommandError("the certificate in this file cannot be read") from None
        if len(found) > 1:
            raise CommandError(
                f"there are {len(found)} certificates in this file; give one with the client's own "
                "only, without those of its CA"
            )
        certificate = found[0]
    else:
        certificate = _parse(octets)
    ended = certificate.not_valid_after_utc
    if ended <= now:
        raise CommandError(f"this certificate has expired on {ended:%Y-%m-%d}")
    if not _opens_as_client(certificate):
        raise CommandError(
            "this certificate was made for servers only; make one whose extended key usage has "
            "clientAuth"
        )
    return certificate.public_bytes(Encoding.DER)


def _opens_as_client(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return not _GOOD_FOR_CLIENTS.isdisjoint(usage.value)


def _parse(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise CommandError("there is no certificate in this file, neither PEM nor DER") from None


def _subject(certificate: x509.Certificate) -> str:
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:
        return ""
