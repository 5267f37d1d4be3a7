"""Changes to units: add, change, merge, remove; a unit's past is never lost."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from gateway.directory import tables as t
from gateway.directory import validity
from gateway.directory.changes import begin, record
from gateway.directory.model import Level, UnitClass
from gateway.domain.clock import milliseconds
from gateway.domain.document import MessageClass
from gateway.errors import CommandError

_OWN_TABLES = frozenset(
    {"units", "unit_names", "group_members", "account_units", "desks", "duty_persons"}
)


class UnitChanges(TypedDict, total=False):
    """What can be changed about a unit; what is not given stays. The code never changes."""

    name: str
    name_en: str
    level: Level
    unit_class: UnitClass
    language: str
    parent: str  # code; empty: none
    active: bool
    organ_code: str
    seal_limit: int | None  # None: the office's setting
    subject_marks: bool
    unchecked: frozenset[MessageClass]


def add_unit(
    conn: Connection,
    *,
    code: str,
    name: str,
    level: Level,
    unit_class: UnitClass,
    actor: str,
    now: datetime,
    name_en: str = "",
    language: str = "zh-CN",
    parent: str = "",
    organ_code: str = "",
    seal_limit: int | None = None,
    subject_marks: bool = True,
    unchecked: frozenset[MessageClass] = frozenset(),
) -> int:
    """Add a unit; its address is its code at the office's domain. Gives its id.

    Raises CommandError if a value is wrong or the code is taken.
    """
    begin(conn)
    validity.free(conn, validity.code(code, "unit code"))
    given = UnitChanges(
        name=name,
        name_en=name_en,
        level=level,
        unit_class=unit_class,
        language=language,
        parent=parent,
        organ_code=organ_code,
        seal_limit=seal_limit,
        subject_marks=subject_marks,
        unchecked=unchecked,
    )
    values = _values(conn, given)
    made = conn.execute(
        insert(t.units).values(code=code, active=True, **values).returning(t.units.c.id)
    ).scalar_one()
    record(
        conn, "add", "unit", code, before=None, after=unit_facts(conn, code), actor=actor, now=now
    )
    return int(made)


def change_unit(
    conn: Connection, code: str, *, actor: str, now: datetime, **changes: Unpack[UnitChanges]
) -> None:
    """Change what is given; an old name is kept with the day on which it ended.

    A unit that is made active again is no longer merged. Raises CommandError.
    """
    begin(conn)
    unit_id = find_unit(conn, code)
    before = unit_facts(conn, code)
    values = _values(conn, changes)
    if values.get("parent_id") is not None:
        _no_circle(conn, unit_id, values["parent_id"], t.units.c.parent_id, "parent")
    if "active" in changes:
        values["active"] = changes["active"]
        if changes["active"]:
            values["successor_id"] = None
    if values:
        conn.execute(update(t.units).where(t.units.c.id == unit_id).values(**values))
    after = unit_facts(conn, code)
    if after == before:
        return
    if (before["name"], before["name_en"]) != (after["name"], after["name_en"]):
        conn.execute(
            insert(t.unit_names).values(
                unit_id=unit_id,
                name=before["name"],
                name_en=before["name_en"],
                until=milliseconds(now),
            )
        )
    record(conn, "change", "unit", code, before=before, after=after, actor=actor, now=now)


def merge_units(conn: Connection, code: str, *, into: str, actor: str, now: datetime) -> None:
    """End a unit; what is sent to it from now on reaches the successor. Its documents stay its own.

    Raises CommandError if the successor is not active or is the unit itself.
    """
    begin(conn)
    unit_id, heir_id = find_unit(conn, code), find_unit(conn, into)
    _no_circle(conn, unit_id, heir_id, t.units.c.successor_id, "successor")
    if not _stands(conn, heir_id):
        raise CommandError(f"unit {into!r} is not active and cannot take over {code!r}")
    before = unit_facts(conn, code)
    conn.execute(
        update(t.units).where(t.units.c.id == unit_id).values(active=False, successor_id=heir_id)
    )
    after = unit_facts(conn, code)
    if after == before:
        return
    record(conn, "merge", "unit", code, before=before, after=after, actor=actor, now=now)


def remove_unit(conn: Connection, code: str, *, actor: str, now: datetime) -> None:
    """Remove a unit that was made by mistake: nothing may refer to it.

    Raises CommandError that names what refers to it and says to deactivate or merge instead.
    """
    begin(conn)
    unit_id = find_unit(conn, code)
    users = [
        f"{count} {what}"
        for what, column in (
            ("accounts", t.account_units.c.unit_id),
            ("groups", t.group_members.c.unit_id),
            ("duty persons", t.duty_persons.c.unit_id),
            ("desks", t.desks.c.unit_id),
            ("units below it", t.units.c.parent_id),
            ("units merged into it", t.units.c.successor_id),
        )
        if (
            count := conn.execute(
                select(func.count()).select_from(column.table).where(column == unit_id)
            ).scalar_one()
        )
    ]
    users += [
        f"rows of {table}"
        for table in validity.references(conn, "unit_id", unit_id, own=_OWN_TABLES)
    ]
    if users:
        raise CommandError(
            f"unit {code!r} is in use ({', '.join(users)}); instead of removing it, close it with "
            f"`yizhan unit change {code} --inactive` or merge it with `yizhan unit merge {code} "
            "--into SUCCESSOR`"
        )
    before = unit_facts(conn, code)
    conn.execute(delete(t.units).where(t.units.c.id == unit_id))
    record(conn, "remove", "unit", code, before=before, after=None, actor=actor, now=now)


def find_unit(conn: Connection, code: str) -> int:
    """The id of the unit.

    Raises CommandError if there is none.
    """
    found = conn.execute(select(t.units.c.id).where(t.units.c.code == code)).scalar()
    if found is None:
        raise CommandError(f"there is no unit {code!r}; `yizhan unit list` shows all")
    return int(found)


def past_names(conn: Connection, unit_id: int) -> list[tuple[str, str, int]]:
    """Former names, oldest first: Chinese, English, and until when (Unix milliseconds)."""
    names = t.unit_names
    query = select(names).where(names.c.unit_id == unit_id).order_by(names.c.id)
    return [(row.name, row.name_en, row.until) for row in conn.execute(query)]


def unit_facts(conn: Connection, code: str) -> dict[str, object]:
    """The unit as the log of changes shows it."""
    parent, heir = t.units.alias("parent"), t.units.alias("heir")
    query = (
        select(t.units, parent.c.code.label("parent"), heir.c.code.label("successor"))
        .select_from(
            t.units.outerjoin(parent, parent.c.id == t.units.c.parent_id).outerjoin(
                heir, heir.c.id == t.units.c.successor_id
            )
        )
        .where(t.units.c.code == code)
    )
    facts: dict[str, object] = dict(conn.execute(query).mappings().one())
    for hidden in ("id", "parent_id", "successor_id"):
        del facts[hidden]
    facts["unchecked"] = json.loads(str(facts["unchecked"]))
    return facts


def _values(conn: Connection, given: UnitChanges) -> dict[str, object]:
    values: dict[str, object] = {}
    if "name" in given:
        values["name"] = validity.name(given["name"], "name")
    if "name_en" in given:
        values["name_en"] = validity.name(given["name_en"], "English name", empty=True)
    if "organ_code" in given:
        values["organ_code"] = validity.name(given["organ_code"], "organ code", empty=True)
    if "language" in given:
        values["language"] = validity.language(given["language"])
    if "level" in given:
        values["level"] = given["level"].value
    if "unit_class" in given:
        values["unit_class"] = given["unit_class"].value
    if "parent" in given:
        values["parent_id"] = find_unit(conn, given["parent"]) if given["parent"] else None
    if "seal_limit" in given:
        if given["seal_limit"] is not None and given["seal_limit"] < 0:
            raise CommandError("seal limit: this must be 0 or more")
        values["seal_limit"] = given["seal_limit"]
    if "subject_marks" in given:
        values["subject_marks"] = given["subject_marks"]
    if "unchecked" in given:
        values["unchecked"] = json.dumps(sorted(given["unchecked"]))
    return values


def _stands(conn: Connection, unit_id: int) -> bool:
    """Whether the unit is active, or its line of successors ends in one that is."""
    step: int | None = unit_id
    while step is not None:
        row = conn.execute(select(t.units).where(t.units.c.id == step)).one()
        if row.active:
            return True
        step = row.successor_id
    return False


def _no_circle(
    conn: Connection, unit_id: int, above: object, link: ColumnElement[int | None], what: str
) -> None:
    """Refuse a parent or successor that, followed upward, leads back to the unit itself."""
    step = above
    while step is not None:
        if step == unit_id:
            raise CommandError(f"a unit cannot be its own {what}, directly or through others")
        step = conn.execute(select(link).where(t.units.c.id == step)).scalar()
