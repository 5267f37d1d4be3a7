"""From the envelope to mailbox owners: groups expanded and frozen, each owner once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.submission import EnvelopeRecipient


@dataclass(frozen=True, slots=True)
class Addressee:
    """One owner who gets the document, and the envelope recipient that named it."""

    owner: Owner | None  # None: nobody answers to this address any more
    address: Address  # the owner's own
    via: Address
    role: str  # to (主送) or cc (抄送)
    notify: frozenset[str]


def expand(
    envelope: Sequence[EnvelopeRecipient], directory: Directory, cc: Collection[str]
) -> list[Addressee]:
    """Who gets the document. An owner named twice (by itself and by a group) gets it once.

    `cc` holds the addresses in the Cc field, folded. An address that was good at RCPT and has gone
    since, or a group that has lost its last member, stays in the list without an owner: its failure
    is evidence, not silence.
    """
    found: dict[str, Addressee] = {}
    direct_first = sorted(envelope, key=lambda r: _is_group(directory, r.address))
    for recipient in direct_first:
        role = "cc" if str(recipient.address) in cc else "to"
        target = directory.resolve(recipient.address)
        if target is None or not target.owners:
            found.setdefault(
                f"gone:{recipient.address}",
                Addressee(None, recipient.address, recipient.address, role, recipient.notify),
            )
            continue
        for owner in target.owners:
            own = Address(owner.code, directory.office_domain)
            found.setdefault(
                owner.key, Addressee(owner, own, recipient.address, role, recipient.notify)
            )
    return list(found.values())


def fingerprint(envelope: Sequence[EnvelopeRecipient]) -> bytes:
    """SHA-256 over the sorted envelope: equal for the same recipients in any order."""
    text = "\n".join(sorted({str(recipient.address) for recipient in envelope}))
    return hashlib.sha256(text.encode()).digest()


def _is_group(directory: Directory, address: Address) -> bool:
    target = directory.resolve(address)
    return target is not None and target.group is not None
