"""Changes to the duty rosters: who of a unit is called, in which order, by which number."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import Connection, delete, insert, select, update

from gateway.directory import tables as t
from gateway.directory import validity
from gateway.directory.changes import begin, record
from gateway.directory.model import Post
from gateway.directory.units import find_unit
from gateway.errors import CommandError


class DutyChanges(TypedDict, total=False):
    """What can be changed about a duty person; what is not given stays."""

    name: str
    post: Post
    mobile: str
    landline: str
    position: int
    language: str  # empty: the unit's


def add_duty(
    conn: Connection,
    *,
    unit: str,
    name: str,
    post: Post,
    actor: str,
    now: datetime,
    mobile: str = "",
    landline: str = "",
    position: int = 0,
    language: str = "",
) -> int:
    """Add a person or a room to a unit's roster; at least one number is needed. Gives its id.

    Raises CommandError.
    """
    begin(conn)
    unit_id = find_unit(conn, unit)
    given = DutyChanges(
        name=name,
        post=post,
        mobile=mobile,
        landline=landline,
        position=position,
        language=language,
    )
    values = _values(given)
    _check_numbers(str(values["name"]), values["mobile"], values["landline"])
    _check_once(conn, unit_id, values, apart_from=0)
    made = conn.execute(
        insert(t.duty_persons).values(unit_id=unit_id, **values).returning(t.duty_persons.c.id)
    ).scalar_one()
    record(
        conn, "add", "duty", unit, before=None, after=duty_facts(conn, made), actor=actor, now=now
    )
    return int(made)


def change_duty(
    conn: Connection, duty_id: int, *, actor: str, now: datetime, **changes: Unpack[DutyChanges]
) -> None:
    """Change what is given. Raises CommandError."""
    begin(conn)
    unit = _unit_of(conn, duty_id)
    before = duty_facts(conn, duty_id)
    values = _values(changes)
    after = {**before, **values}
    _check_numbers(str(after["name"]), after["mobile"], after["landline"])
    _check_once(conn, find_unit(conn, unit), after, apart_from=duty_id)
    if after != before:
        conn.execute(update(t.duty_persons).where(t.duty_persons.c.id == duty_id).values(**values))
        record(conn, "change", "duty", unit, before=before, after=after, actor=actor, now=now)


def remove_duty(conn: Connection, duty_id: int, *, actor: str, now: datetime) -> None:
    """Take somebody off the roster; reminders already made keep their name and number."""
    begin(conn)
    unit = _unit_of(conn, duty_id)
    before = duty_facts(conn, duty_id)
    conn.execute(delete(t.duty_persons).where(t.duty_persons.c.id == duty_id))
    record(conn, "remove", "duty", unit, before=before, after=None, actor=actor, now=now)


def duty_facts(conn: Connection, duty_id: int) -> dict[str, object]:
    """The entry as the log of changes shows it."""
    query = select(t.duty_persons).where(t.duty_persons.c.id == duty_id)
    facts: dict[str, object] = dict(conn.execute(query).mappings().one())
    del facts["unit_id"]
    return facts


def _unit_of(conn: Connection, duty_id: int) -> str:
    query = select(t.units.c.code).join(t.duty_persons, t.duty_persons.c.unit_id == t.units.c.id)
    found = conn.execute(query.where(t.duty_persons.c.id == duty_id)).scalar()
    if found is None:
        raise CommandError(f"there is no duty entry {duty_id}; `yizhan duty list` shows all")
    return str(found)


def _values(given: DutyChanges) -> dict[str, object]:
    values: dict[str, object] = {}
    if "name" in given:
        values["name"] = validity.name(given["name"], "name")
    if "post" in given:
        values["post"] = given["post"].value
    if "mobile" in given:
        values["mobile"] = validity.mobile(given["mobile"])
    if "landline" in given:
        values["landline"] = validity.landline(given["landline"])
    if "position" in given:
        values["position"] = given["position"]
    if "language" in given:
        values["language"] = validity.language(given["language"], empty=True)
    return values


def _check_numbers(name: str, mobile: object, landline: object) -> None:
    if not mobile and not landline:
        raise CommandError(f"{name}: give a mobile number or a landline")


def _check_once(
    conn: Connection, unit_id: int, values: dict[str, object], *, apart_from: int
) -> None:
    duty = t.duty_persons
    twin = conn.execute(
        select(duty.c.id).where(
            duty.c.unit_id == unit_id,
            duty.c.post == values["post"],
            duty.c.name == values["name"],
            duty.c.id != apart_from,
        )
    ).first()
    if twin:
        raise CommandError(f"{values['name']} already has the post {values['post']} in that unit")
