"""Blind copies: an envelope recipient whom neither To nor Cc names (RFC 6109)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.address import Address, InvalidAddress
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Compare envelope and header; a merged unit's old address names its successor.

    A group in To or Cc names its members only if the message goes to the group: else it would
    cover up for a copy to some of them that no other reader hears of.
    """
    envelope = {address for address, _ in matter.targets}
    addresses: set[Address] = set()
    keys: set[str] = set()
    for written in (*matter.inspection.to, *matter.inspection.cc):
        try:
            address = Address.parse(written)
        except InvalidAddress:
            continue
        addresses.add(address)
        target = matter.directory.resolve(address)
        if target and target.group is not None and address not in envelope:
            continue
        keys |= {owner.key for owner in target.owners} if target else set()
    blind = [
        str(address)
        for address, target in matter.targets
        if address not in addresses
        and not (target and target.owners and {owner.key for owner in target.owners} <= keys)
    ]
    return {"blind-copies": tuple(dict.fromkeys(blind))}


CHECK = Check(
    "blindcopy",
    "every envelope recipient is named in To or Cc",
    (Fact("blind-copies", FactKind.WORDS, "recipients that neither To nor Cc names", (),
          quotable=True),),
    look,
)  # fmt: skip
