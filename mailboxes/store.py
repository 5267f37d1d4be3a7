"""Messages in folders, as rows: UIDs, flags, modification sequences, and their octets.

Every method takes the caller's connection, so that its rows join the caller's transaction. What
changes a folder locks the folder's row first, folders in id order. `actor` is the login of a person
who acts through a mail client: then, and only then, the events are told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Exists, delete, exists, insert, select, update

from mailboxes import flags as flag_text
from mailboxes.content import Content, OpenBlob
from mailboxes.events import Act, MailboxEvents, NoEvents
from mailboxes.prepared import Prepared
from mailboxes.reading import MessageReader, gone
from mailboxes.rows import Appended, Folder, FolderSpec, Located, MessageRow, milliseconds
from mailboxes.tables import Tables

__all__ = ["Appended", "Folder", "FolderSpec", "Located", "MailboxStore", "MessageRow"]

_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Held:
    """A message as it stands while its folder is locked."""

    id: int
    folder_id: int
    content_id: int
    uid: int
    flags: str
    arrived: int
    opened: int | None
    handed_over: int | None
    locked: dict[int, tuple[int, int]]  # uidnext and modseq of each locked folder

    def next_uid(self, folder_id: int) -> int:
        """The UID that a message put into that folder gets."""
        return self.locked[folder_id][0]

    def next_modseq(self, folder_id: int) -> int:
        """The modification sequence of a change in that folder."""
        return self.locked[folder_id][1] + 1


class MailboxStore(MessageReader):
    """The mailboxes of all owners."""

    def __init__(
        self, tables: Tables, open_blob: OpenBlob, events: MailboxEvents | None = None
    ) -> None:
        super().__init__(tables, open_blob)
        self._events = events if events is not None else NoEvents()
        self._insert_content = Prepared(insert(tables.contents).returning(tables.contents.c.id))
        self._insert_messages = insert(tables.messages).returning(
            tables.messages.c.id, tables.messages.c.folder_id
        )
        self._insert_message = Prepared(self._insert_messages)

    def add_content(self, conn: Connection, content: Content, now: datetime) -> int:
        """Store a content; its id."""
        source, view = content.source, content.source.view
        values = {
            "key": content.key,
            "kind": content.kind,
            "blob": source.blob,
            "prefix": view.prefix if view is not None else None,
            "size_original": view.size_original if view is not None else 0,
            "cuts": json.dumps(view.cuts if view is not None else []),
            "octets": source.octets if view is None else None,
            "size": content.size,
            "digest": content.digest,
            "structure": content.structure,
            "envelope": content.envelope,
            "bodystructure": content.bodystructure,
            "created": milliseconds(now),
        }
        return int(self._insert_content.scalar(conn, values))

    def append(
        self, conn: Connection, folder_ids: Sequence[int], content_id: int,
        *, flags: Sequence[str] = (), now: datetime, actor: str = "",
    ) -> list[Appended]:  # fmt: skip
        """Put a content into folders, once into each; a handful of statements however many.

        Raises NoSuchFolder if one of them does not exist, ValueError for what is no flag.
        """
        locked = self._take_uids(conn, folder_ids)
        if not locked:
            return []
        stored = flag_text.joined(flags)
        given = [
            {
                "folder_id": folder_id,
                "content_id": content_id,
                "uid": uidnext,
                "modseq": modseq + 1,
                "flags": stored,
                "seen": flag_text.SEEN in flag_text.parted(stored),
                "arrived": milliseconds(now),
            }
            for folder_id, (uidnext, modseq) in locked.items()
        ]
        if len(given) == 1:
            made = self._insert_message.all(conn, given[0])
        else:
            made = list(conn.execute(self._insert_messages, given))
        ids = {row.folder_id: row.id for row in made}
        result = [
            Appended(folder_id, ids[folder_id], uidnext, modseq + 1)
            for folder_id, (uidnext, modseq) in locked.items()
        ]
        if actor:
            for one in result:
                held = self._hold(conn, one.message_id)
                self._events.appended(conn, self._act(conn, held, actor, now))
        return result

    def flag(
        self, conn: Connection, message_id: int, add: Sequence[str], remove: Sequence[str],
        *, now: datetime, actor: str = "",
    ) -> tuple[str, ...]:  # fmt: skip
        """Change flags; the flags afterwards. Raises NoSuchMessage, ValueError, Veto."""
        held = self._hold(conn, message_id)
        before, stored = flag_text.parted(held.flags), flag_text.changed(held.flags, add, remove)
        after = flag_text.parted(stored)
        if after == before:
            return before
        self._advance(conn, [held.folder_id], uids=0)
        self._change(
            conn, held, flags=stored, seen=flag_text.SEEN in after,
            modseq=held.next_modseq(held.folder_id),
        )  # fmt: skip
        if actor:
            added = tuple(flag for flag in after if flag not in before)
            removed = tuple(flag for flag in before if flag not in after)
            act = self._act(conn, held, actor, now)
            if flag_text.SEEN in added and held.opened is None:
                self._change(conn, held, opened=milliseconds(now))
                self._events.opened(conn, act)
            self._events.flagged(conn, act, added, removed)
        return after

    def hand_over(self, conn: Connection, message_id: int, *, now: datetime, actor: str) -> None:
        """A client has fetched all of it; told the first time only. Raises NoSuchMessage, Veto."""
        held = self._hold(conn, message_id)
        if held.handed_over is None:
            self._change(conn, held, handed_over=milliseconds(now))
            self._events.handed_over(conn, self._act(conn, held, actor, now))

    def expunge(self, conn: Connection, message_id: int, *, now: datetime, actor: str = "") -> None:
        """Remove the message; its UID stays known as gone. Raises NoSuchMessage, Veto."""
        held = self._hold(conn, message_id)
        self._advance(conn, [held.folder_id], uids=0)
        self._bury(conn, held)
        table = self._tables.messages
        conn.execute(delete(table).where(table.c.id == message_id))
        if actor:
            self._events.expunged(conn, self._act(conn, held, actor, now))

    def move(
        self, conn: Connection, message_id: int, folder_id: int, *, now: datetime, actor: str = ""
    ) -> Appended:
        """Move to a folder (RFC 6851); the message keeps its id and gets a new UID.

        Raises NoSuchMessage, NoSuchFolder, Veto.
        """
        held = self._hold(conn, message_id, folder_id)
        if held.folder_id != folder_id:
            self._advance(conn, [held.folder_id], uids=0)
        self._advance(conn, [folder_id], uids=1)
        self._bury(conn, held)
        moved = Appended(
            folder_id, message_id, held.next_uid(folder_id), held.next_modseq(folder_id)
        )
        self._change(conn, held, folder_id=folder_id, uid=moved.uid, modseq=moved.modseq)
        if actor:
            act = self._act(conn, held, actor, now)
            self._events.moved(conn, act, self._place(conn, folder_id)[1])
        return moved

    def copy(
        self, conn: Connection, message_id: int, folder_id: int, *, now: datetime, actor: str = ""
    ) -> Appended:
        """Copy into a folder, with flags and date. Raises NoSuchMessage, NoSuchFolder, Veto."""
        held = self._hold(conn, message_id, folder_id)
        self._advance(conn, [folder_id], uids=1)
        table = self._tables.messages
        values = {
            "folder_id": folder_id,
            "content_id": held.content_id,
            "uid": held.next_uid(folder_id),
            "modseq": held.next_modseq(folder_id),
            "flags": held.flags,
            "seen": flag_text.SEEN in flag_text.parted(held.flags),
            "arrived": held.arrived,
            "opened": held.opened,
            "handed_over": held.handed_over,
        }
        made = int(conn.execute(insert(table).values(values).returning(table.c.id)).scalar_one())
        if actor:
            act = self._act(conn, held, actor, now)
            self._events.copied(conn, act, self._place(conn, folder_id)[1], made)
        return Appended(folder_id, made, held.next_uid(folder_id), held.next_modseq(folder_id))

    def unshown(self, conn: Connection, *, limit: int = 1000) -> list[int]:
        """Contents that no message shows any more, at most `limit`."""
        contents = self._tables.contents
        return list(conn.scalars(select(contents.c.id).where(~self._is_shown()).limit(limit)))

    def sweep(self, conn: Connection, content_ids: Sequence[int]) -> int:
        """Forget those of the contents that no message shows; how many."""
        contents = self._tables.contents
        gone = delete(contents).where(contents.c.id.in_(content_ids), ~self._is_shown())
        return conn.execute(gone).rowcount

    def _is_shown(self) -> Exists:
        contents, messages = self._tables.contents, self._tables.messages
        return exists().where(messages.c.content_id == contents.c.id)

    def _hold(self, conn: Connection, message_id: int, *folder_ids: int) -> _Held:
        """The message, with its folder and those folders locked in id order."""
        table = self._tables.messages
        query = select(table).where(table.c.id == message_id)
        for _ in range(_TRIES):
            row = conn.execute(query).first()
            if row is None:
                break
            locked = self._lock(conn, [row.folder_id, *folder_ids])
            held = conn.execute(query.with_for_update()).first()
            if held is not None and held.folder_id == row.folder_id:
                return _Held(
                    id=held.id, folder_id=held.folder_id, content_id=held.content_id,
                    uid=held.uid, flags=held.flags, arrived=held.arrived, opened=held.opened,
                    handed_over=held.handed_over, locked=locked,
                )  # fmt: skip
            # Somebody moved it between the two reads; the lock on its new folder comes next.
        raise gone(message_id)

    def _change(self, conn: Connection, held: _Held, **values: int | str | bool) -> None:
        table = self._tables.messages
        conn.execute(update(table).where(table.c.id == held.id).values(values))

    def _bury(self, conn: Connection, held: _Held) -> None:
        contents = self._tables.contents
        query = select(contents.c.key, contents.c.kind).where(contents.c.id == held.content_id)
        content = conn.execute(query).one()
        values = {
            "folder_id": held.folder_id,
            "uid": held.uid,
            "modseq": held.next_modseq(held.folder_id),
            "key": content.key,
            "kind": content.kind,
        }
        conn.execute(insert(self._tables.expunged).values(values))

    def _place(self, conn: Connection, folder_id: int) -> tuple[str, str]:
        folders, owners = self._tables.folders, self._tables.owners
        query = select(owners.c.owner, folders.c.name).join(
            folders, folders.c.owner_id == owners.c.id
        )
        row = conn.execute(query.where(folders.c.id == folder_id)).one()
        return row.owner, row.name

    def _act(self, conn: Connection, held: _Held, actor: str, now: datetime) -> Act:
        contents = self._tables.contents
        owner, folder = self._place(conn, held.folder_id)
        key = conn.scalar(select(contents.c.key).where(contents.c.id == held.content_id))
        return Act(actor, owner, folder, held.id, held.content_id, str(key), now)
