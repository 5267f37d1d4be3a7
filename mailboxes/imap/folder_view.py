"""What this process knows of a folder's messages, shared by all its clients, and brought up to date
from the rows by modification sequence.

It is a cache and nothing more: truth is in the rows, so any number of processes may serve a folder.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select

from mailboxes.errors import NoSuchFolder
from mailboxes.flags import parted, with_seen
from mailboxes.folders import is_there
from mailboxes.imap.ports import Database
from mailboxes.prepared import Prepared
from mailboxes.tables import Tables

_KEPT_ROWS = 300_000  # of folders that nobody has open
_LOG = 256  # changes that are remembered one by one
_AT_ONCE = 256  # messages whose news are read while others wait


class Row(NamedTuple):
    """A message: what IMAP asks for most."""

    id: int
    content_id: int
    uid: int
    modseq: int
    flags: str  # stored form; \\Seen as for who has none of their own
    seen: bool
    arrived: int  # Unix milliseconds
    size: int
    handed: bool  # when this row was read a client had had all of it, or nobody wants to know


class State(NamedTuple):
    """A folder's row."""

    uidvalidity: int
    uidnext: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one refresh brought."""

    before: int  # modification sequence that was known
    changed: tuple[int, ...]  # UIDs, new ones too
    removed: tuple[int, ...]  # UIDs


@dataclass(slots=True)
class _News:
    state: State
    rows: Sequence[Row]
    removed: Sequence[int]
    own: dict[str, list[tuple[int, bool]]]  # account -> UID, seen


@dataclass(eq=False)
class FolderView:
    """One folder. `uids` is never changed in place: a client keeps it as its numbering."""

    folder_id: int
    state: State = field(default_factory=lambda: State(0, 1, 0))
    uids: array[int] = field(default_factory=lambda: array("I"))
    rows: dict[int, Row] = field(default_factory=dict)  # by UID
    own: dict[str, dict[int, bool]] = field(default_factory=dict)  # account -> UID -> \\Seen
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # see `_count`
    users: int = 0
    claimed: int = 0  # the UID up to which a client of this process was told of \\Recent
    gone: bool = False  # the folder was removed
    log: deque[Change] = field(default_factory=lambda: deque(maxlen=_LOG))
    handed: set[int] = field(default_factory=set)  # UIDs, since then
    keywords: dict[str, None] = field(default_factory=dict)  # all there ever were, in order
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def flags(self, uid: int, account: str) -> str:
        """The message's flags as the account sees them, in their stored form."""
        row = self.rows[uid]
        own = self.own.get(account)
        seen = own.get(uid, row.seen) if own else row.seen
        return row.flags if seen == row.seen else with_seen(parted(row.flags), seen)

    def is_seen(self, uid: int, account: str) -> bool:
        """Whether the account has read it."""
        own = self.own.get(account)
        row = self.rows[uid]
        return own.get(uid, row.seen) if own else row.seen

    def first_unseen(self, account: str) -> int:
        """The number of the first message that the account has not read; 0: it has read all."""
        return self._count(account)[2]

    def unseen(self, account: str) -> int:
        """How many messages the account has not read."""
        return self._count(account)[1]

    def _count(self, account: str) -> tuple[int, int, int]:
        """For which state, how many unread ones, and the number of the first."""
        known = self.counts.get(account)
        if known is None or known[0] != self.state.modseq:
            own, rows = self.own.get(account, {}), self.rows
            unread = [uid for uid in self.uids if not own.get(uid, rows[uid].seen)]
            first = index(self.uids, unread[0]) + 1 if unread else 0
            known = self.counts[account] = (self.state.modseq, len(unread), first)
        return known

    def deleted(self) -> int:
        """How many messages are marked \\Deleted."""
        return sum("\\Deleted" in row.flags for row in self.rows.values())

    def since(self, modseq: int) -> Change | None:
        """What has changed after that; None if that is not remembered any more."""
        changed: dict[int, None] = {}
        removed: dict[int, None] = {}
        if modseq >= self.state.modseq:
            return Change(modseq, (), ())
        if not self.log or self.log[0].before > modseq:
            return None
        for change in self.log:
            if change.before >= modseq:
                changed.update(dict.fromkeys(change.changed))
                removed.update(dict.fromkeys(change.removed))
        return Change(modseq, tuple(changed), tuple(removed))

    def touched(self, modseq: int) -> set[int] | None:
        """All UIDs that have changed after that, and perhaps some that have not; None if that is
        not remembered any more."""
        found: set[int] = set()
        if modseq >= self.state.modseq:
            return found
        if not self.log or self.log[0].before > modseq:
            return None
        for change in reversed(self.log):
            found.update(change.changed)
            if change.before <= modseq:  # those before it are older
                break
        return found

    def take(self, news: _News) -> None:
        """Make the news part of the view."""
        removed = [uid for uid in news.removed if self.rows.pop(uid, None) is not None]
        fresh = [row.uid for row in news.rows if row.uid not in self.rows]
        for row in news.rows:
            self.rows[row.uid] = row
            for flag in parted(row.flags):
                if not flag.startswith("\\") and flag not in self.keywords:
                    self.keywords[flag] = None
        for account, seen in news.own.items():
            if account in self.own:
                self.own[account].update(seen)
        if removed or fresh:
            if removed:
                dropped = set(removed)
                kept = array("I", [uid for uid in self.uids if uid not in dropped])
                for own in self.own.values():
                    for uid in removed:
                        own.pop(uid, None)
            else:
                kept = array("I", self.uids)
            kept.extend(sorted(fresh))
            self.uids = kept
        changed = tuple(row.uid for row in news.rows)
        self.log.append(Change(self.state.modseq, changed, tuple(removed)))
        self.state = news.state


