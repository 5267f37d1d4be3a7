"""One immutable picture of the directory, with every question answered from memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from gateway.directory.contents import Contents, read, version
from gateway.directory.model import (
    Account,
    AccountKind,
    Desk,
    DutyPerson,
    Group,
    Level,
    Owner,
    OwnerKind,
    Post,
    Role,
    Target,
    Unit,
    UnitClass,
)
from gateway.domain.address import Address

__all__ = ["Direction", "Directory", "load", "unit_owner", "version"]

Direction = Literal["up", "level", "down"]

# RFC 5321, 4.5.1 and RFC 2142: these always reach somebody.
OPERATOR_NAMES = ("postmaster", "abuse")

_UNIT_SENDERS = frozenset(
    {Role.CLERK, Role.BUSINESS_CLERK, Role.UNIT_ADMIN, Role.LEADER, Role.MACHINE}
)
_SIGNERS = frozenset(
    {
        Role.CLERK,
        Role.BUSINESS_CLERK,
        Role.UNIT_ADMIN,
        Role.SEAL_KEEPER,
        Role.LEADER,
        Role.ARCHIVIST,
    }
)
_OWN_SENDERS = _UNIT_SENDERS | {Role.OPERATOR, Role.SEAL_KEEPER, Role.ARCHIVIST}
_RANK = {Level.MUNICIPAL: 0, Level.DISTRICT: 1, Level.SUBDISTRICT: 2}
_RUNG = {post: place for place, post in enumerate(Post)}


class Directory:
    """The people and units of the office at one version. Nothing in it ever changes."""

    def __init__(self, office_domain: str, contents: Contents) -> None:
        self._domain = office_domain
        self._contents = contents
        self._units = {unit.code: unit for unit in contents.units}
        self._units_by_id = {unit.id: unit for unit in contents.units}
        self._accounts = {account.login: account for account in contents.accounts}
        self._accounts_by_id = {account.id: account for account in contents.accounts}
        self._certificates = {
            fingerprint: account
            for account in contents.accounts
            for fingerprint in account.certificates
        }
        self._whole = tuple(
            der
            for fingerprint, der in contents.certificates.items()
            if self._certificates[fingerprint].active
        )
        self._groups = {group.name: group for group in contents.groups}
        self._desks = {desk.name: desk for desk in contents.desks}
        self._duty: dict[int, list[DutyPerson]] = {}
        for person in sorted(contents.duty, key=lambda p: (_RUNG[p.post], p.position, p.id)):
            self._duty.setdefault(person.unit_id, []).append(person)

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._contents.version

    @property
    def office_domain(self) -> str:
        """The mail domain of the office."""
        return self._domain

    def unit(self, code: str) -> Unit | None:
        """The unit with that code, also when it is no longer active."""
        return self._units.get(code.casefold())

    def unit_by_id(self, unit_id: int) -> Unit | None:
        """The unit with that id, also when it is no longer active."""
        return self._units_by_id.get(unit_id)

    def units(self) -> tuple[Unit, ...]:
        """All units in order of their ids, those no longer active too."""
        return self._contents.units

    def account(self, login: str) -> Account | None:
        """The account with that login, active or not; `login@our-domain` counts as the login."""
        name, _, domain = login.strip().casefold().partition("@")
        return self._accounts.get(name) if domain in ("", self._domain) else None

    def account_by_id(self, account_id: int) -> Account | None:
        """The account with that id, active or not."""
        return self._accounts_by_id.get(account_id)

    def account_by_certificate(self, sha256hex: str) -> Account | None:
        """The account that lists this client certificate, active or not."""
        return self._certificates.get(sha256hex.replace(":", "").lower())

    def certificate(self, sha256hex: str) -> bytes | None:
        """The whole certificate (DER) with that fingerprint, if it is known."""
        return self._contents.certificates.get(sha256hex)

    def client_certificates(self) -> tuple[bytes, ...]:
        """The certificates (DER) that active accounts list as a whole."""
        return self._whole

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, active or not."""
        return self._contents.accounts

    def unlocked_at(self, account_id: int) -> datetime | None:
        """Since when wrong passwords of that account count again, if an operator unlocked it."""
        return self._contents.unlocked.get(account_id)

    def groups(self) -> tuple[Group, ...]:
        """All groups."""
        return self._contents.groups

    def group(self, name: str) -> Group | None:
        """The group with that name."""
        return self._groups.get(name.casefold())

    def desks(self) -> tuple[Desk, ...]:
        """All desks."""
        return self._contents.desks

    def operators(self) -> tuple[Account, ...]:
        """The active accounts with the role operator in any unit."""
        return tuple(a for a in self._contents.accounts if a.active and a.has_role(Role.OPERATOR))

    def standing_for(self, unit: Unit) -> Unit | None:
        """The active unit that stands for this one: itself, or its last successor, or none."""
        seen: set[int] = set()
        while not unit.active:
            if unit.successor_id is None or unit.id in seen:
                return None
            seen.add(unit.id)
            unit = self._units_by_id[unit.successor_id]
        return unit

    def resolve(self, address: Address) -> Target | None:
        """What an address of this office stands for; None if it is nobody's here.

        A merged unit stands for its successor. A group is expanded to the units that are active
        now. `postmaster` and `abuse` are the operators.
        """
        if address.domain != self._domain:
            return None
        name = address.local
        if (unit := self._units.get(name)) is not None:
            heir = self.standing_for(unit)
            return None if heir is None else Target(address, (unit_owner(heir),), unit=heir)
        if (group := self._groups.get(name)) is not None:
            heirs = (self.standing_for(self._units_by_id[member]) for member in group.members)
            owners = _once(unit_owner(heir) for heir in heirs if heir is not None)
            return Target(address, owners, group=group)
        if (owner := self._own_mailbox(name)) is not None:
            return Target(address, (owner,))
        if name in OPERATOR_NAMES:
            found = (self.account_owner(account) for account in self.operators())
            owners = _once(owner for owner in found if owner is not None)
            return Target(address, owners) if owners else None
        return None

    def account_owner(self, account: Account) -> Owner | None:
        """The mailbox of an account: the unit's for a unit account, else the person's own."""
        if not self._own(account):
            return self.owner_of(account.address)
        return self._person(account) if account.active else None

    def language_of(self, account: Account) -> str:
        """What the account's people read: its own language, else its main unit's."""
        if account.language or not account.memberships:
            return account.language
        return self._units_by_id[account.memberships[0].unit_id].language

    def owner_of(self, address: Address) -> Owner | None:
        """Whose mailbox gets the receipts for documents sent under that address."""
        target = self.resolve(address)
        return target.owners[0] if target and target.group is None and target.owners else None

    def owners(self) -> tuple[Owner, ...]:
        """Every mailbox owner: active units, active persons with an address of their own, desks."""
        owners = [unit_owner(unit) for unit in self._contents.units if unit.active]
        owners += [self._person(a) for a in self._contents.accounts if a.active and self._own(a)]
        owners += [self._desk(desk) for desk in self._contents.desks]
        return _once(owners)

    def sending_unit(self, account: Account, address: Address) -> Unit | None:
        """The unit for which the account may send under that MAIL FROM, else None.

        Under the address of a unit or a desk: clerks, business clerks, unit administrators,
        leaders and machines of that unit. Under an address of one's own also operators,
        seal-keepers and archivists. Readers and auditors never send. Nobody sends in the name of
        a unit that is no longer active, though mail to it still reaches its successor.
        """
        if not account.active or address.domain != self._domain:
            return None
        unit = self._units.get(address.local)
        if unit is None and (desk := self._desks.get(address.local)) is not None:
            unit = self._units_by_id[desk.unit_id]
        if unit is not None:
            may = unit.active and account.roles_in(unit.id) & _UNIT_SENDERS
            return unit if may else None
        if address != account.address:
            return None
        for membership in account.memberships:
            unit = self._units_by_id[membership.unit_id]
            if unit.active and membership.roles & _OWN_SENDERS:
                return unit
        return None

    def signing_unit(self, account: Account, owner_key: str) -> Unit | None:
        """The unit for which the account may sign for what came into that mailbox, else None.

        The mailbox of a unit or desk: whoever works there, or in the unit that stands for it now;
        not readers, auditors, machines or the operator, who has a command for it. A person's own
        mailbox: that person.
        """
        kind, _, code = owner_key.partition(":")
        if not account.active or account.kind is AccountKind.MACHINE:
            return None
        if kind == OwnerKind.PERSON:
            return self._main_unit(account) if account.login == code else None
        desk = self._desks.get(code) if kind == OwnerKind.DESK else None
        unit = self._units.get(code) if desk is None else self._units_by_id[desk.unit_id]
        if unit is None:
            return None
        for one in (unit, self.standing_for(unit)):
            if one is not None and account.roles_in(one.id) & _SIGNERS:
                return one
        return None

    def _main_unit(self, account: Account) -> Unit | None:
        """The first unit in which the account has a role that signs."""
        found = (m.unit_id for m in account.memberships if m.roles & _SIGNERS)
        return next((self._units_by_id[unit_id] for unit_id in found), None)

    def may_use_group(self, unit: Unit, group: Group) -> bool:
        """Whether the unit may write to the group."""
        own = {"*", unit.code, f"class:{unit.unit_class.value}", f"level:{unit.level.value}"}
        return not own.isdisjoint(group.senders)

    def direction(self, sender: Unit, recipient: Unit) -> Direction:
        """上行, 平行 or 下行: by the line of parents, then by level, then organs above others."""
        if recipient.id in self._ancestors(sender):
            return "up"
        if sender.id in self._ancestors(recipient):
            return "down"
        ours, theirs = _standing(sender), _standing(recipient)
        if ours == theirs:
            return "level"
        return "up" if ours > theirs else "down"

    def duty(self, unit_id: int) -> tuple[DutyPerson, ...]:
        """The unit's duty roster, from the lowest rung up."""
        return tuple(self._duty.get(unit_id, ()))

    def _own_mailbox(self, name: str) -> Owner | None:
        if (desk := self._desks.get(name)) is not None:
            return self._desk(desk)
        account = self._accounts.get(name)
        return self._person(account) if account and account.active and self._own(account) else None

    def _own(self, account: Account) -> bool:
        """Whether the account has an address of its own rather than a unit's or a desk's."""
        name = account.address.local
        return name == account.login and name not in self._units and name not in self._desks

    def _person(self, account: Account) -> Owner:
        main = account.memberships[0].unit_id if account.memberships else None
        return Owner(OwnerKind.PERSON, account.login, main, self.language_of(account))

    def _desk(self, desk: Desk) -> Owner:
        unit = self._units_by_id[desk.unit_id]
        heir = self.standing_for(unit) or unit
        return Owner(OwnerKind.DESK, desk.name, heir.id, heir.language)

    def _ancestors(self, unit: Unit) -> set[int]:
        found: set[int] = set()
        parent = unit.parent_id
        while parent is not None and parent not in found:
            found.add(parent)
            parent = self._units_by_id[parent].parent_id
        return found


def unit_owner(unit: Unit) -> Owner:
    """The mailbox owner that a unit is."""
    return Owner(OwnerKind.UNIT, unit.code, unit.id, unit.language)


def _standing(unit: Unit) -> tuple[int, int]:
    return _RANK[unit.level], 0 if unit.unit_class is UnitClass.ORGAN else 1


def _once(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    return tuple({owner.key: owner for owner in owners}.values())


def load(conn: Connection, domain: str) -> Directory:
    """The directory as that connection's transaction sees it."""
    return Directory(domain, read(conn, domain))
