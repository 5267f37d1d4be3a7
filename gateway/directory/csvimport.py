"""Takes the rows of a CSV file into the directory: all of them, or none and all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.directory import tables as t
from gateway.directory.accounts import AccountChanges, add_account, change_account, set_password
from gateway.directory.csvfile import Kind, Row, as_value
from gateway.directory.duty import DutyChanges, add_duty, change_duty
from gateway.directory.groups import add_desk, add_group, change_desk, change_group
from gateway.directory.model import AccountKind, Level, Post, Role, UnitClass
from gateway.directory.passwords import check_password_form, new_password
from gateway.directory.units import UnitChanges, add_unit, change_unit, find_unit, merge_units
from gateway.domain.document import MessageClass
from gateway.errors import CommandError


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that the file sets; `generated` ones must be handed to people."""

    password: str
    generated: bool


@dataclass(frozen=True, slots=True)
class _Act:
    """Who imports, and when."""

    actor: str
    now: datetime
    first: frozenset[str]


def logins(conn: Connection) -> set[str]:
    """The logins that exist."""
    return set(conn.execute(select(t.accounts.c.login)).scalars())


def new_passwords(rows: Sequence[Row], existing: set[str]) -> dict[str, NewPassword]:
    """Login -> the password that the file sets: given in it, or made for a new account without.

    Raises CommandError with the line of each password that is too weak.
    """
    found: dict[str, NewPassword] = {}
    faults: list[str] = []
    for row in rows:
        if not _is_account(row):
            continue
        login, given = row.text("code"), row.text("password")
        if given:
            try:
                check_password_form(given)
            except CommandError as error:
                faults.append(f"line {row.line}: {error.public}")
            found[login] = NewPassword(given, generated=False)
        elif login not in existing:
            found[login] = NewPassword(new_password(), generated=True)
    if faults:
        raise CommandError("\n".join(faults))
    return found


def take(
    conn: Connection,
    rows: Sequence[Row],
    hashes: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
    first: Collection[str] = (),
) -> dict[Kind, int]:
    """Add or change what each row says; gives how many rows of each kind there were.

    `first` are the logins whose owners must change the password at the portal.

    Units come first, whatever their place in the file, then groups, desks, accounts and duty.
    Raises CommandError with a line for each row that cannot be taken; the caller's transaction
    must then be rolled back, so that nothing is half done.
    """
    act = _Act(actor, now, frozenset(first))
    faults: list[tuple[int, str]] = []
    kinds: dict[Kind, list[Row]] = {kind: [] for kind in Kind}
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        try:
            kind = row.one("kind", Kind)
        except CommandError as error:
            faults.append((row.line, error.public))
            continue
        key: tuple[str, ...] = (kind.value, row.text("code"))
        if kind is Kind.DUTY:
            key = (*key, row.text("post"), row.text("name"))
        if (earlier := seen.setdefault(key, row.line)) != row.line:
            faults.append((row.line, f"{kind} {row.text('code')!r} stands on line {earlier} too"))
            continue
        kinds[kind].append(row)

    def each(kind: Kind, verb: Callable[[Row], None]) -> None:
        bad = {line for line, _ in faults}
        for row in kinds[kind]:
            if row.line in bad:
                continue
            try:
                verb(row)
            except CommandError as error:
                faults.append((row.line, error.public))

    each(Kind.UNIT, lambda row: _take_unit(conn, row, act))
    each(Kind.UNIT, lambda row: _relate_unit(conn, row, act))
    each(Kind.GROUP, lambda row: _take_group(conn, row, act))
    each(Kind.DESK, lambda row: _take_desk(conn, row, act))
    each(Kind.ACCOUNT, lambda row: _take_account(conn, row, hashes, act))
    each(Kind.DUTY, lambda row: _take_duty(conn, row, act))
    if faults:
        raise CommandError("\n".join(f"line {line}: {text}" for line, text in sorted(faults)))
    return {kind: len(found) for kind, found in kinds.items() if found}


def _is_account(row: Row) -> bool:
    try:
        return row.one("kind", Kind) is Kind.ACCOUNT
    except CommandError:
        return False


def _exists(conn: Connection, kind: Kind, key: str) -> bool:
    column = {
        Kind.UNIT: t.units.c.code,
        Kind.GROUP: t.groups.c.name,
        Kind.DESK: t.desks.c.name,
        Kind.ACCOUNT: t.accounts.c.login,
    }[kind]
    return conn.execute(select(column).where(column == key)).first() is not None


def _take_unit(conn: Connection, row: Row, act: _Act) -> None:
    code = row.text("code")
    given = UnitChanges()
    if row.given("name"):
        given["name"] = row.text("name")
    if row.given("name_en"):
        given["name_en"] = row.text("name_en")
    if row.given("language"):
        given["language"] = row.text("language")
    if row.given("organ_code"):
        given["organ_code"] = row.text("organ_code")
    if row.given("level"):
        given["level"] = row.one("level", Level)
    if row.given("class"):
        given["unit_class"] = row.one("class", UnitClass)
    if row.given("seal_limit"):
        given["seal_limit"] = row.number("seal_limit") if row.text("seal_limit") else None
    if row.given("marks"):
        given["subject_marks"] = row.flag("marks")
    if row.given("unchecked"):
        given["unchecked"] = frozenset(
            as_value(MessageClass, word, "unchecked") for word in row.words("unchecked")
        )
    if not _exists(conn, Kind.UNIT, code):
        add_unit(
            conn,
            code=code,
            name=row.text("name"),
            level=given.get("level", Level.DISTRICT),
            unit_class=given.get("unit_class", UnitClass.BUREAU),
            actor=act.actor,
            now=act.now,
        )
    change_unit(conn, code, actor=act.actor, now=act.now, **given)


