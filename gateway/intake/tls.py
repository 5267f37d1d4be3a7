"""TLS of the doors: one context that can be renewed while connections go on.

TLS 1.2 and 1.3 as Mozilla's intermediate guide has them, and stricter in one point: no DHE, neither
as a cipher nor as a group (`openssl.py`), since it makes a handshake dear for the server alone. No
session tickets: for our own key (ECDSA) a resumed handshake of TLS 1.3 costs more than a whole one
without tickets (0.34 against 0.31 ms, measured), and in TLS 1.2 the key of the tickets would undo
forward secrecy.

A client certificate is asked for only if the
office knows any way to recognise one, since OpenSSL ends the handshake over a certificate that
it cannot verify, before we could look at its fingerprint. What it can verify is: whatever a CA of
`client_ca` has signed, and each certificate that the directory holds as a whole, self-signed or
not (partial chain). Which account it belongs to is then decided by the fingerprint alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from gateway import config
from gateway.errors import ConfigurationError
from gateway.intake import openssl

# https://ssl-config.mozilla.org, intermediate, version 5.7; TLS 1.3 keeps OpenSSL's own three.
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)


class TlsHolder:
    """The context in force; each handshake asks for it anew, so a renewal drops nobody."""

    def __init__(self, settings: config.Tls, client_ca: Path | None = None) -> None:
        """Raises ConfigurationError, one sentence with file and key, if it cannot be used."""
        self._settings = settings
        self._client_ca = client_ca
        self._known: tuple[bytes, ...] = ()
        self.not_after = 0.0  # when the certificate in force ends, Unix time
        self._context = self._build(self._known)

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        return self._context

    def reload(self) -> None:
        """Read the files again. Raises ConfigurationError; then the old context stays in force."""
        self._context = self._build(self._known)

    def know(self, certificates: Sequence[bytes]) -> None:
        """Let these client certificates (DER) through the handshake; cheap if nothing changed.

        One that OpenSSL cannot read is left out: it could never have logged in.
        """
        known = tuple(sorted(set(certificates)))
        if known != self._known:
            self._context = self._build(known)
            self._known = known

    def _build(self, known: Sequence[bytes]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        openssl.restrict(context)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        # All ciphers are good, so the client's order counts: a phone knows what it is quick at.
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0  # TLS 1.3
        self._load_own(context)
        trusted = self._load_ca(context) + sum(_trust(context, der) for der in known)
        if trusted:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _load_own(self, context: ssl.SSLContext) -> None:
        certificate, key = self._settings.certificate, self._settings.key
        for path, name in ((certificate, "tls.certificate"), (key, "tls.key")):
            try:
                with path.open("rb"):
                    pass
            except OSError as error:
                raise ConfigurationError(
                    f"{path}: {name}: cannot be read: {error.strerror}"
                ) from None
        if key.stat().st_mode & 0o007:
            raise ConfigurationError(
                f"{key}: tls.key: others can read or write it; chmod it to 600"
            )
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
            own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                f"{certificate}: tls.certificate: does not load with tls.key {key}: {error}"
            ) from None
        self.not_after = own.not_valid_after_utc.timestamp()

    def _load_ca(self, context: ssl.SSLContext) -> int:
        if self._client_ca is None:
            return 0
        try:
            context.load_verify_locations(cafile=self._client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"{self._client_ca}: submission.client_ca: cannot be used: {error}"
            ) from None
        return 1


def _no_password() -> str:
    # OpenSSL would ask on the terminal, and a daemon would wait there for ever.
    raise ValueError("the key is protected by a passphrase")


def _trust(context: ssl.SSLContext, der: bytes) -> int:
    try:
        context.load_verify_locations(cadata=der)
    except ssl.SSLError:
        return 0
    return 1
