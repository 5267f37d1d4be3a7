"""When each account last came in by each door: the rows, as they are read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from gateway.directory import tables as t
from gateway.domain.clock import milliseconds, moment


@dataclass(frozen=True, slots=True)
class LastLogin:
    """When and from where an account last came in by a door."""

    door: str
    at: datetime
    client: str  # IP address


def last_logins(connection: Connection) -> dict[int, tuple[LastLogin, ...]]:
    """Account id -> its last login at each door, the newest first."""
    found: dict[int, tuple[LastLogin, ...]] = {}
    query = select(t.account_logins).order_by(t.account_logins.c.at.desc())
    for row in connection.execute(query):
        login = LastLogin(row.door, moment(row.at), row.client)
        found[row.account_id] = (*found.get(row.account_id, ()), login)
    return found


def keep_logins(connection: Connection, notes: Mapping[tuple[int, str], LastLogin]) -> None:
    """Write the last logins down, by account id and door."""
    table = t.account_logins
    # In one order everywhere: two nodes that write the same accounts never wait for each other.
    for (account_id, door), login in sorted(notes.items()):
        # The lock on the account lets no other node insert the same row in between, and an account
        # that was removed meanwhile is gone.
        account = select(t.accounts.c.id).where(t.accounts.c.id == account_id).with_for_update()
        if connection.execute(account).first() is None:
            continue
        values = {"at": milliseconds(login.at), "client": login.client}
        this = (table.c.account_id == account_id) & (table.c.door == door)
        if not connection.execute(update(table).where(this).values(**values)).rowcount:
            connection.execute(insert(table).values(account_id=account_id, door=door, **values))
