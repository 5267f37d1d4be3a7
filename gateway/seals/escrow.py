"""The escrow of the storage keys: a file in the state directory that the office key and the
recovery key open, so that whoever loses the key file does not lose the documents.

Beside the OpenPGP message stand the ids of the keys in it, in the clear: the daemon compares them
with its key file at each start, and so knows a wrong file before it writes anything under it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pysequoia import ArmorKind, Cert, Tsk, armor, decrypt

from gateway.config import Config
from gateway.errors import CommandError, ConfigurationError
from gateway.seals.recovery import decrypt_with, encrypt_to_recovery, read_recovery_certificate
from gateway.seals.signer import (
    first_line,
    office_certificate,
    office_fingerprint,
    open_office_keyring,
    read_passphrase,
)
from gateway.store import storage_key
from gateway.store.storage_key import KeyRing

FILE = "storage-key.escrow"


@dataclass(frozen=True, slots=True)
class Escrow:
    """What the file says."""

    keys: tuple[str, ...]  # ids, the last in force
    certificates: tuple[str, ...]  # fingerprints of those who can open it, upper-case hex
    message: str  # armoured OpenPGP message: the text of the key file


def write_escrow(config: Config, ring: KeyRing, *, named: tuple[str, ...] | None = None) -> Escrow:
    """Encrypt the keys to the office and the recovery key, and write the file, durably.

    `named` are the ids that the daemon shall ask for, default: all. Raises ConfigurationError if a
    certificate cannot be used.
    """
    recipients = [armor(_office(config), ArmorKind.PublicKey)]
    recovery = read_recovery_certificate(config)
    if recovery:
        recipients.append(recovery)
    escrow = Escrow(
        ring.ids if named is None else named,
        tuple(_fingerprint(text) for text in recipients),
        encrypt_to_recovery(ring.render(), recipients).decode("ascii"),
    )
    _write(config.state.directory / FILE, escrow)
    return escrow


def read_escrow(state_dir: Path) -> Escrow | None:
    """The escrow; None if there is none. Raises ConfigurationError if it is damaged."""
    path = state_dir / FILE
    try:
        found = json.loads(path.read_text(encoding="ascii"))
        return Escrow(tuple(found["keys"]), tuple(found["certificates"]), found["message"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path}: is damaged; make it anew with `yizhan storage escrow --renew`"
        ) from None


def require_keys(config: Config, ring: KeyRing) -> None:
    """Raise ConfigurationError if the key file lacks a key that the escrow names."""
    escrow = read_escrow(config.state.directory)
    if escrow is None:
        return
    missing = [key_id for key_id in escrow.keys if ring.find(key_id) is None]
    if missing:
        raise ConfigurationError(
            f"blobs.storage_key_file: {config.blobs.storage_key_file or '(none)'} lacks the "
            f"storage key {missing[-1]}, under which documents are kept; bring it back from the "
            "safe, or with `yizhan storage recover --secret-key FILE`"
        )


def find_escrow_faults(config: Config, ring: KeyRing) -> list[str]:
    """What is wrong with the escrow, one sentence each; opens it with the office key.

    Raises ConfigurationError.
    """
    path = config.state.directory / FILE
    escrow = read_escrow(config.state.directory)
    if escrow is None:
        return [
            f"{path}: the storage key is not escrowed; whoever loses its file loses the documents: "
            "run `yizhan storage escrow --renew`"
        ]
    faults = []
    kept = open_with_office_key(config, escrow)
    if not set(ring.keys) <= set(kept.keys) or set(ring.ids) != set(escrow.keys):
        faults.append(
            f"{path}: has other storage keys than {config.blobs.storage_key_file}; "
            "run `yizhan storage escrow --renew`"
        )
    recovery = read_recovery_certificate(config)
    if recovery and _fingerprint(recovery) not in escrow.certificates:
        faults.append(
            f"{path}: the recovery key cannot open it; run `yizhan storage escrow --renew`"
        )
    return faults


def open_with_office_key(config: Config, escrow: Escrow) -> KeyRing:
    """The keys in the escrow. Raises ConfigurationError if the office key does not open it."""
    passphrase = read_passphrase(config.seals)
    try:
        with open_office_keyring(config.seals, config.state.directory) as keyring:
            secret = keyring.secret(office_fingerprint(keyring), passphrase=passphrase)
        opener = Tsk.from_bytes(secret).decryptor(passphrase or None)
        text = decrypt(escrow.message.encode(), decryptor=opener).bytes or b""
    except (RuntimeError, CommandError) as error:
        raise ConfigurationError(
            f"{config.state.directory / FILE}: the office key does not open it; run "
            "`yizhan storage escrow --renew`",
            cause=first_line(error),
        ) from None
    return storage_key.parse(text.decode("ascii", "replace"), FILE)


def open_with_secret_key(escrow: Escrow, secret_key_file: Path, passphrase: str) -> KeyRing:
    """The keys in the escrow, opened with the recovery key. Raises CommandError."""
    text = decrypt_with(escrow.message.encode(), secret_key_file, passphrase)
    return storage_key.parse(text.decode("ascii", "replace"), FILE)


def _office(config: Config) -> bytes:
    return office_certificate(config.seals, config.state.directory)


def _fingerprint(certificate: str) -> str:
    return Cert.from_bytes(certificate.encode()).fingerprint.upper()


def _write(path: Path, escrow: Escrow) -> None:
    text = json.dumps(
        {
            "version": 1,
            "keys": escrow.keys,
            "certificates": escrow.certificates,
            "message": escrow.message,
        },
        indent=1,
    )
    storage_key.write_private(path, text.encode("ascii") + b"\n")
