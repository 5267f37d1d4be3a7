"""The evidence key: an Ed25519 key that signs records and checkpoints, certified by the office.

The private half is one PEM file (PKCS #8, mode 0600) in the state directory. The office's OpenPGP
key signs a statement about the public half, so whoever trusts the office's key trusts the records.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import Connection, insert, select

from gateway.domain.clock import milliseconds, moment, rfc3339
from gateway.errors import ConfigurationError
from gateway.evidence.record import canonical
from gateway.evidence.tables import evidence_keys

if TYPE_CHECKING:
    from gateway.seals.signer import Signer  # who only reads evidence need not load gpg's library

FILE_NAME = "evidence-key.pem"
KEY_STATEMENT_PURPOSE = "yizhan-evidence-key"


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """A private evidence key in memory. `id` is 32 hex letters, see `key_id`."""

    id: str
    public: bytes  # 32 octets
    private: Ed25519PrivateKey

    def sign(self, octets: bytes) -> bytes:
        """The raw Ed25519 signature (RFC 8032), 64 octets."""
        return self.private.sign(octets)

    def derive(self, purpose: str) -> bytes:
        """A secret of 32 octets for that purpose (HKDF, RFC 5869): wherever the key is, it is."""
        made = HKDF(SHA256(), 32, salt=None, info=f"yizhan {purpose}".encode())
        return made.derive(self.private.private_bytes_raw())


@dataclass(frozen=True, slots=True)
class KeyCertificate:
    """A public evidence key with the office's word for it."""

    id: str
    public: bytes
    statement: bytes  # canonical JSON
    certified: str  # armoured OpenPGP detached signature over the statement
    created: datetime


def key_id(public: bytes) -> str:
    """The name of a key in records: the first 128 bits of SHA-256 of its raw octets, in hex."""
    return hashlib.sha256(public).hexdigest()[:32]


def evidence_key(private: Ed25519PrivateKey) -> EvidenceKey:
    """The key with its name and public half."""
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return EvidenceKey(key_id(public), public, private)


def verify(public: bytes, octets: bytes, signature: bytes) -> bool:
    """Whether the raw Ed25519 signature is that key's over those octets."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, octets)
    except (InvalidSignature, ValueError):
        return False
    return True


def create_evidence_key(directory: Path, passphrase: bytes | None = None) -> EvidenceKey:
    """Make a key and write it, durably and readable by its owner only.

    Raises FileExistsError if there is one: a lost private key ends its records, never overwrite it.
    """
    key = evidence_key(Ed25519PrivateKey.generate())
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    path = directory / FILE_NAME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key


def load_evidence_key(directory: Path, passphrase: bytes | None = None) -> EvidenceKey:
    """Read the key of that state directory.

    Raises ConfigurationError if it is missing, open to others, or not an Ed25519 key that the
    passphrase opens.
    """
    path = directory / FILE_NAME
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path}: others may read the evidence key; chmod 600 it")
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    encrypted = b"ENCRYPTED" in pem.partition(b"\n")[0]
    try:
        private = load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"{path}: is not a private key that the office's passphrase opens"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError(f"{path}: is not an Ed25519 key")
    return evidence_key(private)


def certify(key: EvidenceKey, *, office: str, now: datetime, signer: Signer) -> KeyCertificate:
    """Let the office's OpenPGP key sign a statement about the evidence key."""
    statement = canonical(
        {
            "version": 1,
            "purpose": KEY_STATEMENT_PURPOSE,
            "office": office,
            "algorithm": "Ed25519",
            "key": key.id,
            "public": base64.b64encode(key.public).decode(),
            "created": rfc3339(now),
        }
    )
    signature = signer.sign(statement).decode("ascii")
    return KeyCertificate(key.id, key.public, statement, signature, now)


def keep_certificate(connection: Connection, certificate: KeyCertificate) -> None:
    """Store the certificate of a new key; one that is known already stays as it is."""
    known = select(evidence_keys.c.id).where(evidence_keys.c.id == certificate.id)
    if connection.execute(known).first() is None:
        connection.execute(
            insert(evidence_keys).values(
                id=certificate.id,
                public=certificate.public,
                statement=certificate.statement,
                certified=certificate.certified,
                created=milliseconds(certificate.created),
            )
        )


def certificates(connection: Connection, key_ids: Iterable[str] = ()) -> list[KeyCertificate]:
    """The certificates of those keys, oldest first; of all keys if none is named."""
    query = select(evidence_keys).order_by(evidence_keys.c.created)
    wanted = sorted(set(key_ids))
    if wanted:
        query = query.where(evidence_keys.c.id.in_(wanted))
    return [
        KeyCertificate(row.id, row.public, row.statement, row.certified, moment(row.created))
        for row in connection.execute(query)
    ]
