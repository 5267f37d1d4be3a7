"""Gives every folder a new UIDVALIDITY, after the mailboxes came back from an older copy.

Between the copy and the loss UIDs were given that the copy knows nothing of. A client that has seen
them must forget all it has cached (RFC 3501, 2.3.1.1), or it would show one mail for another.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, func, select, update

from mailboxes.tables import Tables


def renew_uidvalidity(conn: Connection, tables: Tables, now: datetime) -> int:
    """New values for all folders, greater than any that their owners were ever given; how many.

    They are seconds of Unix time where folders are made, so `now` is greater than what was given
    after the copy too, if the clock is right.
    """
    owners, folders = tables.owners, tables.folders
    floor = int(now.timestamp()) + 1
    given = owners.c.uidvalidity
    conn.execute(update(owners).values(uidvalidity=case((given >= floor, given + 1), else_=floor)))
    first = select(given).where(owners.c.id == folders.c.owner_id).scalar_subquery()
    others = folders.alias()
    of_owner = select(func.count()).select_from(others)
    before = of_owner.where(others.c.owner_id == folders.c.owner_id, others.c.id < folders.c.id)
    conn.execute(update(folders).values(uidvalidity=first + before.scalar_subquery()))
    every = of_owner.where(others.c.owner_id == owners.c.id)
    conn.execute(update(owners).values(uidvalidity=given + every.scalar_subquery()))
    return int(conn.scalar(select(func.count()).select_from(folders)) or 0)
