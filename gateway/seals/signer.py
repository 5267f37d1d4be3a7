"""Detached OpenPGP signatures by the office, behind one small Protocol.

`OfficeSigner` holds the key in memory and signs in process (some thousand a second); `GpgSigner`
asks gpg each time (some ten a second) and is the way for smart cards; `FakeSigner` is a throw-away
key for tests. All three make version 4 signatures, because of gpg 2.2.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from pysequoia import Cert, PySigner, Sig, SignatureMode, Tsk, sign

from gateway.config import Seals
from gateway.errors import CommandError, ConfigurationError
from gateway.seals.keyring import Keyring

PROBE = b"yizhan probes its signing key\r\n"


class Signer(Protocol):
    """Who signs for the office. Called from any thread."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the primary key, upper-case hex."""

    @property
    def micalg(self) -> str:
        """The `micalg` of its signatures (RFC 3156, 5), e.g. `pgp-sha512`."""

    def sign(self, octets: bytes) -> bytes:
        """An ASCII-armoured detached signature over exactly these octets."""


class OfficeSigner:
    """Signs in process with a secret key held in memory."""

    def __init__(self, secret: bytes, passphrase: str = "") -> None:
        """`secret` is a transferable secret key, armoured or not.

        Raises ConfigurationError if it cannot be read, or the passphrase does not open it.
        """
        self.exported = secret
        """As it was given, under its passphrase."""
        try:
            key = Tsk.from_bytes(secret)
            self._signer: PySigner = key.signer(passphrase or None)
            self.certificate = bytes(key.extract_certificate())
            self._fingerprint = Cert.from_bytes(self.certificate).fingerprint.upper()
            self._micalg = micalg_of(self.sign(PROBE))
        except RuntimeError as error:
            raise ConfigurationError(
                "the office key cannot be used: is seals.passphrase_file the right one?",
                cause=first_line(error),
            ) from None

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def micalg(self) -> str:
        return self._micalg

    def sign(self, octets: bytes) -> bytes:
        return sign(self._signer, octets, mode=SignatureMode.DETACHED)


class GpgSigner:
    """Signs through gpg, for keys that cannot leave it (smart cards)."""

    def __init__(self, keyring: Keyring, fingerprint: str, passphrase: str = "") -> None:
        self._keyring = keyring
        self._fingerprint = fingerprint
        self._passphrase = passphrase
        self._micalg = micalg_of(self.sign(PROBE))

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def micalg(self) -> str:
        return self._micalg

    def sign(self, octets: bytes) -> bytes:
        return self._keyring.sign(octets, self._fingerprint, self._passphrase)


class FakeSigner(OfficeSigner):
    """A throw-away key that exists only in this object; its signatures are real ones."""

    def __init__(self, name: str = "Fake Office <postmaster@office.test>") -> None:
        super().__init__(bytes(Tsk.generate(name)))


def micalg_of(signature: bytes) -> str:
    """The `micalg` parameter that names a signature's hash."""
    algorithm = str(Sig.from_bytes(signature).hash_algorithm)  # "HashAlgorithm.SHA512"
    return "pgp-" + algorithm.rpartition(".")[2].lower()


def first_line(error: BaseException) -> str:
    """What an OpenPGP error says, without the back-trace that the library may append."""
    return str(error).partition("\n")[0]


OFFICE_HOME = Path("gnupg/office")
CREDENTIAL = "yizhan-seal-passphrase"


class OfficeOpener:
    """Opens what is encrypted to the office key, through gpg, which keeps the signatures inside.

    The library in process would drop them: it cannot read a signed message that is compressed
    before it is encrypted, which is what gpg and mutt send.
    """

    def __init__(self, keyring: Keyring, passphrase: str = "") -> None:
        self._keyring = keyring
        self._passphrase = passphrase

    def open(self, ciphertext: bytes) -> bytes:
        return self._keyring.unwrap(ciphertext, self._passphrase)

    def close(self) -> None:
        """End the gpg-agent."""
        self._keyring.close()


def read_passphrase(settings: Seals) -> str:
    """The office key's passphrase: the first line of the file, else of the systemd credential
    `yizhan-seal-passphrase`, else none.

    Raises ConfigurationError if the file cannot be read, or if others can read it.
    """
    path = settings.passphrase_file
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if path is None:
        path = Path(credentials) / CREDENTIAL if credentials else None
        if path is None or not path.exists():
            return ""
    try:
        # systemd closes its folder to others; the files in it may show an ACL as a group's right.
        kept_by_systemd = credentials is not None and path.parent == Path(credentials)
        if path.stat().st_mode & 0o077 and not kept_by_systemd:
            raise ConfigurationError(
                f"seals.passphrase_file: {path} can be read by others: `chmod 600` it"
            )
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"seals.passphrase_file: {path} cannot be read", cause=str(error)
        ) from None


def open_office_keyring(settings: Seals, state_dir: Path) -> Keyring:
    """The keyring that holds the office key's secret half, and no other secret."""
    return Keyring(state_dir / OFFICE_HOME, gpg=settings.gpg)


def office_fingerprint(keyring: Keyring) -> str:
    """The one secret key of the office keyring. Raises ConfigurationError if it is not one."""
    found = keyring.fingerprints(secret=True)
    if len(found) != 1:
        raise ConfigurationError(
            f"state.directory: {keyring.home} must hold exactly one secret key, the office key, "
            f"but it holds {len(found)}; `yizhan init` makes it"
        )
    return found[0]


def load_office_signer(settings: Seals, state_dir: Path) -> OfficeSigner:
    """Export the office key into memory by its passphrase, once at start; gpg checks the result.

    Raises ConfigurationError.
    """
    passphrase = read_passphrase(settings)
    with open_office_keyring(settings, state_dir) as keyring:
        fingerprint = office_fingerprint(keyring)
        try:
            signer = OfficeSigner(keyring.secret(fingerprint, passphrase=passphrase), passphrase)
        except CommandError as error:
            raise ConfigurationError(
                f"seals.passphrase_file: {error.public}", cause=error.cause
            ) from None
        if keyring.verify(PROBE, signer.sign(PROBE)) != fingerprint:
            raise ConfigurationError("the office key signs, but gpg does not verify it")
    return signer


def load_office_opener(settings: Seals, state_dir: Path) -> OfficeOpener:
    """The opener over the office keyring; close it at the end."""
    return OfficeOpener(open_office_keyring(settings, state_dir), read_passphrase(settings))


def office_certificate(settings: Seals, state_dir: Path) -> bytes:
    """The office key's public half, binary. Raises ConfigurationError if there is no key."""
    with open_office_keyring(settings, state_dir) as keyring:
        return keyring.certificate(office_fingerprint(keyring))
