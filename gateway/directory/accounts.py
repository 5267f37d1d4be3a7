"""Changes to accounts: who may log in, with what, from where, and with which roles."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import Connection, delete, insert, select, update

from gateway.directory import tables as t
from gateway.directory import validity
from gateway.directory.certificates import fingerprint
from gateway.directory.changes import begin, record
from gateway.directory.model import AccountKind, Role
from gateway.directory.units import find_unit
from gateway.domain.clock import milliseconds
from gateway.errors import CommandError

Units = Mapping[str, Collection[Role]]
"""Unit code -> roles there; the first is the main unit."""

Certificates = Iterable[str | bytes]
"""Client certificates: a whole one (DER), or the SHA-256 fingerprint of one."""

_OWN_TABLES = frozenset(
    {
        "account_units",
        "account_networks",
        "account_certificates",
        "account_logins",
        "first_passwords",
    }
)


class AccountChanges(TypedDict, total=False):
    """What can be changed about an account; what is not given stays. The login never changes."""

    name: str
    kind: AccountKind
    units: Units  # replaced as a whole
    address: str  # local part: the login, or the code of a unit or desk of the account
    active: bool
    language: str
    receipt_style: str
    networks: Iterable[str]  # replaced as a whole; empty: any
    certificates: Certificates  # replaced as a whole; what is already held whole stays so


def add_account(
    conn: Connection,
    *,
    login: str,
    name: str,
    kind: AccountKind,
    units: Units,
    actor: str,
    now: datetime,
    address: str = "",
    password_hash: str = "",
    language: str = "",
    receipt_style: str = "",
    networks: Iterable[str] = (),
    certificates: Certificates = (),
    first_password: bool = False,
) -> int:
    """Add an account. Gives its id.

    `address` empty: the login for a person, the main unit's address for a shared login or a
    machine. A login may bear the name of a unit or desk only if it has that unit's or desk's
    address. `password_hash` empty: no password, only a client certificate opens. `first_password`:
    its owner must change it at the portal; never asked of a machine. Raises CommandError.
    """
    begin(conn)
    validity.login(login)
    taken = conn.execute(select(t.accounts.c.id).where(t.accounts.c.login == login)).first()
    if taken:
        raise CommandError(f"there is already an account {login!r}")
    if not address:
        address = login if kind is AccountKind.PERSONAL else next(iter(units), login)
    _check_address(conn, login, address, units)
    made = conn.execute(
        insert(t.accounts)
        .values(
            login=login,
            address=address,
            name=validity.name(name, "name"),
            kind=kind.value,
            active=True,
            language=validity.language(language, empty=True),
            receipt_style=validity.receipt_style(receipt_style),
            password_hash=password_hash,
            unlocked_at=0,
        )
        .returning(t.accounts.c.id)
    ).scalar_one()
    _write_units(conn, made, units)
    _write_networks(conn, made, networks)
    _write_certificates(conn, made, certificates)
    _write_first(conn, made, first_password and bool(password_hash), kind, now)
    after = account_facts(conn, login)
    record(conn, "add", "account", login, before=None, after=after, actor=actor, now=now)
    return int(made)


def change_account(
    conn: Connection, login: str, *, actor: str, now: datetime, **changes: Unpack[AccountChanges]
) -> None:
    """Change what is given. Raises CommandError, also if nobody would be operator any more."""
    begin(conn)
    account_id = find_account(conn, login)
    before, were = account_facts(conn, login), _operators(conn)
    values: dict[str, object] = {}
    if "name" in changes:
        values["name"] = validity.name(changes["name"], "name")
    if "kind" in changes:
        values["kind"] = changes["kind"].value
    if "active" in changes:
        values["active"] = changes["active"]
    if "language" in changes:
        values["language"] = validity.language(changes["language"], empty=True)
    if "receipt_style" in changes:
        values["receipt_style"] = validity.receipt_style(changes["receipt_style"])
    if "address" in changes:
        values["address"] = changes["address"]
    if "units" in changes:
        _write_units(conn, account_id, changes["units"])
    if "networks" in changes:
        _write_networks(conn, account_id, changes["networks"])
    if "certificates" in changes:
        _write_certificates(conn, account_id, changes["certificates"])
    if values:
        conn.execute(update(t.accounts).where(t.accounts.c.id == account_id).values(**values))
    after = account_facts(conn, login)
    if after == before:
        return
    if "address" in changes or "units" in changes:
        _check_address(conn, login, str(after["address"]), _codes(conn, account_id))
    _check_operators(conn, login, were)
    record(conn, "change", "account", login, before=before, after=after, actor=actor, now=now)


def set_password(
    conn: Connection,
    login: str,
    password_hash: str,
    *,
    actor: str,
    now: datetime,
    first: bool = False,
    instead_of: str = "",
) -> None:
    """Set a new password (its hash, see `passwords`); the log says that, never the hash.

    `first`: its owner must change it at the portal. `instead_of` is the hash that its owner has
    just proved to know. Raises CommandError, also if that is no longer the one in force.
    """
    begin(conn)
    account_id = find_account(conn, login)
    this = t.accounts.c.id == account_id
    row = conn.execute(select(t.accounts.c.password_hash, t.accounts.c.kind).where(this)).one()
    if instead_of and row.password_hash != instead_of:
        raise CommandError("the password was changed meanwhile; log in again")
    conn.execute(update(t.accounts).where(this).values(password_hash=password_hash))
    _write_first(conn, account_id, first, AccountKind(row.kind), now)
    record(conn, "password", "account", login, before={}, after={}, actor=actor, now=now)


def unlock_account(conn: Connection, login: str, *, actor: str, now: datetime) -> None:
    """Forget the wrong passwords so far; the running daemon sees it at the next login."""
    begin(conn)
    account_id = find_account(conn, login)
    moment = {"unlocked_at": milliseconds(now)}
    conn.execute(update(t.accounts).where(t.accounts.c.id == account_id).values(**moment))
    record(conn, "unlock", "account", login, before={}, after={}, actor=actor, now=now)


def remove_account(conn: Connection, login: str, *, actor: str, now: datetime) -> None:
    """Remove an account that was made by mistake: nothing may refer to it.

    Raises CommandError that says to deactivate instead.
    """
    begin(conn)
    account_id = find_account(conn, login)
    used = validity.references(conn, "account_id", account_id, own=_OWN_TABLES)
    if used:
        raise CommandError(
            f"account {login!r} has acted ({', '.join(f'rows of {name}' for name in used)}); close "
            f"it with `yizhan account change {login} --inactive` instead of removing it"
        )
    before, were = account_facts(conn, login), _operators(conn)
    conn.execute(delete(t.account_units).where(t.account_units.c.account_id == account_id))
    for table in (t.account_networks, t.account_certificates, t.account_logins, t.first_passwords):
        conn.execute(delete(table).where(table.c.account_id == account_id))
    conn.execute(delete(t.accounts).where(t.accounts.c.id == account_id))
    _check_operators(conn, login, were)
    record(conn, "remove", "account", login, before=before, after=None, actor=actor, now=now)


def find_account(conn: Connection, login: str) -> int:
    """The id of the account.

    Raises CommandError if there is none.
    """
    found = conn.execute(select(t.accounts.c.id).where(t.accounts.c.login == login)).scalar()
    if found is None:
        raise CommandError(f"there is no account {login!r}; `yizhan account list` shows all")
    return int(found)


def account_facts(conn: Connection, login: str) -> dict[str, object]:
    """The account as the log of changes shows it: without its password's hash."""
    row = conn.execute(select(t.accounts).where(t.accounts.c.login == login)).one()
    memberships = conn.execute(
        select(t.units.c.code, t.account_units.c.roles)
        .join(t.units, t.units.c.id == t.account_units.c.unit_id)
        .where(t.account_units.c.account_id == row.id)
        .order_by(t.account_units.c.position)
    )
    facts: dict[str, object] = {
        "login": row.login,
        "address": row.address,
        "name": row.name,
        "kind": row.kind,
        "active": row.active,
        "language": row.language,
        "receipt_style": row.receipt_style,
        "units": [f"{code}:{'+'.join(json.loads(roles))}" for code, roles in memberships],
    }
    network, held = t.account_networks.c, t.account_certificates.c
    networks = select(network.network).where(network.account_id == row.id)
    facts["networks"] = list(conn.execute(networks.order_by(network.network)).scalars())
    certificates = select(held.fingerprint, held.der).where(held.account_id == row.id)
    facts["certificates"] = [
        fingerprint if der else f"{fingerprint} (fingerprint only)"
        for fingerprint, der in conn.execute(certificates.order_by(held.fingerprint))
    ]
    return facts