class Views:
    """The views of this process."""

    def __init__(
        self, tables: Tables, database: Database, watched: Collection[str] | None = None
    ) -> None:
        """`watched`: kinds of contents of which somebody wants to know when they were handed over;
        None: all."""
        self._tables = tables
        self._database = database
        self._views: OrderedDict[int, FolderView] = OrderedDict()
        messages, contents, folders = tables.messages, tables.contents, tables.folders
        gone, seen = tables.expunged, tables.seen
        which = messages.c.folder_id == bindparam("folder")
        self._state = Prepared(
            select(folders.c.uidvalidity, folders.c.uidnext, folders.c.modseq).where(
                folders.c.id == bindparam("folder"), is_there(folders)
            )
        )
        handed: ColumnElement[bool] = messages.c.handed_over.is_not(None)
        if watched is not None:
            handed = or_(handed, contents.c.kind.not_in(watched))
        rows = select(
            messages.c.id, messages.c.content_id, messages.c.uid, messages.c.modseq,
            messages.c.flags, messages.c.seen, messages.c.arrived, contents.c.size,
            handed.label("handed"),
        ).join(contents, contents.c.id == messages.c.content_id)  # fmt: skip
        self._rows = rows.where(which)
        self._changed = Prepared(
            rows.where(which, messages.c.modseq > bindparam("since")).order_by(messages.c.uid)
        )
        self._removed = Prepared(
            select(gone.c.uid).where(
                gone.c.folder_id == bindparam("folder"), gone.c.modseq > bindparam("since")
            )
        )
        behind = [
            select(one.c.uid)
            .where(one.c.folder_id == bindparam("folder"), one.c.modseq > bindparam("since"))
            .limit(_AT_ONCE + 1)
            .subquery()
            for one in (messages, gone)
        ]
        self._counts = [Prepared(select(func.count()).select_from(one)) for one in behind]
        self._own = Prepared(
            select(messages.c.uid, seen.c.seen)
            .join(seen, seen.c.message_id == messages.c.id)
            .where(
                which,
                seen.c.account == bindparam("account"),
                messages.c.modseq > bindparam("since"),
            )
        )

    async def open(self, folder_id: int, account: str) -> FolderView:
        """The folder's view, up to date, with the account's own \\Seen; `close` gives it back.

        Raises NoSuchFolder, Unavailable.
        """
        view = self._views.get(folder_id)
        if view is None:
            view = self._views[folder_id] = FolderView(folder_id)
        self._views.move_to_end(folder_id)
        view.users += 1
        try:
            await self.refresh(view, account)
        except BaseException:
            self.close(view)
            raise
        return view

    def close(self, view: FolderView) -> None:
        """One client less has it open."""
        view.users -= 1
        spare = [one for one in self._views.values() if not one.users]
        kept = 0
        for one in reversed(spare):
            kept += len(one.rows) + 1
            if one.gone or kept > _KEPT_ROWS:
                self._views.pop(one.folder_id, None)

    async def refresh(self, view: FolderView, account: str = "") -> None:
        """Bring the view up to date; cheap if nothing has changed.

        Raises NoSuchFolder if the folder was removed, Unavailable.
        """
        # Whoever asks while another reads waits for that, and then looks himself: what he knows to
        # be written may be newer than what the other one saw.
        async with view.turn:
            known = not account or account in view.own
            if known and view.state.uidvalidity:
                state = await self._database.glance(lambda c: self._look(c, view))
                if state.modseq == view.state.modseq:
                    return
            wanted = [*view.own] if known else [*view.own, account]
            new = () if known else (account,)
            news = None
            if known and view.state.uidvalidity:
                news = await self._database.glance(
                    lambda c: self._news(c, view, wanted, new) if self._is_little(c, view) else None
                )
            if news is None:
                news = await self._database.read(lambda c: self._news(c, view, wanted, new))
            for name in new:
                view.own[name] = {}
            view.take(news)

    def _is_little(self, conn: Connection, view: FolderView) -> bool:
        """Whether so few messages have changed that a look at them delays nobody."""
        values = {"folder": view.folder_id, "since": view.state.modseq}
        return sum(int(one.scalar(conn, values)) for one in self._counts) <= _AT_ONCE

    def _look(self, conn: Connection, view: FolderView) -> State:
        row = self._state.first(conn, {"folder": view.folder_id})
        if row is None:
            view.gone = True
            raise NoSuchFolder("the folder does not exist any more")
        return State(*row)

    def _news(
        self, conn: Connection, view: FolderView, accounts: Iterable[str], new: Sequence[str]
    ) -> _News:
        state = self._look(conn, view)
        values = {"folder": view.folder_id, "since": view.state.modseq}
        rows: Sequence[Row]
        if not view.state.modseq:
            rows = sorted(
                (Row._make(row) for row in conn.execute(self._rows, values)),
                key=lambda row: row.uid,
            )
            removed: list[int] = []
        else:
            rows = [Row._make(row) for row in self._changed.all(conn, values)]
            removed = self._removed.scalars(conn, values)
        own = {
            account: [
                (row.uid, bool(row.seen))
                for row in self._own.all(
                    conn, {**values, "account": account, **({"since": 0} if account in new else {})}
                )
            ]
            for account in accounts
        }
        return _News(state, rows, removed, own)


def index(uids: array[int], uid: int) -> int:
    """Where the UID stands, or would stand."""
    return bisect_left(uids, uid)
