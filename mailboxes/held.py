"""The messages of a folder as a change needs them: locked, with the account's own \\Seen.

What `MailboxStore` is made of; nobody else needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from mailboxes import flags as flag_text
from mailboxes.content import OpenBlob
from mailboxes.errors import NoSuchFolder
from mailboxes.events import Act, MailboxEvents, NoEvents, Person
from mailboxes.folders import chunks
from mailboxes.prepared import Prepared
from mailboxes.reading import MessageReader
from mailboxes.rows import milliseconds, moment
from mailboxes.tables import Tables

SOME: BindParameter[Any] = bindparam("some", expanding=True)


class HeldRows(MessageReader):
    """Rows under their locks, and what hangs on a message: \\Seen of accounts, its grave."""

    def __init__(
        self, tables: Tables, open_blob: OpenBlob, events: MailboxEvents | None = None
    ) -> None:
        super().__init__(tables, open_blob)
        self._events = events if events is not None else NoEvents()
        messages, contents, seen = tables.messages, tables.contents, tables.seen
        folders, owners = tables.folders, tables.owners
        these = messages.c.id.in_(SOME)
        self._keys = Prepared(
            select(contents.c.key)
            .join(messages, messages.c.content_id == contents.c.id)
            .where(these)
            .distinct(),
            some="some",
        )
        self._held = Prepared(
            select(
                messages, seen.c.seen.label("own"), contents.c.key, contents.c.kind,
                contents.c.size,
            )
            .join(contents, contents.c.id == messages.c.content_id)
            .outerjoin(
                seen,
                and_(seen.c.message_id == messages.c.id, seen.c.account == bindparam("account")),
            )
            .where(these),
            some="some",
        )  # fmt: skip
        self._place_of = Prepared(
            select(owners.c.owner, folders.c.name)
            .join(folders, folders.c.owner_id == owners.c.id)
            .where(folders.c.id == bindparam("folder"))
        )

    def _lock_for(
        self,
        conn: Connection,
        folder_ids: Sequence[int],
        message_ids: Sequence[int],
        by: Person | None,
    ) -> dict[int, tuple[int, int]]:
        """Lock what a person's act is about, then the folders; uidnext and modseq of each."""
        if by is not None and self._events.wants_locks:
            keys: set[str] = set()
            for some in chunks(message_ids):
                keys.update(self._keys.scalars(conn, {"some": some}))
            self._events.lock(conn, sorted(keys))
        return self._lock(conn, folder_ids)

    def _rows_of(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int], by: Person | None
    ) -> list[Row[Any]]:
        """Those of the messages that are in the folder, by UID; `own` is the account's \\Seen."""
        found: list[Any] = []
        account = by.login if by is not None else ""
        for some in chunks(message_ids):
            found += self._held.all(conn, {"account": account, "some": some})
        # Looked at here: asked for both, SQLite takes the folder's index and reads all of it.
        return sorted((row for row in found if row.folder_id == folder_id), key=lambda row: row.uid)

    def _set_seen(self, conn: Connection, own: Sequence[Mapping[str, object]]) -> None:
        """Write accounts' own \\Seen, over what was written before."""
        if not own:
            return
        table = self._tables.seen
        account = own[0]["account"]
        for some in chunks([one["message_id"] for one in own]):
            conn.execute(
                delete(table).where(table.c.account == account, table.c.message_id.in_(some))
            )
        conn.execute(insert(table), list(own))

    def _copy_seen(self, conn: Connection, copies: Mapping[int, int]) -> None:
        table = self._tables.seen
        found: list[dict[str, object]] = []
        for some in chunks(list(copies)):
            rows = conn.execute(select(table).where(table.c.message_id.in_(some)))
            found.extend(
                {"message_id": copies[row.message_id], "account": row.account, "seen": row.seen}
                for row in rows
            )
        if found:
            conn.execute(insert(table), found)

    def _tell_opened(
        self, conn: Connection, folder_id: int, read: Sequence[Row[Any]], by: Person, now: datetime
    ) -> None:
        """Tell of messages that this account reads for the first time."""
        if not read:
            return
        place = self._place(conn, folder_id)
        for row in read:
            self._events.opened(conn, act_of(row, place, by, now))
        table = self._tables.messages
        for some in chunks([row.id for row in read if row.opened is None]):
            values = {"opened": milliseconds(now)}
            conn.execute(update(table).where(table.c.id.in_(some)).values(values))

    def _bury(self, conn: Connection, rows: Sequence[Row[Any]], modseq: int) -> None:
        values = [
            {"folder_id": row.folder_id, "uid": row.uid, "modseq": modseq, "key": row.key,
             "kind": row.kind}
            for row in rows
        ]  # fmt: skip
        conn.execute(insert(self._tables.expunged), values)

    def _place(self, conn: Connection, folder_id: int) -> tuple[str, str]:
        """Owner and name of a folder."""
        row = self._place_of.first(conn, {"folder": folder_id})
        if row is None:
            raise NoSuchFolder("a folder does not exist any more")
        return row.owner, row.name


def act_of(row: Row[Any], place: tuple[str, str], by: Person, now: datetime) -> Act:
    """What a person has done with a message."""
    owner, folder = place
    return Act(
            by=by, owner=owner, folder=folder, message_id=row.id, content_id=row.content_id,
            key=row.key, kind=row.kind, arrived=moment(row.arrived),
            handed_over=None if row.handed_over is None else moment(row.handed_over), at=now,
        )  # fmt: skip


def shown(row: Row[Any]) -> str:
    """The flags as the account sees them, in the stored form."""
    if row.own is None or row.own == row.seen:
        return str(row.flags)
    return flag_text.with_seen(flag_text.parted(row.flags), row.own)