def _relate_unit(conn: Connection, row: Row, act: _Act) -> None:
    """What needs all units to be there: parent, merger, closing."""
    code = row.text("code")
    if row.given("parent"):
        change_unit(conn, code, parent=row.text("parent"), actor=act.actor, now=act.now)
    if row.given("active") and row.flag("active"):
        change_unit(conn, code, active=True, actor=act.actor, now=act.now)
    elif row.text("successor"):
        merge_units(conn, code, into=row.text("successor"), actor=act.actor, now=act.now)
    elif row.given("active"):
        change_unit(conn, code, active=False, actor=act.actor, now=act.now)


def _take_group(conn: Connection, row: Row, act: _Act) -> None:
    name = row.text("code")
    if not _exists(conn, Kind.GROUP, name):
        add_group(
            conn,
            name=name,
            title=row.text("name"),
            members=row.words("members"),
            senders=row.words("senders"),
            actor=act.actor,
            now=act.now,
        )
        return
    change_group(
        conn,
        name,
        title=row.text("name") if row.given("name") else None,
        members=row.words("members") if row.given("members") else None,
        senders=row.words("senders") if row.given("senders") else None,
        actor=act.actor,
        now=act.now,
    )


def _take_desk(conn: Connection, row: Row, act: _Act) -> None:
    name, unit = row.text("code"), row.text("units")
    if not _exists(conn, Kind.DESK, name):
        add_desk(conn, name=name, title=row.text("name"), unit=unit, actor=act.actor, now=act.now)
        return
    change_desk(
        conn,
        name,
        title=row.text("name") if row.given("name") else None,
        unit=unit if row.given("units") else None,
        actor=act.actor,
        now=act.now,
    )


def _take_account(conn: Connection, row: Row, hashes: Mapping[str, str], act: _Act) -> None:
    login = row.text("code")
    given = AccountChanges()
    if row.given("name"):
        given["name"] = row.text("name")
    if row.given("units"):
        given["units"] = parse_units(row.words("units"))
    if row.given("account"):
        given["kind"] = row.one("account", AccountKind)
    if row.given("address"):
        given["address"] = row.text("address").partition("@")[0]
    if row.given("language"):
        given["language"] = row.text("language")
    if row.given("receipts"):
        given["receipt_style"] = row.text("receipts")
    if row.given("networks"):
        given["networks"] = row.words("networks")
    if row.given("certificates"):
        given["certificates"] = row.words("certificates")
    if _exists(conn, Kind.ACCOUNT, login):
        if row.given("active"):
            given["active"] = row.flag("active")
        change_account(conn, login, actor=act.actor, now=act.now, **given)
        if login in hashes:
            set_password(
                conn,
                login,
                hashes[login],
                first=login in act.first,
                actor=act.actor,
                now=act.now,
            )
        return
    add_account(
        conn,
        login=login,
        name=row.text("name"),
        kind=given.get("kind", AccountKind.PERSONAL),
        units=given.get("units", {}),
        address=given.get("address", ""),
        language=given.get("language", ""),
        receipt_style=given.get("receipt_style", ""),
        networks=given.get("networks", ()),
        certificates=given.get("certificates", ()),
        password_hash=hashes.get(login, ""),
        first_password=login in act.first,
        actor=act.actor,
        now=act.now,
    )
    if row.given("active") and not row.flag("active"):
        change_account(conn, login, active=False, actor=act.actor, now=act.now)


def _take_duty(conn: Connection, row: Row, act: _Act) -> None:
    unit, name, post = row.text("code"), row.text("name"), row.one("post", Post)
    given = DutyChanges()
    if row.given("mobile"):
        given["mobile"] = row.text("mobile")
    if row.given("landline"):
        given["landline"] = row.text("landline")
    if row.given("position"):
        given["position"] = row.number("position")
    if row.given("language"):
        given["language"] = row.text("language")
    duty = t.duty_persons
    found = conn.execute(
        select(duty.c.id).where(
            duty.c.unit_id == find_unit(conn, unit), duty.c.post == post, duty.c.name == name
        )
    ).scalar()
    if found is not None:
        change_duty(conn, found, actor=act.actor, now=act.now, **given)
        return
    add_duty(
        conn,
        unit=unit,
        name=name,
        post=post,
        mobile=given.get("mobile", ""),
        landline=given.get("landline", ""),
        position=given.get("position", 0),
        language=given.get("language", ""),
        actor=act.actor,
        now=act.now,
    )


def parse_units(words: Sequence[str]) -> dict[str, tuple[Role, ...]]:
    """`water:clerk+leader` for each unit; without a role: clerk. Raises CommandError."""
    units: dict[str, tuple[Role, ...]] = {}
    for word in words:
        code, _, roles = word.replace("：", ":").partition(":")
        units[code] = tuple(as_value(Role, role, "role") for role in roles.split("+") if role) or (
            Role.CLERK,
        )
    return units