def _write_first(
    conn: Connection, account_id: int, first: bool, kind: AccountKind, now: datetime
) -> None:
    table = t.first_passwords
    conn.execute(delete(table).where(table.c.account_id == account_id))
    if first and kind is not AccountKind.MACHINE:  # a machine opens no web page
        conn.execute(insert(table).values(account_id=account_id, since=milliseconds(now)))


def _check_address(conn: Connection, login: str, address: str, codes: Iterable[str]) -> None:
    """Raise CommandError unless the address is the login's own, or of a unit or desk it is in."""
    codes = set(codes)
    kind = "unit" if address in codes else _desk_kind(conn, address, codes)
    if not kind and address != login:
        raise CommandError(
            f"address {address!r}: give the login itself, or a unit or desk of the account"
        )
    # The login is an address of the office too, unless it names the very unit or desk.
    itself = {"account", kind} if login == address else {"account"}
    validity.free(conn, login, apart_from=itself)


def _desk_kind(conn: Connection, address: str, codes: set[str]) -> str:
    query = (
        select(t.units.c.code)
        .join(t.desks, t.desks.c.unit_id == t.units.c.id)
        .where(t.desks.c.name == address)
    )
    return "desk" if conn.execute(query).scalar() in codes else ""


def _codes(conn: Connection, account_id: int) -> list[str]:
    query = (
        select(t.units.c.code)
        .join(t.account_units, t.account_units.c.unit_id == t.units.c.id)
        .where(t.account_units.c.account_id == account_id)
    )
    return list(conn.execute(query).scalars())


