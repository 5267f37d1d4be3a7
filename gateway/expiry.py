"""How long the certificates of the doors are good, and what a person recognises them by.

The health page, `yizhan check` and `yizhan certificate show` all say it from here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.authority import permitted_names, read_certificates
from gateway.config import Config
from gateway.domain.clock import Clock
from gateway.errors import CommandError

SERVER_WARNING = timedelta(days=30)
"""How long before its end the server's certificate is spoken of."""
CA_WARNING = timedelta(days=365)
"""The same of the office CA: a new one must be carried to every PC."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of a file."""

    file: Path
    subject: str  # RFC 4514
    issuer: str
    begins: datetime
    ends: datetime
    sha256: str  # in pairs of hexadecimal digits with colons, as people compare it
    names: tuple[str, ...]  # what it is good for: host names and addresses
    is_ca: bool


def grouped(der: bytes) -> str:
    """The SHA-256 fingerprint as openssl, Windows and Thunderbird show it: `AB:CD:...`."""
    digits = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def describe(path: Path) -> list[Certificate]:
    """The certificates of a PEM file. Raises CommandError that names the file."""
    return [_facts(path, one) for one in read_certificates(path)]


def ca_file(config: Config) -> Path | None:
    """The certificate that PCs install: the office CA, or a server's own that signs itself.

    None if neither is here, as where a CA of the network has signed the server's.
    """
    if config.tls.ca is not None:
        return config.tls.ca
    own = read_certificates(config.tls.certificate)[0]
    return config.tls.certificate if own.subject == own.issuer else None


def find_endings(config: Config, now: datetime) -> list[str]:
    """One sentence for each certificate of the doors that has ended or ends soon."""
    sentences = []
    own = describe(config.tls.certificate)[0]
    renewing = "make a new one with `yizhan certificate renew` and reload the post office"
    if config.tls.ca is None:
        renewing = "put a new one in its place and reload the post office"
    sentences += _ending(own, SERVER_WARNING, now, f"the server's certificate; {renewing}")
    if config.tls.ca is not None:
        ca = describe(config.tls.ca)[0]
        advice = "make one with `yizhan certificate make-ca` and install it on every PC"
        sentences += _ending(ca, CA_WARNING, now, f"the office CA; {advice}")
    return sentences


class CertificateWatch:
    """The probe of the health page."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    async def ending(self) -> str:
        """Which certificate of the doors ends soon; empty if none does."""
        try:
            return " ".join(find_endings(self._config, self._clock.now()))
        except CommandError as error:
            return error.public


def _ending(one: Certificate, warning: timedelta, now: datetime, what: str) -> list[str]:
    if one.ends - now > warning:
        return []
    name, _, advice = what.partition("; ")
    word = "has ended" if one.ends <= now else "ends"
    return [f"{one.file}: {name} {word} on {one.ends:%Y-%m-%d}; {advice}"]


def _facts(path: Path, one: x509.Certificate) -> Certificate:
    return Certificate(
        file=path,
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        begins=one.not_valid_before_utc,
        ends=one.not_valid_after_utc,
        sha256=grouped(one.public_bytes(Encoding.DER)),
        names=tuple(_names(one)),
        is_ca=_is_ca(one),
    )


def _names(one: x509.Certificate) -> list[str]:
    try:
        found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return permitted_names(one)
    return [str(name.value) for name in found]


def _is_ca(one: x509.Certificate) -> bool:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
