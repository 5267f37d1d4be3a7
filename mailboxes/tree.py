"""The tree of folders as people change it: make, rename, delete, subscribe; rights; quota.

Like the store, every method takes the caller's connection. Names are logical, levels separated by
`/`; INBOX cannot be deleted, and renaming it moves what is in it (RFC 3501, 6.3.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from mailboxes.errors import FolderExists, NoSuchFolder, Veto
from mailboxes.folders import REMOVED, folder_name, is_there
from mailboxes.prepared import Prepared
from mailboxes.rows import milliseconds
from mailboxes.tables import Tables

INBOX = "INBOX"
MAX_NAME = 500  # letters
MAX_LEVELS = 20


@dataclass(frozen=True, slots=True)
class Node:
    """A folder as LIST and STATUS need it."""

    id: int
    name: str  # logical, without any prefix
    special_use: str
    subscribed: bool
    uidvalidity: int
    uidnext: int
    modseq: int
    messages: int
    octets: int
    recent: int  # the first UID that no client has been told of as \\Recent

    @property
    def object_id(self) -> str:
        """MAILBOXID (RFC 8474): never given to another folder."""
        return f"F{self.id}-{self.uidvalidity}"


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a mailbox is."""

    owner: str
    octets: int
    limit: int


class FolderTree:
    """The folders of all owners."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        folders, owners, acl = tables.folders, tables.owners, tables.acl
        own = owners.c.owner == bindparam("owner")
        self._node = Prepared(
            select(folders)
            .join(owners, owners.c.id == folders.c.owner_id)
            .where(own, folders.c.name == bindparam("name"))
        )
        self._acl = Prepared(select(acl).where(acl.c.folder_id == bindparam("folder")))
        self._quota = Prepared(select(owners.c.quota).where(own))

    def nodes(self, conn: Connection, owner: str) -> list[Node]:
        """All folders of the owner, INBOX first, then by name; none without the owner."""
        folders, owners = self._tables.folders, self._tables.owners
        query = (
            select(folders)
            .join(owners, owners.c.id == folders.c.owner_id)
            .where(owners.c.owner == owner, is_there(folders))
            .order_by(folders.c.name != INBOX, folders.c.name)
        )
        return [_node(row) for row in conn.execute(query)]

    def node(self, conn: Connection, owner: str, name: str) -> Node:
        """One folder. Raises NoSuchFolder."""
        row = self._node.first(conn, {"owner": owner, "name": name})
        if row is None:
            raise NoSuchFolder(f"{owner} has no folder {name}")
        return _node(row)

    def create(
        self, conn: Connection, owner: str, name: str, now: datetime, special_use: str = "",
        *, subscribed: bool = True,
    ) -> Node:  # fmt: skip
        """Make a folder, and those above it that are missing; subscribed, or Thunderbird hides it.

        Raises FolderExists, NoSuchFolder without the owner, ValueError for what is no name.
        """
        name = checked_name(name)
        owner_id, uidvalidity = self._hold_owner(conn, owner, now)
        there = {node.name for node in self.nodes(conn, owner)}
        if name in there:
            raise FolderExists(name)
        levels = name.split("/")
        missing = [
            path for path in ("/".join(levels[: n + 1]) for n in range(len(levels)))
            if path not in there
        ]  # fmt: skip
        owners, last = self._tables.owners, uidvalidity + len(missing) - 1
        conn.execute(update(owners).where(owners.c.id == owner_id).values(uidvalidity=last))
        conn.execute(
            insert(self._tables.folders),
            [
                {
                    "owner_id": owner_id, "name": path,
                    "special_use": special_use if path == name else "",
                    "subscribed": subscribed and path == name,
                    # One each: a folder may get another's name, whose UIDs a client remembers.
                    "uidvalidity": uidvalidity + number, "uidnext": 1, "modseq": 1,
                    "created": milliseconds(now), "messages": 0, "octets": 0, "recent": 1,
                }
                for number, path in enumerate(missing)
            ],
        )  # fmt: skip
        return self.node(conn, owner, name)

    def rename(self, conn: Connection, owner: str, old: str, new: str, now: datetime) -> None:
        """Give a folder, and all below it, another name; its messages stay what they are.

        Raises NoSuchFolder, FolderExists, ValueError for what is no name, Veto for INBOX.
        """
        new = checked_name(new)
        self._hold_owner(conn, owner, now)
        nodes = {node.name: node for node in self.nodes(conn, owner)}
        if old not in nodes:
            raise NoSuchFolder(f"{owner} has no folder {old}")
        if new in nodes:
            raise FolderExists(new)
        if old == INBOX:
            raise Veto("INBOX keeps its name")
        if new.startswith(f"{old}/"):
            raise ValueError("a folder cannot be put into itself")
        moved = {
            name: new + name[len(old) :]
            for name in nodes
            if name == old or name.startswith(f"{old}/")
        }
        for name in moved.values():
            checked_name(name)  # or nobody could reach it any more
            if name in nodes and name not in moved:
                raise FolderExists(name)
        parent = new.rpartition("/")[0]
        if parent and parent not in nodes:
            self.create(conn, owner, parent, now)
        table = self._tables.folders
        for name, other in moved.items():
            conn.execute(update(table).where(table.c.id == nodes[name].id).values(name=other))

    def delete(self, conn: Connection, owner: str, name: str, now: datetime) -> Node:
        """Remove a folder that is empty by now; what is below it stays.

        Its row stays under a name that no folder can have, for it remembers what was removed from
        it, and its id must not be given again. Raises NoSuchFolder, Veto for INBOX.
        """
        if name == INBOX:
            raise Veto("INBOX cannot be deleted")
        self._hold_owner(conn, owner, now)
        node = self.node(conn, owner, name)
        tables = self._tables
        table = tables.folders
        locked = conn.execute(
            select(table.c.messages).where(table.c.id == node.id).with_for_update()
        ).scalar_one()
        if locked:
            raise Veto("the folder is not empty")
        conn.execute(delete(tables.acl).where(tables.acl.c.folder_id == node.id))
        conn.execute(
            update(table)
            .where(table.c.id == node.id)
            .values(
                name=f"{REMOVED}{node.id}", special_use="", subscribed=False,
                modseq=table.c.modseq + 1,
            )
        )  # fmt: skip
        return node

    def claim_recent(self, conn: Connection, folder_id: int, up_to: int) -> int:
        """Take what is \\Recent, up to that UID, for one client; the first UID that it was."""
        table = self._tables.folders
        before = conn.execute(
            select(table.c.recent).where(table.c.id == folder_id).with_for_update()
        ).scalar_one_or_none()
        if before is None or before >= up_to:
            return up_to
        conn.execute(update(table).where(table.c.id == folder_id).values(recent=up_to))
        return int(before)

    # Subscriptions

    def subscriptions(self, conn: Connection, account: str) -> dict[str, bool]:
        """The names, as the account sees them, that it has subscribed to or left itself."""
        table = self._tables.subscriptions
        rows = conn.execute(select(table).where(table.c.account == account))
        return {row.name: row.subscribed for row in rows}

    def subscribe(self, conn: Connection, account: str, name: str, *, on: bool) -> None:
        """Subscribe the account to that name, or not any more."""
        table = self._tables.subscriptions
        conn.execute(delete(table).where(table.c.account == account, table.c.name == name))
        conn.execute(insert(table).values(account=account, name=name, subscribed=on))

    # Rights

    def acl(self, conn: Connection, folder_id: int) -> dict[str, str]:
        """The rights that were given by hand, by identifier."""
        rows = self._acl.all(conn, {"folder": folder_id})
        return {row.identifier: row.rights for row in rows}

    def all_acls(self, conn: Connection, owner: str) -> dict[int, dict[str, str]]:
        """The same for all folders of the owner that have any, by folder id."""
        acl, folders, owners = self._tables.acl, self._tables.folders, self._tables.owners
        query = (
            select(acl)
            .join(folders, folders.c.id == acl.c.folder_id)
            .join(owners, owners.c.id == folders.c.owner_id)
            .where(owners.c.owner == owner)
        )
        found: dict[int, dict[str, str]] = {}
        for row in conn.execute(query):
            found.setdefault(row.folder_id, {})[row.identifier] = row.rights
        return found

    def unsubscribe_all(self, conn: Connection, folder_ids: Sequence[int]) -> None:
        """Take back that these folders were subscribed for everybody when they were made."""
        table = self._tables.folders
        conn.execute(update(table).where(table.c.id.in_(folder_ids)).values(subscribed=False))

    def set_acl(
        self, conn: Connection, folder_id: int, identifier: str, rights: str | None
    ) -> None:
        """Give rights by hand; None: as the role has them."""
        table = self._tables.acl
        conn.execute(
            delete(table).where(table.c.folder_id == folder_id, table.c.identifier == identifier)
        )
        if rights is not None:
            conn.execute(
                insert(table).values(folder_id=folder_id, identifier=identifier, rights=rights)
            )

    # Quota

    def usage(self, conn: Connection, owner: str) -> tuple[int, int, int | None]:
        """Octets and messages in all folders of the owner, and its own limit of octets, if any."""
        folders, owners = self._tables.folders, self._tables.owners
        query = (
            select(
                func.coalesce(func.sum(folders.c.octets), 0),
                func.coalesce(func.sum(folders.c.messages), 0),
                owners.c.quota,
            )
            .outerjoin(folders, folders.c.owner_id == owners.c.id)
            .where(owners.c.owner == owner)
            .group_by(owners.c.id, owners.c.quota)
        )
        row = conn.execute(query).first()
        return (0, 0, None) if row is None else (int(row[0]), int(row[1]), row[2])

    def own_limit(self, conn: Connection, owner: str) -> int | None:
        """The owner's own limit of octets, if it has one."""
        limit: int | None = self._quota.scalar(conn, {"owner": owner})
        return limit

    def limit(self, conn: Connection, owner: str, octets: int | None) -> None:
        """Set the owner's own limit; None: as the office has it, 0: none."""
        owners = self._tables.owners
        conn.execute(update(owners).where(owners.c.owner == owner).values(quota=octets))

    def fullest(self, conn: Connection, general: int, part: float = 1.0) -> list[Fill]:
        """The mailboxes that have reached that part of their limit, the fullest first; `general` is
        the limit of those that have none of their own, 0: none."""
        folders, owners = self._tables.folders, self._tables.owners
        limit = func.coalesce(owners.c.quota, general)
        octets = func.coalesce(func.sum(folders.c.octets), 0)
        query = (
            select(owners.c.owner, octets.label("octets"), limit.label("most"))
            .join(folders, folders.c.owner_id == owners.c.id)
            .where(limit > 0)
            .group_by(owners.c.id, owners.c.owner, owners.c.quota)
            .having(octets >= limit * part)
        )
        found = [Fill(row.owner, int(row.octets), int(row.most)) for row in conn.execute(query)]
        return sorted(found, key=lambda one: (-one.octets / one.limit, one.owner))

    def _hold_owner(self, conn: Connection, owner: str, now: datetime) -> tuple[int, int]:
        """Lock the owner; its id and a UIDVALIDITY that no folder of theirs has had."""
        owners = self._tables.owners
        row = conn.execute(
            select(owners.c.id, owners.c.uidvalidity)
            .where(owners.c.owner == owner)
            .with_for_update()
        ).first()
        if row is None:
            raise NoSuchFolder(f"there is no mailbox {owner}")
        uidvalidity = max(int(now.timestamp()), row.uidvalidity + 1)
        conn.execute(update(owners).where(owners.c.id == row.id).values(uidvalidity=uidvalidity))
        return int(row.id), uidvalidity


def checked_name(name: str) -> str:
    """The spelling under which a folder is kept. Raises ValueError with a sentence."""
    name = name.removesuffix("/")
    if len(name) > MAX_NAME or name.count("/") >= MAX_LEVELS:
        raise ValueError(f"a folder's name has at most {MAX_NAME} letters and {MAX_LEVELS} levels")
    try:
        return folder_name(name)
    except ValueError:
        raise ValueError(
            "a folder's name has no empty levels, no blanks at their ends, no control characters"
        ) from None


def _node(row: Mapping[str, object] | object) -> Node:
    return Node(*(getattr(row, name) for name in Node.__slots__))


def by_name(nodes: Sequence[Node]) -> dict[str, Node]:
    """The nodes by their names."""
    return {node.name: node for node in nodes}
