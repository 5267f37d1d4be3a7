"""Keeps octets for the day on which the machine is lost: only the recovery key opens them.

The recovery key is an OpenPGP key pair. Its certificate stands in the configuration, its secret
half lies in the office's safe; so whoever steals a backup or the escrowed storage key has nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pysequoia import ArmorKind, Cert, Tsk, armor, decrypt, encrypt

from gateway.config import Config, Seals
from gateway.errors import CommandError, ConfigurationError
from gateway.seals.keyring import Keyring
from gateway.seals.signer import first_line

_MEMORY = Path("/dev/shm")  # noqa: S108  # tmpfs, and the folder made there is 0700


def create_recovery_key(settings: Seals, state_dir: Path, domain: str) -> tuple[str, str]:
    """Make a recovery key: certificate and secret half, both armoured, the secret unprotected.

    It is made by gpg, in memory: what is encrypted to a gpg key is in a form that every OpenPGP
    program reads, gpg 2.2 as well. Raises ConfigurationError if there is no gpg.
    """
    base = _MEMORY if _MEMORY.is_dir() else state_dir
    folder = Path(tempfile.mkdtemp(prefix="yizhan-", dir=base))
    try:
        with Keyring(folder, gpg=settings.gpg) as keyring:
            made = keyring.create("Yizhan recovery", f"recovery@{domain}", passphrase="", years=0)
            secret = armor(keyring.secret(made, passphrase=""), ArmorKind.SecretKey)
            return armor(keyring.certificate(made), ArmorKind.PublicKey), secret
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_recovery_certificate(config: Config) -> str:
    """The recovery key's certificate, armoured; empty if none is named.

    Raises ConfigurationError if it cannot be read, or nothing can be encrypted to it.
    """
    path = config.recovery.certificate
    if path is None:
        return ""
    setting = f"recovery.certificate: {path}"
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting} cannot be read: {error.strerror}") from None
    return usable_certificate(octets, setting)


def usable_certificate(octets: bytes, setting: str) -> str:
    """The same certificate, armoured.

    Raises ConfigurationError, with `setting` first, if nothing can be encrypted to it now, or if
    it is the secret half.
    """
    try:
        if b"PRIVATE KEY BLOCK" in octets:
            raise ConfigurationError(f"{setting} is the secret half; that belongs into the safe")
        certificate = Cert.from_bytes(octets)
        encrypt(b"probe", recipients=[certificate])
    except RuntimeError as error:
        raise ConfigurationError(
            f"{setting} is not an OpenPGP certificate to which anything can be encrypted",
            cause=first_line(error),
        ) from None
    return armor(bytes(certificate), ArmorKind.PublicKey)


def encrypt_to_recovery(octets: bytes, certificates: Sequence[str]) -> bytes:
    """The octets as an armoured OpenPGP message that each of the armoured certificates can open.

    Raises ConfigurationError if there is no certificate, or one cannot encrypt.
    """
    if not certificates:
        raise ConfigurationError("recovery.certificate: no recovery key is named")
    try:
        recipients = [Cert.from_bytes(text.encode()) for text in certificates]
        return bytes(encrypt(octets, recipients=recipients))
    except RuntimeError as error:
        raise ConfigurationError(
            "recovery.certificate: this OpenPGP certificate cannot be used for encryption",
            cause=first_line(error),
        ) from None


def decrypt_with(octets: bytes, secret_key_file: Path, passphrase: str) -> bytes:
    """What `encrypt_to_recovery` has kept, opened by the secret key of that file.

    Raises CommandError if the file is not a secret key, its passphrase is another one, or the
    message was made for another key.
    """
    try:
        key = Tsk.from_bytes(secret_key_file.read_bytes())
    except OSError as error:
        raise CommandError(f"{secret_key_file}: cannot be read: {error.strerror}") from None
    except RuntimeError as error:
        raise CommandError(
            f"{secret_key_file}: is not an OpenPGP secret key", cause=first_line(error)
        ) from None
    try:
        opener = key.decryptor(passphrase or None)
    except RuntimeError as error:
        raise CommandError(
            f"{secret_key_file}: its passphrase is another one", cause=first_line(error)
        ) from None
    try:
        return decrypt(octets, decryptor=opener).bytes or b""
    except RuntimeError as error:
        raise CommandError(
            f"{secret_key_file}: is not the key to which this was encrypted, or the octets are "
            "damaged",
            cause=first_line(error),
        ) from None
