"""Judge one signature over some octets against the book of seals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pysequoia import Sig, verify
from pysequoia.packet import SignatureType

from gateway.domain.clock import rfc3339
from gateway.domain.document import SealFault, SealFinding, SealState
from gateway.seals.book import Seal, SealBook
from gateway.seals.certificate import (
    STRONG_HASHES,
    Key,
    hash_name,
    read_certificate,
    verifier_of,
)

# Of several signatures over the same octets the best counts: a joint document bears the seals of
# several units, and one that is good for the sender cannot be made worse by adding others.
_BEST_FIRST = (
    SealState.VALID, SealState.CANCELLED, SealState.EXPIRED, SealState.INVALID,
    SealState.OTHER_UNIT, SealState.UNKNOWN_KEY, SealState.MISSING,
)  # fmt: skip
MOST_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class Bench:
    """What does not change while one message is judged."""

    unit_id: int
    book: SealBook
    at: datetime
    clock_skew: float  # seconds


def judge_signatures(packets: tuple[bytes, ...], octets: bytes, bench: Bench) -> SealFinding:
    """The best finding of all signatures over these octets; the others are named in its detail."""
    if not packets:
        return malformed("the signature part holds no signature")
    if len(packets) > MOST_SIGNATURES:
        return malformed("too many signatures")
    found = sorted(
        (judge_signature(packet, octets, bench) for packet in packets),
        key=lambda finding: _BEST_FIRST.index(finding.state),
    )
    best, others = found[0], found[1:]
    if not others:
        return best
    named = ", ".join(f"{other.state.value} {other.fingerprint[-16:]}" for other in others)
    detail = "; ".join(filter(None, (best.detail, f"further signatures: {named}")))
    return replace(best, detail=detail)


def malformed(detail: str) -> SealFinding:
    """What claims to be a seal and is none."""
    return SealFinding(SealState.INVALID, detail=detail, fault=SealFault.FORM)


def judge_signature(packet: bytes, octets: bytes, bench: Bench) -> SealFinding:
    """Judge one signature packet.

    Validity in time is judged at `bench.at`, the moment of receiving, because the time that a
    signature bears is the signer's word: whoever has stolen a cancelled seal can back-date.
    """
    try:
        signature = Sig.from_bytes(packet)
        issuer = signature.issuer_fingerprint or signature.issuer_key_id or ""
        made = signature.created
        found = _find(issuer, bench.book)
        signed_at = rfc3339(made) if made is not None else ""
        if found is None:
            return SealFinding(
                SealState.UNKNOWN_KEY, issuer.upper(), signed_at, detail="no seal of this office"
            )
        seal, key = found
        state, detail = next(_faults(signature, octets, seal, key, bench), (SealState.VALID, ""))
    except RuntimeError:
        return malformed("the signature cannot be read")
    over = _no_longer_in_force(seal, bench.at) if state is SealState.CANCELLED else None
    cancelled_at = rfc3339(over[0]) if over is not None else ""
    if isinstance(state, SealFault):
        return SealFinding(SealState.INVALID, seal.fingerprint, signed_at, "", detail, state)
    return SealFinding(state, seal.fingerprint, signed_at, cancelled_at, detail)


def _faults(
    signature: Sig, octets: bytes, seal: Seal, key: Key, bench: Bench
) -> Iterator[tuple[SealState | SealFault, str]]:
    """What is wrong with a signature by that key, the gravest first; the caller takes the first.

    A fault makes it invalid.
    """
    made, ends = signature.created, signature.expiration
    hashed = hash_name(signature.hash_algorithm)
    expiry = _expiry(seal, key)
    if key.weakness:
        yield SealFault.WEAK, key.weakness
    if hashed not in STRONG_HASHES:
        yield SealFault.WEAK, f"a signature by {hashed} does not count"
    if made is None or signature.signature_type not in (SignatureType.Binary, SignatureType.Text):
        yield SealFault.FORM, "not a signature over a document"
        return
    if made > bench.at + timedelta(seconds=bench.clock_skew):
        yield SealFault.CLOCK, f"the signature bears a time in the future: {rfc3339(made)}"
    if ends is not None and ends <= bench.at:
        yield SealState.EXPIRED, f"the signature expired at {rfc3339(ends)}"
    if expiry is not None and expiry <= made:
        yield SealState.EXPIRED, f"the seal expired at {rfc3339(expiry)}"
    if not _verifies(signature, octets, seal):
        yield SealFault.CONTENT, "the signature does not fit the content"
    if seal.unit_id != bench.unit_id:
        yield SealState.OTHER_UNIT, "the seal belongs to another unit"
    over = _no_longer_in_force(seal, bench.at)
    if over is not None:
        yield SealState.CANCELLED, over[1]
    if expiry is not None and expiry <= bench.at:
        yield SealState.EXPIRED, f"the seal expired at {rfc3339(expiry)}"


def _find(issuer: str, book: SealBook) -> tuple[Seal, Key] | None:
    for seal in book.seals if issuer else ():
        try:
            key = read_certificate(seal.certificate).key(issuer)
        except ValueError:
            continue
        if key is not None:
            return seal, key
    return None


def _verifies(signature: Sig, octets: bytes, seal: Seal) -> bool:
    """Whether the cryptography is right, with exactly this seal's certificate as candidate."""
    certificate = verifier_of(seal.certificate)
    try:
        result = verify(octets, lambda _: [certificate], signature=signature)
    except RuntimeError:
        return False
    return any(good.certificate.upper() == seal.fingerprint for good in result.valid_sigs)


def _no_longer_in_force(seal: Seal, at: datetime) -> tuple[datetime, str] | None:
    """When the seal ceased to count, and why, if it had by then."""
    if seal.cancelled_at is not None and seal.cancelled_at <= at:
        return seal.cancelled_at, f"cancelled: {seal.cancel_reason}"
    if seal.replaced_at is not None and seal.replaced_at <= at:
        return seal.replaced_at, "replaced by a newer seal"
    return None


def _expiry(seal: Seal, key: Key) -> datetime | None:
    """The earliest end of the seal, its primary key and the key that signed."""
    primary = read_certificate(seal.certificate).expires_at
    ends = [end for end in (seal.expires_at, primary, key.expires_at) if end is not None]
    return min(ends).astimezone(UTC) if ends else None
