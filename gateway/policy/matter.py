"""The matter before the checks: one submission with all that a check may look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.directory.model import Account, Owner, Target, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.submission import Submission
from gateway.policy.clamd import Scanner
from gateway.policy.facts import Fact, Value
from gateway.policy.inspection import Inspection
from gateway.policy.rate import Rates
from gateway.seals.book import SealBook


@dataclass(frozen=True, slots=True)
class Matter:
    """One submission, what reading it brought to light, and the office it was offered to."""

    submission: Submission
    inspection: Inspection
    directory: Directory
    account: Account
    unit: Unit  # the sending unit
    book: SealBook
    rates: Rates
    scanner: Scanner | None  # None: no virus check is configured
    targets: tuple[tuple[Address, Target | None], ...]  # each envelope recipient, resolved

    def owners(self) -> tuple[Owner, ...]:
        """Every mailbox that the message would reach, once each."""
        found = {o.key: o for _, target in self.targets if target for o in target.owners}
        return tuple(found.values())

    def units(self) -> tuple[Unit, ...]:
        """Every unit that stands behind such a mailbox, once each."""
        ids = dict.fromkeys(o.unit_id for o in self.owners() if o.unit_id is not None)
        units = (self.directory.unit_by_id(unit_id) for unit_id in ids)
        return tuple(unit for unit in units if unit is not None)


@dataclass(frozen=True, slots=True)
class Check:
    """One question about a message: its name, what it looks at, the facts that it sets.

    `look` sets exactly the facts that it lists. It raises nothing: what cannot be found out is a
    value of a fact, on which the rules decide.
    """

    name: str
    description: str
    facts: tuple[Fact, ...]
    look: Callable[[Matter], Awaitable[Mapping[str, Value]]]
