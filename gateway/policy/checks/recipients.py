"""Recipients: whether each exists and may be written to, and in which direction it lies."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.directory.model import UnitClass
from gateway.domain.address import Address, InvalidAddress
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter

KINDS = ("unit", "person", "desk", "group")
DIRECTIONS = ("up", "level", "down")


async def look(matter: Matter) -> Mapping[str, Value]:
    """Look at every recipient of the envelope; groups are expanded to the units of this moment."""
    unknown = [
        str(address) for address, target in matter.targets if not target or not target.owners
    ]
    groups = [target.group for _, target in matter.targets if target and target.group]
    closed = [g for g in groups if not matter.directory.may_use_group(matter.unit, g)]
    others = [unit for unit in matter.units() if unit.id != matter.unit.id]
    directions = {matter.directory.direction(matter.unit, other) for other in others}
    kinds = {"group" for _ in groups}
    for _, target in matter.targets:
        if target and not target.group:
            kinds |= {owner.kind.value for owner in target.owners}
    return {
        "envelope-recipients": len(matter.submission.recipients),
        "mailboxes": len(matter.owners()),
        "main-recipients": _main_recipients(matter),
        "unknown-recipients": tuple(unknown),
        "recipient-kinds": tuple(kind for kind in KINDS if kind in kinds),
        "recipient-classes": tuple(
            kind.value for kind in UnitClass if any(o.unit_class is kind for o in others)
        ),
        "directions": tuple(way for way in DIRECTIONS if way in directions),
        "groups": tuple(dict.fromkeys(group.name for group in groups)),
        "closed-groups": tuple(dict.fromkeys(str(group.address) for group in closed)),
    }


def _main_recipients(matter: Matter) -> int:
    """Mailboxes behind To (主送), once each."""
    found: set[str] = set()
    for written in matter.inspection.to:
        try:
            target = matter.directory.resolve(Address.parse(written))
        except InvalidAddress:
            continue
        found |= {owner.key for owner in target.owners} if target else set()
    return len(found)


CHECK = Check(
    "recipients",
    "every recipient exists and may be written to by this unit",
    (
        Fact("envelope-recipients", FactKind.NUMBER, "RCPT commands, a group counts as one", 1,
             quotable=True),
        Fact("mailboxes", FactKind.NUMBER, "mailboxes reached, groups expanded", 1, quotable=True),
        Fact("main-recipients", FactKind.NUMBER, "mailboxes behind To (主送)", 1, quotable=True),
        Fact("unknown-recipients", FactKind.WORDS, "addresses that are nobody's here", (),
             quotable=True),
        Fact("recipient-kinds", FactKind.WORDS, "what was written to", ("unit",), KINDS),
        Fact("recipient-classes", FactKind.WORDS, "kinds of organisation that are reached",
             ("bureau",), tuple(UnitClass)),
        Fact("directions", FactKind.WORDS, "上行 up, 平行 level, 下行 down, of all units reached",
             ("level",), DIRECTIONS),
        Fact("groups", FactKind.WORDS, "names of the groups written to", ()),
        Fact("closed-groups", FactKind.WORDS, "groups that this unit may not write to", (),
             quotable=True),
    ),
    look,
)  # fmt: skip