def _write_units(conn: Connection, account_id: int, given: Units) -> None:
    for code, roles in given.items():
        if not roles:
            raise CommandError(f"unit {code!r}: give at least one role in it")
    rows = [
        {
            "account_id": account_id,
            "unit_id": find_unit(conn, code),
            "position": place,
            "roles": json.dumps(sorted(role.value for role in set(roles))),
        }
        for place, (code, roles) in enumerate(given.items())
    ]
    if not rows:
        raise CommandError("an account belongs to at least one unit")
    conn.execute(delete(t.account_units).where(t.account_units.c.account_id == account_id))
    conn.execute(insert(t.account_units), rows)


def _write_networks(conn: Connection, account_id: int, given: Iterable[str]) -> None:
    networks = dict.fromkeys(validity.network(value) for value in given)
    conn.execute(delete(t.account_networks).where(t.account_networks.c.account_id == account_id))
    if networks:
        rows = [{"account_id": account_id, "network": value} for value in networks]
        conn.execute(insert(t.account_networks), rows)


def _write_certificates(conn: Connection, account_id: int, given: Certificates) -> None:
    table = t.account_certificates
    mine = table.c.account_id == account_id
    query = select(table.c.fingerprint, table.c.der).where(mine)
    held: dict[str, bytes | None] = {row.fingerprint: row.der for row in conn.execute(query)}
    wanted: dict[str, bytes | None] = {}
    for value in given:
        der = value if isinstance(value, bytes) else None
        name = validity.fingerprint(value) if isinstance(value, str) else fingerprint(value)
        wanted[name] = der or wanted.get(name) or held.get(name)
    conn.execute(delete(table).where(mine))
    for name, der in wanted.items():
        query = (
            select(t.accounts.c.login)
            .join(table, table.c.account_id == t.accounts.c.id)
            .where(table.c.fingerprint == name)
        )
        if (other := conn.execute(query).scalar()) is not None:
            raise CommandError(f"certificate {name[:16]}… belongs to account {other!r} already")
        conn.execute(insert(table).values(account_id=account_id, fingerprint=name, der=der))


def _operators(conn: Connection) -> set[str]:
    query = (
        select(t.accounts.c.login, t.account_units.c.roles)
        .join(t.account_units, t.account_units.c.account_id == t.accounts.c.id)
        .where(t.accounts.c.active)
    )
    return {row.login for row in conn.execute(query) if Role.OPERATOR in json.loads(row.roles)}


def _check_operators(conn: Connection, login: str, were: set[str]) -> None:
    if were and not _operators(conn):
        raise CommandError(
            f"{login!r} is the last operator, and postmaster@ must reach somebody; give the role "
            "operator to another account first"
        )
