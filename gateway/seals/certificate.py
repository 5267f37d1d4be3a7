"""Read an OpenPGP certificate: its keys, what they may do, and whether it may be a seal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from pysequoia import Cert
from pysequoia.packet import (
    HashAlgorithm,
    Packet,
    PacketPile,
    PublicKeyAlgorithm,
    SignatureType,
    Tag,
)

from gateway.errors import CommandError
from gateway.seals.packets import SECRET, BrokenPackets, dearmor, read_packets

LARGEST = (
    65_536  # octets; a seal has some hundred, a key with a hundred certifications some ten thousand
)
STRONG_HASHES = frozenset(("SHA256", "SHA384", "SHA512", "SHA3_256", "SHA3_512"))
LEAST_RSA_BITS = 3072
_ED25519 = bytes.fromhex("2b06010401da470f01")
_CURVE25519 = bytes.fromhex("2b060104019755010501")
_BINDINGS = (
    SignatureType.GenericCertification, SignatureType.PersonaCertification,
    SignatureType.CasualCertification, SignatureType.PositiveCertification,
    SignatureType.SubkeyBinding, SignatureType.DirectKey,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or subkey. `weakness` is empty for Ed25519, Curve25519 and RSA >= 3072."""

    fingerprint: str  # upper-case hex
    algorithm: str  # for people: Ed25519, RSA 4096
    weakness: str
    signs: bool
    encrypts: bool
    expires_at: datetime | None

    @property
    def key_id(self) -> str:
        """The last 16 digits (version 4)."""
        return self.fingerprint[-16:]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A transferable public key. Its own signatures are not checked here."""

    fingerprint: str  # of the primary key, upper-case hex
    user_ids: tuple[str, ...]
    keys: tuple[Key, ...]  # the primary key first
    expires_at: datetime | None
    weak_signatures: bool  # a self-signature by SHA-1, MD5 or another hash we refuse

    def key(self, issuer: str) -> Key | None:
        """The key that a signature or message names by fingerprint or key id, if it is here."""
        name = issuer.upper()
        return next((key for key in self.keys if name in (key.fingerprint, key.key_id)), None)


@lru_cache(maxsize=4096)
def read_certificate(octets: bytes) -> Certificate:
    """Read a binary certificate. Raises ValueError if it is not one."""
    try:
        return _read(list(PacketPile.from_bytes(octets)))
    except RuntimeError as error:  # also later, by a packet whose tag or algorithm is not known
        raise ValueError(str(error).partition("\n")[0]) from None


def _read(packets: list[Packet]) -> Certificate:
    if not packets or packets[0].tag != Tag.PublicKey or not packets[0].fingerprint:
        raise ValueError("not an OpenPGP public key")
    primary = packets[0].fingerprint
    keys: list[tuple[Packet, list[Packet]]] = []
    users: list[str] = []
    weak = False
    for packet in packets:
        if packet.tag in (Tag.PublicKey, Tag.PublicSubkey):
            keys.append((packet, []))
        elif packet.tag == Tag.UserID:
            users.append(packet.user_id or "")
        elif packet.tag == Tag.Signature and _by(packet, primary):
            keys[-1][1].append(packet)
            weak = weak or hash_name(packet.hash_algorithm) not in STRONG_HASHES
    read = tuple(_read_key(key, bindings) for key, bindings in keys)
    return Certificate(primary.upper(), tuple(users), read, read[0].expires_at, weak)


@lru_cache(maxsize=4096)
def verifier_of(octets: bytes) -> Cert:
    """The form of a certificate in which the library verifies."""
    return Cert.from_bytes(octets)


def admit(octets: bytes, *, now: datetime) -> tuple[bytes, Certificate]:
    """Check a key that shall become a seal; its binary form and what it is.

    Raises CommandError with a sentence that says what is wrong and what helps.
    """
    if len(octets) > LARGEST:
        raise CommandError(
            "the key file is too large: export it without the signatures of others "
            "(`gpg --export-options export-minimal --export`)"
        )
    try:
        binary = dearmor(octets)
        found = Cert.split_bytes(binary)
        if len(found) != 1:
            raise CommandError(f"the file must hold exactly one key, but it holds {len(found)}")
        if any(packet.tag in SECRET for packet in read_packets(binary)):
            raise CommandError("the file holds a private key; give only the public one")
        certificate = read_certificate(binary)
    except (BrokenPackets, RuntimeError, ValueError) as error:
        raise CommandError(
            "the file is not an OpenPGP public key", cause=str(error).partition("\n")[0]
        ) from None
    if found[0].is_revoked:
        raise CommandError("the key has been revoked by its owner")
    for key in certificate.keys:
        if key.weakness:
            raise CommandError(
                f"the key {key.key_id} cannot be a seal: {key.weakness}; "
                "Ed25519 and RSA from 3072 bits can"
            )
    if certificate.weak_signatures:
        raise CommandError(
            "the key binds its names or subkeys by SHA-1 or MD5; renew its self-signatures "
            "(`gpg --quick-set-expire`) and export it with --export-options export-minimal"
        )
    if certificate.expires_at is not None and certificate.expires_at <= now:
        raise CommandError(f"the key expired at {certificate.expires_at:%Y-%m-%d}")
    if not any(key.signs and not _over(key, now) for key in certificate.keys):
        raise CommandError("the key has no part that may sign")
    return binary, certificate


def hash_name(algorithm: HashAlgorithm | None) -> str:
    """`SHA512` and so on; empty if there is none."""
    return str(algorithm).rpartition(".")[2] if algorithm is not None else ""


def _by(signature: Packet, primary: str) -> bool:
    issuer = signature.issuer_fingerprint or signature.issuer_key_id or ""
    return bool(issuer) and primary.endswith(issuer)


def _over(key: Key, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def _read_key(packet: Packet, signatures: list[Packet]) -> Key:
    bindings = [s for s in signatures if s.signature_type in _BINDINGS]
    newest = max(bindings, key=_created, default=None)
    flags = newest.key_flags if newest is not None else None
    expires = None
    if newest is not None and newest.key_validity_period and packet.key_created:
        expires = packet.key_created + newest.key_validity_period
    algorithm, weakness = _strength(packet)
    return Key(
        fingerprint=(packet.fingerprint or "").upper(),
        algorithm=algorithm,
        weakness=weakness,
        signs=flags.signing if flags is not None else False,
        encrypts=(flags is not None and (flags.transport_encryption or flags.storage_encryption)),
        expires_at=expires,
    )


def _created(signature: Packet) -> datetime:
    return signature.signature_created or datetime.fromtimestamp(0, UTC)


def _strength(packet: Packet) -> tuple[str, str]:
    """What kind of key it is, and what is wrong with it (RFC 9580, 5.5.2 and 5.5.5)."""
    body, algorithm = packet.body, packet.key_algorithm
    curve = body[7 : 7 + body[6]] if len(body) > 6 else b""
    if body[:1] != b"\x04":
        return "?", f"it is of version {body[0] if body else 0}, which gpg 2.2 cannot read"
    match algorithm:
        case PublicKeyAlgorithm.EdDSA if curve == _ED25519:
            return "Ed25519", ""
        case PublicKeyAlgorithm.ECDH if curve == _CURVE25519:
            return "Curve25519", ""
        case PublicKeyAlgorithm.Ed25519 | PublicKeyAlgorithm.X25519:
            return str(algorithm).rpartition(".")[2], ""
        case (
            PublicKeyAlgorithm.RSAEncryptSign
            | PublicKeyAlgorithm.RSASign
            | PublicKeyAlgorithm.RSAEncrypt
        ):
            bits = int.from_bytes(body[6:8], "big")
            weak = f"RSA with {bits} bits is too short" if bits < LEAST_RSA_BITS else ""
            return f"RSA {bits}", weak
        case _:
            name = str(algorithm).rpartition(".")[2]
            return name, f"{name} keys are not taken"
