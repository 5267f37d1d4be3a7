"""Who may settle a delivery, and as whom the evidence names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from gateway.directory.model import Account, AccountKind, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.states import Act
from gateway.evidence.record import Actor
from gateway.exchange.held import NotPossible, Problem
from gateway.exchange.tables import deliveries
from mailboxes.prepared import Prepared

_DELIVERY = Prepared(
    select(deliveries).where(
        deliveries.c.document_id == bindparam("document"),
        deliveries.c.owner == bindparam("owner"),
    )
)
_DELIVERIES = Prepared(
    select(deliveries).where(
        deliveries.c.document_id == bindparam("document"),
        deliveries.c.owner.in_(bindparam("owners", expanding=True)),
    ),
    some="owners",
)


@dataclass(frozen=True, slots=True)
class Client:
    """An account at a mail client, with what evidence says of the login."""

    account: Account
    login: str  # its strength: password or certificate
    address: str  # network address

    def actor(self, unit: Unit | None, name: str = "") -> Actor:
        """As evidence names it. A personal login is that person, whatever name was written."""
        if self.account.kind is not AccountKind.SHARED:
            name = self.account.name
        return Actor(
            account=self.account.login,
            unit="" if unit is None else unit.code,
            name=name,
            login=self.login,
            address=self.address,
        )

    def signatory(self, directory: Directory, owner_key: str, act: Act, name: str = "") -> Actor:
        """The person who does the act. Raises NotPossible for who may not, or is not named."""
        unit = directory.signing_unit(self.account, owner_key)
        if unit is None:
            raise NotPossible(Problem.NOT_ENTITLED, f"{self.account.login} may not {act.value}")
        if self.account.kind is AccountKind.SHARED and not name:
            raise NotPossible(Problem.NAME_MISSING, f"{self.account.login} is a shared login")
        return self.actor(unit, name)


def delivery_to(connection: Connection, document_id: str, owner_key: str) -> Row[Any] | None:
    """The document's delivery into that mailbox."""
    return _DELIVERY.first(connection, {"document": document_id, "owner": owner_key})


def deliveries_for(
    connection: Connection, directory: Directory, account: Account, document_id: str
) -> list[Row[Any]]:
    """The document's deliveries for which the account may sign, those of its main unit first."""
    owners = owners_of(directory, account)
    if not owners:
        return []
    found = {
        row.owner: row
        for row in _DELIVERIES.all(connection, {"document": document_id, "owners": owners})
    }
    return [found[owner] for owner in owners if owner in found]


def owners_of(directory: Directory, account: Account) -> list[str]:
    """The mailboxes for which the account may sign: of its units, of merged ones, of its own."""
    units = [membership.unit_id for membership in account.memberships]
    merged = [
        unit.id
        for unit in directory.units()
        if not unit.active and (heir := directory.standing_for(unit)) and heir.id in units
    ]
    keys: list[str] = []
    for unit_id in (*units, *merged):
        unit = directory.unit_by_id(unit_id)
        if unit is not None:
            keys.append(f"unit:{unit.code}")
            keys += [f"desk:{desk.name}" for desk in directory.desks() if desk.unit_id == unit_id]
    keys.append(f"person:{account.login}")
    return [key for key in keys if directory.signing_unit(account, key) is not None]
