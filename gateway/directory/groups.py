"""Changes to groups (named sets of units) and desks (mailboxes for a task)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from gateway.directory import tables as t
from gateway.directory import validity
from gateway.directory.changes import begin, record
from gateway.directory.model import Level, UnitClass
from gateway.directory.units import find_unit
from gateway.errors import CommandError


def add_group(
    conn: Connection,
    *,
    name: str,
    title: str,
    members: Iterable[str],
    senders: Iterable[str],
    actor: str,
    now: datetime,
) -> int:
    """Add a group. `members` are unit codes; `senders` says who may write to it: unit codes,
    `class:organ`, `level:district` or `*`; none: nobody. Gives its id. Raises CommandError.
    """
    begin(conn)
    validity.free(conn, validity.code(name, "group name"))
    made = conn.execute(
        insert(t.groups)
        .values(name=name, title=validity.name(title, "title"))
        .returning(t.groups.c.id)
    ).scalar_one()
    _write_members(conn, made, members)
    _write_senders(conn, made, senders)
    after = group_facts(conn, name)
    record(conn, "add", "group", name, before=None, after=after, actor=actor, now=now)
    return int(made)


def change_group(
    conn: Connection,
    name: str,
    *,
    actor: str,
    now: datetime,
    title: str | None = None,
    members: Iterable[str] | None = None,
    senders: Iterable[str] | None = None,
) -> None:
    """Change what is given; members and senders are replaced as a whole. Raises CommandError.

    Documents already sent keep the recipients they had.
    """
    begin(conn)
    group_id = _find_group(conn, name)
    before = group_facts(conn, name)
    if title is not None:
        values = {"title": validity.name(title, "title")}
        conn.execute(update(t.groups).where(t.groups.c.id == group_id).values(**values))
    if members is not None:
        _write_members(conn, group_id, members)
    if senders is not None:
        _write_senders(conn, group_id, senders)
    after = group_facts(conn, name)
    if after != before:
        record(conn, "change", "group", name, before=before, after=after, actor=actor, now=now)


def set_members(
    conn: Connection, name: str, members: Iterable[str], *, actor: str, now: datetime
) -> None:
    """Replace the members of a group. Raises CommandError."""
    change_group(conn, name, members=members, actor=actor, now=now)


def set_senders(
    conn: Connection, name: str, senders: Iterable[str], *, actor: str, now: datetime
) -> None:
    """Replace those who may write to a group. Raises CommandError."""
    change_group(conn, name, senders=senders, actor=actor, now=now)


def remove_group(conn: Connection, name: str, *, actor: str, now: datetime) -> None:
    """Remove a group. Raises CommandError if there is none."""
    begin(conn)
    group_id = _find_group(conn, name)
    before = group_facts(conn, name)
    for table in (t.group_members, t.group_senders):
        conn.execute(delete(table).where(table.c.group_id == group_id))
    conn.execute(delete(t.groups).where(t.groups.c.id == group_id))
    record(conn, "remove", "group", name, before=before, after=None, actor=actor, now=now)


def add_desk(
    conn: Connection, *, name: str, title: str, unit: str, actor: str, now: datetime
) -> int:
    """Add a desk with a mailbox of its own; `unit` is the code of the unit behind it."""
    begin(conn)
    validity.free(conn, validity.code(name, "desk name"))
    values = {"title": validity.name(title, "title"), "unit_id": find_unit(conn, unit)}
    made = conn.execute(
        insert(t.desks).values(name=name, **values).returning(t.desks.c.id)
    ).scalar_one()
    after: dict[str, object] = {"title": values["title"], "unit": unit}
    record(conn, "add", "desk", name, before=None, after=after, actor=actor, now=now)
    return int(made)


def change_desk(
    conn: Connection,
    name: str,
    *,
    actor: str,
    now: datetime,
    title: str | None = None,
    unit: str | None = None,
) -> None:
    """Change what is given. Raises CommandError."""
    begin(conn)
    desk_id, before = _find_desk(conn, name)
    after = dict(before)
    if title is not None:
        after["title"] = validity.name(title, "title")
    if unit is not None:
        after["unit"] = unit
    if after == before:
        return
    values = {"title": after["title"], "unit_id": find_unit(conn, after["unit"])}
    conn.execute(update(t.desks).where(t.desks.c.id == desk_id).values(**values))
    record(conn, "change", "desk", name, before=before, after=after, actor=actor, now=now)


def remove_desk(conn: Connection, name: str, *, actor: str, now: datetime) -> None:
    """Remove a desk; its mailbox stays in the store. Raises CommandError if an account uses it."""
    begin(conn)
    desk_id, before = _find_desk(conn, name)
    user = conn.execute(select(t.accounts.c.login).where(t.accounts.c.address == name)).scalar()
    if user is not None:
        raise CommandError(f"account {user!r} has the address of desk {name!r}; change it first")
    conn.execute(delete(t.desks).where(t.desks.c.id == desk_id))
    record(conn, "remove", "desk", name, before=before, after=None, actor=actor, now=now)


def members_of(conn: Connection, name: str) -> list[str]:
    """Codes of the units in a group. Raises CommandError if there is no such group."""
    query = (
        select(t.units.c.code)
        .join(t.group_members, t.group_members.c.unit_id == t.units.c.id)
        .where(t.group_members.c.group_id == _find_group(conn, name))
        .order_by(t.units.c.id)
    )
    return list(conn.execute(query).scalars())


def group_facts(conn: Connection, name: str) -> dict[str, object]:
    """The group as the log of changes shows it."""
    row = conn.execute(select(t.groups).where(t.groups.c.name == name)).one()
    senders = conn.execute(
        select(t.group_senders.c.sender)
        .where(t.group_senders.c.group_id == row.id)
        .order_by(t.group_senders.c.sender)
    )
    return {
        "title": row.title,
        "members": members_of(conn, name),
        "senders": list(senders.scalars()),
    }


def _find_desk(conn: Connection, name: str) -> tuple[int, dict[str, str]]:
    query = select(t.desks, t.units.c.code).join(t.units, t.units.c.id == t.desks.c.unit_id)
    row = conn.execute(query.where(t.desks.c.name == name)).first()
    if row is None:
        raise CommandError(f"there is no desk {name!r}; `yizhan unit desk list` shows all")
    return int(row.id), {"title": row.title, "unit": row.code}


def _find_group(conn: Connection, name: str) -> int:
    found = conn.execute(select(t.groups.c.id).where(t.groups.c.name == name)).scalar()
    if found is None:
        raise CommandError(f"there is no group {name!r}; `yizhan group list` shows all")
    return int(found)


def _write_members(conn: Connection, group_id: int, codes: Iterable[str]) -> None:
    rows = [
        {"group_id": group_id, "unit_id": find_unit(conn, code)} for code in dict.fromkeys(codes)
    ]
    conn.execute(delete(t.group_members).where(t.group_members.c.group_id == group_id))
    if rows:
        conn.execute(insert(t.group_members), rows)


def _write_senders(conn: Connection, group_id: int, senders: Iterable[str]) -> None:
    rows = []
    for sender in dict.fromkeys(senders):
        kind, colon, value = sender.partition(":")
        if colon and kind == "class":
            validity.choice(UnitClass, value, "class")
        elif colon and kind == "level":
            validity.choice(Level, value, "level")
        elif sender != "*":
            find_unit(conn, sender)
        rows.append({"group_id": group_id, "sender": sender})
    conn.execute(delete(t.group_senders).where(t.group_senders.c.group_id == group_id))
    if rows:
        conn.execute(insert(t.group_senders), rows)
