"""Mailbox owners and their folders: made once, listed with what SELECT and STATUS need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from mailboxes.errors import NoSuchFolder
from mailboxes.prepared import Prepared
from mailboxes.rows import Folder, FolderSpec, milliseconds
from mailboxes.tables import Tables

T = TypeVar("T")

REMOVED = "\x7f"
"""Before the id of a folder that was removed, in the place of its name."""

_IN = 10_000  # values in one IN list; SQLite takes 32,766 parameters


class FolderStore:
    """The part of the store that knows owners and folders."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        table, people = tables.folders, tables.owners
        some = table.c.id.in_(bindparam("some", expanding=True))
        self._find_ids = Prepared(
            select(people.c.owner, table.c.id)
            .join(table, table.c.owner_id == people.c.id)
            .where(
                table.c.name == bindparam("name"),
                people.c.owner.in_(bindparam("some", expanding=True)),
            ),
            some="some",
        )
        self._lock_some = Prepared(
            select(table.c.id, table.c.uidnext, table.c.modseq)
            .where(some, is_there(table))
            .order_by(table.c.id)
            .with_for_update(),
            some="some",
        )
        contents = tables.contents
        size = select(contents.c.size).where(contents.c.id == bindparam("content"))
        one_more = {
            "uidnext": table.c.uidnext + 1,
            "modseq": table.c.modseq + 1,
            "messages": table.c.messages + 1,
            "octets": table.c.octets + size.scalar_subquery(),
        }
        self._take_some = Prepared(update(table).where(some).values(one_more), some="some")
        self._take_one = Prepared(
            update(table)
            .where(table.c.id == bindparam("folder"), is_there(table))
            .values(one_more)
            .returning(table.c.uidnext, table.c.modseq)
        )

    def ensure_mailbox(
        self, conn: Connection, owner: str, folders: Sequence[FolderSpec], now: datetime
    ) -> int:
        """The owner's id; makes the owner and those folders that are missing.

        Raises ValueError for a name that cannot be a folder's.
        """
        owners, table = self._tables.owners, self._tables.folders
        wanted = {folder_name(spec.name): spec for spec in folders}
        query = select(owners.c.id, table.c.name).outerjoin(table, table.c.owner_id == owners.c.id)
        found = conn.execute(query.where(owners.c.owner == owner)).all()
        missing = [name for name in wanted if name not in {row.name for row in found}]
        if found and not missing:
            return int(found[0].id)
        if not found:
            _insert_new(
                conn, owners, [{"owner": owner, "uidvalidity": 0, "created": milliseconds(now)}]
            )
        row = conn.execute(
            select(owners.c.id, owners.c.uidvalidity)
            .where(owners.c.owner == owner)
            .with_for_update()
        ).one()
        if not missing:
            return int(row.id)
        uidvalidity = max(int(now.timestamp()), row.uidvalidity + 1)
        last = uidvalidity + len(missing) - 1
        conn.execute(update(owners).where(owners.c.id == row.id).values(uidvalidity=last))
        _insert_new(
            conn,
            table,
            [
                {
                    "owner_id": row.id,
                    "name": name,
                    "special_use": wanted[name].special_use,
                    "subscribed": wanted[name].subscribed,
                    "uidvalidity": uidvalidity + number,  # a folder may get another's name
                    "uidnext": 1,
                    "modseq": 1,
                    "created": milliseconds(now),
                }
                for number, name in enumerate(missing)
            ],
        )
        return int(row.id)

    def remove_unused(self, conn: Connection, owner: str) -> bool:
        """Remove the owner's mailbox if no message was ever in it; False if one was."""
        owners, table = self._tables.owners, self._tables.folders
        query = (
            select(owners.c.id, table.c.uidnext)
            .outerjoin(table, table.c.owner_id == owners.c.id)
            .where(owners.c.owner == owner)
            .with_for_update(of=owners)
        )
        rows = conn.execute(query).all()
        if any(row.uidnext is not None and row.uidnext > 1 for row in rows):
            return False
        if rows:
            conn.execute(delete(table).where(table.c.owner_id == rows[0].id))
            conn.execute(delete(owners).where(owners.c.id == rows[0].id))
        return True

    def folder_id(self, conn: Connection, owner: str, name: str) -> int:
        """The folder's id. Raises NoSuchFolder."""
        found = self.folder_ids(conn, [owner], name)
        if owner not in found:
            raise NoSuchFolder(f"{owner} has no folder {name}")
        return found[owner]

    def folder_ids(self, conn: Connection, owners: Sequence[str], name: str) -> dict[str, int]:
        """The ids of the folders of that name of many owners; owners without it are left out."""
        found: dict[str, int] = {}
        for some in chunks(owners):
            rows = self._find_ids.all(conn, {"name": folder_name(name), "some": some})
            found.update((row.owner, row.id) for row in rows)
        return found

    def owners(self, conn: Connection) -> list[str]:
        """All owners, sorted."""
        column = self._tables.owners.c.owner
        return list(conn.scalars(select(column).order_by(column)))

    def folders(self, conn: Connection, owner: str) -> list[Folder]:
        """The owner's folders, INBOX first, then by name. Raises NoSuchFolder without the owner."""
        folders, owners, messages, contents = (
            self._tables.folders, self._tables.owners, self._tables.messages, self._tables.contents,
        )  # fmt: skip
        owner_id = conn.scalar(select(owners.c.id).where(owners.c.owner == owner))
        if owner_id is None:
            raise NoSuchFolder(f"there is no mailbox {owner}")
        counts = (
            select(
                messages.c.folder_id,
                func.count().label("messages"),
                func.count().filter(messages.c.seen.is_(False)).label("unseen"),
                func.sum(contents.c.size).label("size"),
            )
            .join(contents, contents.c.id == messages.c.content_id)
            .join(folders, folders.c.id == messages.c.folder_id)
            .where(folders.c.owner_id == owner_id)
            .group_by(messages.c.folder_id)
            .subquery()
        )
        query = (
            select(folders, counts.c.messages, counts.c.unseen, counts.c.size)
            .outerjoin(counts, counts.c.folder_id == folders.c.id)
            .where(folders.c.owner_id == owner_id, is_there(folders))
            .order_by(folders.c.name != "INBOX", folders.c.name)
        )
        return [
            Folder(
                id=row.id,
                owner=owner,
                name=row.name,
                special_use=row.special_use,
                subscribed=row.subscribed,
                uidvalidity=row.uidvalidity,
                uidnext=row.uidnext,
                modseq=row.modseq,
                messages=int(row.messages or 0),
                unseen=int(row.unseen or 0),
                size=int(row.size or 0),
            )
            for row in conn.execute(query)
        ]

    def _lock(self, conn: Connection, folder_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Lock folders in id order; their uidnext and modseq. Raises NoSuchFolder."""
        wanted = sorted(set(folder_ids))
        found: dict[int, tuple[int, int]] = {}
        for some in chunks(wanted):
            rows = self._lock_some.all(conn, {"some": some})
            found.update((row.id, (row.uidnext, row.modseq)) for row in rows)
        if len(found) != len(wanted):
            raise NoSuchFolder("a folder does not exist any more")
        return found

    def _take_uids(
        self, conn: Connection, folder_ids: Sequence[int], content_id: int
    ) -> dict[int, tuple[int, int]]:
        """Lock folders in id order and take one UID and one modification sequence from each for a
        message with that content; their uidnext and modseq as they were. Raises NoSuchFolder.
        """
        if len(folder_ids) != 1:
            locked = self._lock(conn, folder_ids)
            for some in chunks(sorted(locked)):
                self._take_some.run(conn, {"some": some, "content": content_id})
            return locked
        [folder_id] = folder_ids  # the usual case, in one statement
        row = self._take_one.first(conn, {"folder": folder_id, "content": content_id})
        if row is None:
            raise NoSuchFolder("a folder does not exist any more")
        return {folder_id: (row.uidnext - 1, row.modseq - 1)}

    def _advance(
        self, conn: Connection, folder_ids: Sequence[int],
        *, uids: int = 0, messages: int = 0, octets: int = 0,
    ) -> None:  # fmt: skip
        """Take a modification sequence and that many UIDs from each (locked) folder, which has so
        many messages and octets more."""
        table = self._tables.folders
        conn.execute(
            update(table)
            .where(table.c.id.in_(folder_ids))
            .values(
                uidnext=table.c.uidnext + uids,
                modseq=table.c.modseq + 1,
                messages=table.c.messages + messages,
                octets=table.c.octets + octets,
            )
        )


def is_there(folders: Table) -> ColumnElement[bool]:
    """The condition that a folder was not removed."""
    return ~folders.c.name.startswith(REMOVED)


def folder_name(name: str) -> str:
    """The one spelling of a folder's name (INBOX has any case). Raises ValueError for none."""
    levels = name.split("/")
    if any(not level or level != level.strip() for level in levels) or not name.isprintable():
        raise ValueError(f"not a folder name: {name!r}")
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    return "/".join(levels)


def chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """The values in runs that fit into one IN list."""
    for start in range(0, len(values), _IN):
        yield values[start : start + _IN]


def _insert_new(conn: Connection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    """Insert, but leave alone what another transaction has made meanwhile."""
    if conn.dialect.name == "postgresql":
        conn.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
    elif conn.dialect.name == "sqlite":
        conn.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
    else:
        conn.execute(insert(table), rows)
