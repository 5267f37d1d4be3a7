"""Messages in folders, as rows: UIDs, flags, modification sequences, and their octets.

Every method takes the caller's connection, so that its rows join the caller's transaction. What
changes a folder locks the folder's row first, folders in id order. `by` is the person who acts
through a mail client: then, and only then, the events are told, and \\Seen is that person's own.

A change takes the messages that it is about by id, together with the folder where the caller saw
them; those that are not there any more are left out, and the result says which were changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from mailboxes import flags as flag_text
from mailboxes.content import Content, OpenBlob
from mailboxes.events import MailboxEvents, Person
from mailboxes.folders import chunks
from mailboxes.held import SOME, HeldRows, act_of, shown
from mailboxes.prepared import Prepared
from mailboxes.rows import (
    Appended,
    Flagged,
    Folder,
    FolderSpec,
    Located,
    MessageRow,
    Moved,
    milliseconds,
)
from mailboxes.tables import Tables

__all__ = [
    "Appended", "Flagged", "Folder", "FolderSpec", "Located", "MailboxStore", "MessageRow", "Moved",
]  # fmt: skip


Allowed = Callable[[str], bool]


def _any_flag(_flag: str) -> bool:
    return True


class _Turned(NamedTuple):
    """What a change of flags makes of one list of them."""

    after: tuple[str, ...]
    differs: bool
    is_seen: bool
    turns_seen: bool
    base: tuple[str, bool]  # as the message has them, with its own \\Seen


class MailboxStore(HeldRows):
    """The mailboxes of all owners."""

    def __init__(
        self, tables: Tables, open_blob: OpenBlob, events: MailboxEvents | None = None
    ) -> None:
        super().__init__(tables, open_blob, events)
        self._insert_content = Prepared(insert(tables.contents).returning(tables.contents.c.id))
        self._insert_messages = insert(tables.messages).returning(
            tables.messages.c.id, tables.messages.c.folder_id
        )
        self._insert_message = Prepared(self._insert_messages)
        messages, contents = tables.messages, tables.contents
        these = messages.c.id.in_(SOME)
        self._same = Prepared(
            select(contents.c.id)
            .where(contents.c.digest == bindparam("digest"), contents.c.size == bindparam("size"))
            .order_by(contents.c.id)
            .limit(1)
        )
        self._key_of = Prepared(select(contents.c.key).where(contents.c.id == bindparam("content")))
        self._behind = Prepared(
            select(messages.c.id)
            .where(messages.c.folder_id == bindparam("folder"), messages.c.uid >= bindparam("uid"))
            .order_by(messages.c.uid)
        )
        self._reflag = Prepared(
            update(messages)
            .where(these)
            .values(
                flags=bindparam("new_flags"),
                seen=bindparam("new_seen"),
                modseq=bindparam("new_modseq"),
            ),
            some="some",
        )

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
            "header": content.header or None,
        }
        return int(self._insert_content.scalar(conn, values))

    def find_content(self, conn: Connection, content: Content) -> int | None:
        """The id of a content with the same octets, the oldest if there are several."""
        found: int | None = self._same.scalar(
            conn, {"digest": content.digest, "size": content.size}
        )
        return found

    def append(
        self, conn: Connection, folder_ids: Sequence[int], content_id: int,
        *, flags: Sequence[str] = (), now: datetime, arrived: datetime | None = None,
        by: Person | None = None,
    ) -> list[Appended]:  # fmt: skip
        """Put a content into folders, once into each; a handful of statements however many.

        \\Seen is for all accounts here: what somebody files is no new mail. Raises NoSuchFolder if
        one of them does not exist, ValueError for what is no flag.
        """
        stored = flag_text.joined(flags)
        if by is not None and self._events.wants_locks:
            self._events.lock(conn, [self._key_of.scalar(conn, {"content": content_id})])
        locked = self._take_uids(conn, folder_ids, content_id)
        if not locked:
            return []
        given = [
            {
                "folder_id": folder_id,
                "content_id": content_id,
                "uid": uidnext,
                "modseq": modseq + 1,
                "flags": stored,
                "seen": flag_text.SEEN in flag_text.parted(stored),
                "arrived": milliseconds(arrived or now),
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
        if by is not None:
            for one in result:
                place = self._place(conn, one.folder_id)
                for row in self._rows_of(conn, one.folder_id, [one.message_id], by):
                    self._events.appended(conn, act_of(row, place, by, now))
        return result

    def flag(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int],
        *, add: Sequence[str] = (), remove: Sequence[str] = (),
        replace: Sequence[str] | None = None, fixed: Callable[[str], bool] | None = None,
        unchanged_since: int | None = None, now: datetime, by: Person | None = None,
        unasked: bool = False,
    ) -> Flagged:  # fmt: skip
        """Change flags of messages; `replace` are all flags that they have afterwards, beside those
        that they have and that are `fixed`.

        `unasked`: a program does it by itself; nobody has opened anything, so no event is told.

        Messages that changed after the modification sequence `unchanged_since` are left alone and
        named. Raises NoSuchFolder, ValueError for what is no flag, Veto.
        """
        reading = any(flag.lower() == flag_text.SEEN.lower() for flag in (*add, *(replace or ())))
        locked = self._lock_for(conn, [folder_id], message_ids, by if reading else None)
        rows = self._rows_of(conn, folder_id, message_ids, by)
        failed = [
            row.uid for row in rows if unchanged_since is not None and row.modseq > unchanged_since
        ]
        if unchanged_since is not None:
            rows = [row for row in rows if row.modseq <= unchanged_since]
        modseq = locked[folder_id][1] + 1

        @cache  # few lists of flags, and many messages that have them
        def turned(before: str, seen: bool) -> _Turned:
            if replace is None:
                stored = flag_text.changed(before, add, remove)
            else:
                kept = [flag for flag in flag_text.parted(before) if fixed and fixed(flag)]
                stored = flag_text.joined([*replace, *kept])
            after = flag_text.parted(stored)
            is_seen = flag_text.SEEN in after
            # Of a person the message's own \Seen stays, the account's is beside it.
            base_seen = is_seen if by is None else seen
            return _Turned(
                after, stored != before, is_seen, is_seen != (flag_text.SEEN in before.split()),
                (flag_text.with_seen(after, base_seen), base_seen),
            )  # fmt: skip

        changes: dict[tuple[str, bool], list[int]] = {}
        own: list[dict[str, object]] = []
        result: dict[int, tuple[str, ...]] = {}
        changed: list[int] = []
        read: list[Row[Any]] = []  # by this account for the first time
        for row in rows:
            turn = turned(shown(row), row.seen)
            result[row.id] = turn.after
            if not turn.differs:
                continue
            changed.append(row.id)
            changes.setdefault(turn.base, []).append(row.id)
            if by is not None and turn.turns_seen:
                own.append({"message_id": row.id, "account": by.login, "seen": turn.is_seen})
                if turn.is_seen and row.own is None:
                    read.append(row)
        if not changed:
            return Flagged(locked[folder_id][1], result, failed, ())
        self._advance(conn, [folder_id])
        for (flags, seen), ids in changes.items():
            values = {"new_flags": flags, "new_seen": seen, "new_modseq": modseq}
            for some in chunks(ids):
                self._reflag.run(conn, {**values, "some": some})
        self._set_seen(conn, own)
        if by is not None and not unasked:
            self._tell_opened(conn, folder_id, read, by, now)
        return Flagged(modseq, result, failed, tuple(changed))

    def hand_over(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int],
        *, now: datetime, by: Person,
    ) -> None:  # fmt: skip
        """A client has fetched all of them; told the first time only. Raises NoSuchFolder, Veto."""
        self._lock_for(conn, [folder_id], message_ids, by)
        rows = [
            row for row in self._rows_of(conn, folder_id, message_ids, by)
            if row.handed_over is None
        ]  # fmt: skip
        table = self._tables.messages
        for some in chunks([row.id for row in rows]):
            values = {"handed_over": milliseconds(now)}
            conn.execute(update(table).where(table.c.id.in_(some)).values(values))
        place = self._place(conn, folder_id)
        for row in rows:
            self._events.handed_over(conn, act_of(row, place, by, now))

    def expunge(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int],
        *, now: datetime, by: Person | None = None, marked: bool = False,
    ) -> list[int]:  # fmt: skip
        """Remove messages; their UIDs, which stay known as gone. `marked`: only those that are
        still \\Deleted. Raises NoSuchFolder, Veto."""
        locked = self._lock_for(conn, [folder_id], message_ids, by)
        rows = self._rows_of(conn, folder_id, message_ids, by)
        if marked:
            rows = [row for row in rows if flag_text.DELETED in flag_text.parted(row.flags)]
        if not rows:
            return []
        self._bury(conn, rows, locked[folder_id][1] + 1)
        self._advance(conn, [folder_id], messages=-len(rows), octets=-sum(r.size for r in rows))
        table = self._tables.messages
        for some in chunks([row.id for row in rows]):
            conn.execute(delete(table).where(table.c.id.in_(some)))
        if by is not None:
            place = self._place(conn, folder_id)
            for row in rows:
                self._events.expunged(conn, act_of(row, place, by, now))
        return [row.uid for row in rows]

    def move(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int], target_id: int,
        *, now: datetime, by: Person | None = None, allowed: Allowed = _any_flag,
    ) -> list[Moved]:  # fmt: skip
        """Move to a folder (RFC 6851), with those flags that are `allowed` there; a message keeps
        its id and gets a new UID.

        Raises NoSuchFolder, Veto.
        """
        locked = self._lock_for(conn, [folder_id, target_id], message_ids, by)
        rows = self._rows_of(conn, folder_id, message_ids, by)
        if not rows:
            return []
        octets = sum(row.size for row in rows)
        uidnext, modseq = locked[target_id][0], locked[target_id][1] + 1
        self._bury(conn, rows, locked[folder_id][1] + 1)
        if folder_id == target_id:
            self._advance(conn, [target_id], uids=len(rows))
        else:
            self._advance(conn, [folder_id], messages=-len(rows), octets=-octets)
            self._advance(conn, [target_id], uids=len(rows), messages=len(rows), octets=octets)
        table = self._tables.messages
        moved = [
            Moved(row.uid, Appended(target_id, row.id, uidnext + number, modseq))
            for number, row in enumerate(rows)
        ]
        to = update(table).where(table.c.id == bindparam("which"))
        conn.execute(
            to.values(folder_id=target_id, uid=bindparam("new"), modseq=modseq),
            [{"which": one.to.message_id, "new": one.to.uid} for one in moved],
        )
        for row in rows:
            flags = _allowed_flags(row, allowed)
            if flags != row.flags:
                conn.execute(update(table).where(table.c.id == row.id).values(flags=flags))
        if by is not None:
            place, target = self._place(conn, folder_id), self._place(conn, target_id)
            for row in rows:
                self._events.moved(conn, act_of(row, place, by, now), *target)
        return moved

    def copy(
        self, conn: Connection, folder_id: int, message_ids: Sequence[int], target_id: int,
        *, now: datetime, by: Person | None = None, allowed: Allowed = _any_flag,
    ) -> list[Moved]:  # fmt: skip
        """Copy into a folder, with those flags that are `allowed` there, date and each account's
        \\Seen.

        Raises NoSuchFolder, Veto.
        """
        locked = self._lock_for(conn, [folder_id, target_id], message_ids, by)
        rows = self._rows_of(conn, folder_id, message_ids, by)
        if not rows:
            return []
        uidnext, modseq = locked[target_id][0], locked[target_id][1] + 1
        self._advance(
            conn, [target_id],
            uids=len(rows), messages=len(rows), octets=sum(row.size for row in rows),
        )  # fmt: skip
        table = self._tables.messages
        values = [
            {
                "folder_id": target_id, "content_id": row.content_id, "uid": uidnext + number,
                "modseq": modseq, "flags": _allowed_flags(row, allowed), "seen": row.seen,
                "arrived": row.arrived, "opened": row.opened, "handed_over": row.handed_over,
            }
            for number, row in enumerate(rows)
        ]  # fmt: skip
        conn.execute(insert(table), values)
        made = self._behind.scalars(conn, {"folder": target_id, "uid": uidnext})
        copied = [
            Moved(row.uid, Appended(target_id, int(copy_id), uidnext + number, modseq))
            for number, (row, copy_id) in enumerate(zip(rows, made, strict=True))
        ]
        self._copy_seen(
            conn, {row.id: one.to.message_id for row, one in zip(rows, copied, strict=True)}
        )
        if by is not None:
            place, target = self._place(conn, folder_id), self._place(conn, target_id)
            for row, one in zip(rows, copied, strict=True):
                act = act_of(row, place, by, now)
                self._events.copied(conn, act, *target, one.to.message_id)
        return copied

    def unshown(self, conn: Connection, *, limit: int = 1000) -> list[int]:
        """Contents that no message shows any more and that may be swept, at most `limit`."""
        contents = self._tables.contents
        return list(conn.scalars(select(contents.c.id).where(*self._may_go()).limit(limit)))

    def sweep(self, conn: Connection, content_ids: Sequence[int]) -> int:
        """Forget those of the contents that no message shows; how many."""
        contents = self._tables.contents
        gone = delete(contents).where(contents.c.id.in_(content_ids), *self._may_go())
        return conn.execute(gone).rowcount

    def _may_go(self) -> tuple[ColumnElement[bool], ...]:
        """No message shows it, and it is not the newest: SQLite would give that one's id again, and
        what is remembered of a content by its id would be shown as another's."""
        contents, messages = self._tables.contents, self._tables.messages
        newest = select(func.max(contents.c.id)).scalar_subquery()
        return ~exists().where(messages.c.content_id == contents.c.id), contents.c.id < newest


def _allowed_flags(row: Row[Any], allowed: Allowed) -> str:
    """What is stored of its flags; \\Seen is the accounts' own matter."""
    flags = flag_text.parted(row.flags)
    return flag_text.joined(one for one in flags if one == flag_text.SEEN or allowed(one))
