"""All that the directory's tables hold, read in one go into values."""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.directory import tables as t
from gateway.directory.model import (
    Account,
    AccountKind,
    Desk,
    DutyPerson,
    Group,
    Level,
    Membership,
    Post,
    Role,
    Unit,
    UnitClass,
)
from gateway.domain.address import Address
from gateway.domain.clock import moment
from gateway.domain.document import MessageClass
from mailboxes.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Contents:
    """The tables as values; `snapshot.Directory` adds the lookups."""

    version: int = 0
    units: tuple[Unit, ...] = ()
    accounts: tuple[Account, ...] = ()
    groups: tuple[Group, ...] = ()
    desks: tuple[Desk, ...] = ()
    duty: tuple[DutyPerson, ...] = ()
    unlocked: Mapping[int, datetime] = field(default_factory=dict)  # account id -> since when
    certificates: Mapping[str, bytes] = field(default_factory=dict)  # fingerprint -> DER


_VERSION = Prepared(select(t.directory_version.c.version))


def version(conn: Connection) -> int:
    """The directory's version; 0 while nothing was ever put into it."""
    found: int | None = _VERSION.scalar(conn)
    return 0 if found is None else found


def read(conn: Connection, domain: str) -> Contents:
    """Everything, as the connection's transaction sees it."""
    return Contents(
        version=version(conn),
        units=_units(conn, domain),
        accounts=_accounts(conn, domain),
        groups=_groups(conn, domain),
        desks=tuple(
            Desk(row.id, row.name, row.title, row.unit_id)
            for row in conn.execute(select(t.desks).order_by(t.desks.c.id))
        ),
        duty=_duty(conn),
        unlocked={
            row.id: moment(row.unlocked_at)
            for row in conn.execute(
                select(t.accounts.c.id, t.accounts.c.unlocked_at).where(
                    t.accounts.c.unlocked_at > 0
                )
            )
        },
        certificates={
            row.fingerprint: row.der
            for row in conn.execute(
                select(t.account_certificates)
                .where(t.account_certificates.c.der.is_not(None))
                .order_by(t.account_certificates.c.fingerprint)
            )
        },
    )


def _units(conn: Connection, domain: str) -> tuple[Unit, ...]:
    return tuple(
        Unit(
            id=row.id,
            code=row.code,
            name=row.name,
            name_en=row.name_en,
            level=Level(row.level),
            unit_class=UnitClass(row.unit_class),
            address=Address(row.code, domain),
            language=row.language,
            parent_id=row.parent_id,
            active=row.active,
            successor_id=row.successor_id,
            organ_code=row.organ_code,
            seal_limit=row.seal_limit,
            subject_marks=row.subject_marks,
            unchecked=frozenset(MessageClass(name) for name in json.loads(row.unchecked)),
        )
        for row in conn.execute(select(t.units).order_by(t.units.c.id))
    )


def _accounts(conn: Connection, domain: str) -> tuple[Account, ...]:
    memberships: dict[int, list[Membership]] = defaultdict(list)
    for row in conn.execute(
        select(t.account_units).order_by(t.account_units.c.account_id, t.account_units.c.position)
    ):
        roles = frozenset(Role(name) for name in json.loads(row.roles))
        memberships[row.account_id].append(Membership(row.unit_id, roles))
    networks: dict[int, list[str]] = defaultdict(list)
    for row in conn.execute(
        select(t.account_networks).order_by(
            t.account_networks.c.account_id, t.account_networks.c.network
        )
    ):
        networks[row.account_id].append(row.network)
    certificates: dict[int, set[str]] = defaultdict(set)
    first = {row.account_id: moment(row.since) for row in conn.execute(select(t.first_passwords))}
    held = t.account_certificates
    for row in conn.execute(select(held.c.account_id, held.c.fingerprint)):
        certificates[row.account_id].add(row.fingerprint)
    return tuple(
        Account(
            id=row.id,
            login=row.login,
            address=Address(row.address, domain),
            name=row.name,
            kind=AccountKind(row.kind),
            memberships=tuple(memberships[row.id]),
            active=row.active,
            language=row.language,
            receipt_style=row.receipt_style,
            networks=tuple(ipaddress.ip_network(text) for text in networks[row.id]),
            certificates=frozenset(certificates[row.id]),
            password_hash=row.password_hash,
            first_password_at=first.get(row.id),
        )
        for row in conn.execute(select(t.accounts).order_by(t.accounts.c.id))
    )


def _groups(conn: Connection, domain: str) -> tuple[Group, ...]:
    members: dict[int, list[int]] = defaultdict(list)
    for row in conn.execute(select(t.group_members).order_by(t.group_members.c.unit_id)):
        members[row.group_id].append(row.unit_id)
    senders: dict[int, set[str]] = defaultdict(set)
    for row in conn.execute(select(t.group_senders)):
        senders[row.group_id].add(row.sender)
    return tuple(
        Group(
            id=row.id,
            name=row.name,
            address=Address(row.name, domain),
            title=row.title,
            members=tuple(members[row.id]),
            senders=frozenset(senders[row.id]),
        )
        for row in conn.execute(select(t.groups).order_by(t.groups.c.id))
    )


def _duty(conn: Connection) -> tuple[DutyPerson, ...]:
    return tuple(
        DutyPerson(
            id=row.id,
            unit_id=row.unit_id,
            name=row.name,
            post=Post(row.post),
            mobile=row.mobile,
            landline=row.landline,
            position=row.position,
            language=row.language,
        )
        for row in conn.execute(select(t.duty_persons).order_by(t.duty_persons.c.id))
    )
