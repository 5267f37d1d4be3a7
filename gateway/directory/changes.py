"""The log of the directory: who changed what, when, from what to what; lines are only added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from gateway.directory import tables as t
from gateway.domain.clock import milliseconds, moment

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log. `before` and `after` are JSON; empty: did not or does not exist."""

    id: int
    at: datetime
    actor: str
    action: str
    kind: str
    key: str
    before: str
    after: str


def begin(conn: Connection) -> None:
    """Raise the directory's version; every verb does this first.

    The lock on that one row puts all changes of the directory in a line, so what a verb then reads
    (is this name still free?) stays true until it commits, on every database.
    """
    row = t.directory_version
    if not conn.execute(update(row).values(version=row.c.version + 1)).rowcount:
        conn.execute(insert(row).values(id=1, version=1))


def record(
    conn: Connection,
    action: str,
    kind: str,
    key: str,
    *,
    before: Facts | None,
    after: Facts | None,
    actor: str,
    now: datetime,
) -> None:
    """Write one line of the log."""
    conn.execute(
        insert(t.changes).values(
            at=milliseconds(now),
            actor=actor,
            action=action,
            kind=kind,
            key=key,
            before=_text(before),
            after=_text(after),
        )
    )


def log(conn: Connection, *, key: str = "", kind: str = "", limit: int = 100) -> list[Change]:
    """The newest lines first; all, or those of one key (a code, login or name) or kind."""
    query = select(t.changes).order_by(t.changes.c.id.desc()).limit(limit)
    if key:
        query = query.where(t.changes.c.key == key)
    if kind:
        query = query.where(t.changes.c.kind == kind)
    return [
        Change(
            row.id, moment(row.at), row.actor, row.action, row.kind, row.key, row.before, row.after
        )
        for row in conn.execute(query)
    ]


def newest(conn: Connection, kind: str) -> int:
    """The number of the last line of that kind, 0 if there is none; it only grows."""
    query = select(func.max(t.changes.c.id)).where(t.changes.c.kind == kind)
    return int(conn.scalar(query) or 0)


def _text(facts: Facts | None) -> str:
    return "" if facts is None else json.dumps(facts, ensure_ascii=False, sort_keys=True)
