"""FETCH (RFC 3501, 6.4.5; RFC 7162, RFC 3516, RFC 8474).

What depends on a content alone is remembered. Messages are taken in runs: one reading of the
database for each, in a thread, and between two runs others have their turn. What is long is
streamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from mailboxes.imap import output
from mailboxes.imap.done import Done
from mailboxes.imap.folder_view import Row
from mailboxes.imap.grammar import Grammar
from mailboxes.imap.lines import ITEMS, Lines
from mailboxes.imap.loading import OCTETS
from mailboxes.imap.ports import FEW, Refusal
from mailboxes.imap.rendering import Answer, Stream, label_of, needs_of, render
from mailboxes.imap.syntax import FetchItem, FetchQuery, NumberSet, chosen, numbers_text
from mailboxes.wire import Gone

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

log = structlog.get_logger("imap")

_FIRST_RUN, _RUN = 32, 256  # messages
_RUN_OCTETS = 4_194_304  # of messages that are read whole in one run
_STEP = 500  # messages in one transaction
_LINES = 1000  # of what is in memory: messages in one run
_Maker = Callable[[Row], bytes] | int


async def fetch(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """FETCH"""
    grammar.space()
    numbers = grammar.numbers()
    grammar.space()
    query = grammar.fetch_query()
    grammar.end()
    selected = session.selected
    items = list(dict.fromkeys(query.items))
    if query.changed_since is not None or any(item.name == "MODSEQ" for item in items):
        session.enable_condstore()
    if query.changed_since is None:
        uids = selected.pick(numbers, uid=uid)
    else:
        uids = await _changed(session, query, numbers, uid=uid)
        if not any(item.name == "MODSEQ" for item in items):
            items.append(FetchItem("MODSEQ", peek=True))
    if uid and not any(item.name == "UID" for item in items):
        items.insert(0, FetchItem("UID", peek=True))
    fresh = await _mark_seen(session, uids) if not all(one.peek for one in items) else set()
    lost = await _Fetcher(session, items, fresh).run(uids)
    if lost:
        return Done("Fetched, but some messages were removed meanwhile", "EXPUNGEISSUED")
    return Done("Fetched")


async def _changed(
    session: Session, query: FetchQuery, numbers: NumberSet, *, uid: bool
) -> list[int]:
    """Those that have changed; what has vanished is told, if that was asked for."""
    selected, since = session.selected, query.changed_since or 0
    view = selected.view
    touched = view.touched(since)
    uids = selected.pick_of(view.rows if touched is None else touched, numbers, uid=uid)
    if query.vanished:
        if not (uid and session.state.qresync):
            raise Refusal("VANISHED needs UID FETCH and QRESYNC", code="BAD")
        gone = await session.services.database.read(
            lambda c: session.services.store.expunged(c, selected.folder_id, since)
        )
        asked = numbers.bounded(selected.view.state.uidnext)
        removed = chosen({uid for uid, _ in gone}.difference(selected.uids), asked)
        if removed:
            text = numbers_text(removed)
            session.write(b"* VANISHED (EARLIER) %s\r\n" % text.encode("ascii"))
    rows = view.rows
    return [one for one in uids if one in rows and rows[one].modseq > since]


async def _mark_seen(session: Session, uids: Sequence[int]) -> set[int]:
    """Set \\Seen where it is missing; the UIDs of those messages."""
    services, selected, person = session.services, session.selected, session.account.person
    if not selected.may("s"):
        return set()
    view = selected.view
    fresh = [one for one in uids if one in view.rows and not view.is_seen(one, selected.account)]
    for start in range(0, len(fresh), _STEP):
        ids = [view.rows[one].id for one in fresh[start : start + _STEP] if one in view.rows]
        now = services.now()
        await services.database.write(
            lambda c, ids=ids, now=now: services.store.flag(  # type: ignore[misc]
                c, selected.folder_id, ids, add=("\\Seen",), now=now, by=person
            ),
            long=len(ids) > FEW,
        )
    if fresh:
        await session.tell(expunges=False, told=set(fresh))
    return set(fresh)


class _Fetcher:
    """One FETCH."""

    def __init__(self, session: Session, items: Sequence[FetchItem], fresh: set[int]) -> None:
        """`fresh` are UIDs whose \\Seen was just set, so that their flags are told."""
        self._session = session
        self._services = session.services
        self._selected = session.selected
        self._fresh = fresh
        self._makers = self._compile(items)
        self._tells_flags = any(item.name == "FLAGS" for item in items)
        self._contents = [item for item in items if item.name not in ITEMS]
        zone = session.services.zone
        self._lines = None if self._contents else Lines(self._selected, items, zone)
        self._needs = frozenset[str]().union(*map(needs_of, self._contents))
        self._bodies = sum(_is_body(item) for item in self._contents)
        self._names = [
            f"{label_of(item).decode('latin-1')}{item.partial}" for item in self._contents
        ]
        self._wholes = [item for item in self._contents if _may_be_whole(item)]
        self._handed: dict[int, int] = {}  # UID -> message id

    async def run(self, uids: Sequence[int]) -> int:
        """Answer for all messages; how many are gone."""
        if self._lines is not None:
            return await self._run_lines(self._lines, uids)
        position, lost, most = 0, 0, _FIRST_RUN
        while position < len(uids):
            rows: list[Row] = []
            octets = 0
            while position < len(uids) and len(rows) < most and octets < _RUN_OCTETS:
                row = self._selected.row(uids[position])
                position += 1
                if row is None:
                    lost += 1
                    continue
                rows.append(row)
                octets += row.size * self._bodies
            lost += await self._some(rows)
            most = _RUN
        await self._hand_over()
        return lost

    async def _run_lines(self, lines: Lines, uids: Sequence[int]) -> int:
        """The same, where nothing has to be read."""
        session, found = self._session, 0
        for start in range(0, len(uids), _LINES):
            known = self._selected.view.rows
            rows = [known[uid] for uid in uids[start : start + _LINES] if uid in known]
            session.write(lines.of(rows))
            found += len(rows)
            await session.flush_some()
        return len(uids) - found

    async def _some(self, rows: Sequence[Row]) -> int:
        """Answer for these; how many of them are gone."""
        loaded = await self._load(rows)
        session, lost = self._session, 0
        for row in rows:
            # All of a response is there before its first octet goes out: what is missing must not
            # be found out in the middle of it, and others may remove the message meanwhile.
            parts = self._response(row, loaded)
            if parts is None:
                lost += 1
                continue
            for part in parts:
                if isinstance(part, Stream):
                    await self._stream(part)
                else:
                    session.write(part)
            if session.has_much:
                await session.flush_some()
        return lost

    def _response(self, row: Row, loaded: dict[int, list[Answer]]) -> list[Answer] | None:
        """FETCH for one message; None if it is gone."""
        if self._selected.row(row.uid) is None:
            return None
        answers: list[Answer] = []
        if self._contents:
            found = loaded.get(row.content_id)
            if found is None:
                return None
            answers = found
        parts: list[Answer] = [b"* %d FETCH (" % self._selected.number(row.uid)]
        for label, make in self._makers:
            parts += (label, answers[make] if isinstance(make, int) else make(row))
        if row.uid in self._fresh and not self._tells_flags:
            parts.append(b" FLAGS " + self._selected.flag_list(row.uid))
        parts.append(b")\r\n")
        if not row.handed and any(_is_whole(item, row.size) for item in self._wholes):
            self._handed[row.uid] = row.id
        return parts

    async def _load(self, rows: Sequence[Row]) -> dict[int, list[Answer]]:
        """The answers that hang on contents, in the order of the items: those that are remembered,
        and the others."""
        if not self._contents:
            return {}
        rendered, items, names = self._services.rendered, self._contents, self._names
        needs = self._needs
        known: dict[int, list[Answer]] = {}
        missing: list[int] = []
        for content_id in dict.fromkeys(row.content_id for row in rows):
            kept = [rendered.get(content_id, name) for name in names]
            if None in kept:
                missing.append(content_id)
            else:
                known[content_id] = kept  # type: ignore[assignment]  # none is None
        if not missing:
            return known

        def read(conn: Connection) -> dict[int, list[Answer]]:
            loader = self._services.loader
            contents = loader.load(conn, missing, needs)
            return {
                content_id: [render(content, item) for item in items]
                for content_id, content in contents.items()
            }

        few = len(missing) <= 4 and not self._needs & OCTETS
        database = self._services.database
        found = await (database.glance(read) if few else database.read(read))
        for content_id, answers in found.items():
            for name, answer in zip(names, answers, strict=True):
                if isinstance(answer, bytes):
                    rendered.put(content_id, name, answer)
        known.update(found)
        return known

    def _compile(self, items: Sequence[FetchItem]) -> list[tuple[bytes, _Maker]]:
        """For each item its label, and what makes its value of a row; of what hangs on a content
        its place among the answers."""
        selected, zone = self._selected, self._services.zone
        rows = selected.view.rows
        of_row: dict[str, Callable[[Row], bytes]] = {
            "FLAGS": lambda row: selected.flag_list(row.uid),
            "UID": lambda row: b"%d" % row.uid,
            "RFC822.SIZE": lambda row: b"%d" % row.size,
            "INTERNALDATE": lambda row: output.date_time(row.arrived, zone),
            "MODSEQ": lambda row: b"(%d)" % rows[row.uid].modseq,
            "THREADID": lambda _row: b"NIL",
        }
        made: list[tuple[bytes, _Maker]] = []
        place = 0
        for number, item in enumerate(items):
            label = label_of(item) if number == 0 else b" " + label_of(item)
            if item.name in ITEMS:
                made.append((label, of_row[item.name]))
            else:
                made.append((label, place))
                place += 1
        return made

    async def _stream(self, stream: Stream) -> None:
        """Raises Gone if it cannot go on: in the middle of a literal, nothing else can be said."""
        session = self._session
        session.write(stream.start)
        left = stream.length
        try:
            while piece := await asyncio.to_thread(next, stream.pieces, b""):
                left -= len(piece)
                session.write(piece)
                await session.flush_some()
            if left:
                raise EOFError(f"{left} octets are missing")
        except Gone:
            raise
        except Exception as error:
            log.exception("message-unreadable", peer=session.peer)
            session.connection.abort()
            raise Gone from error

    async def _hand_over(self) -> None:
        """Record what the client has whole now, once for each message."""
        view = self._selected.view
        await self._session.flush_some()
        wanted = {uid: one for uid, one in self._handed.items() if uid not in view.handed}
        ids = list(wanted.values())
        person = self._session.account.person
        for start in range(0, len(ids), _STEP):
            some, now = ids[start : start + _STEP], self._services.now()
            await self._services.database.write(
                lambda c, some=some, now=now: self._services.store.hand_over(  # type: ignore[misc]
                    c, view.folder_id, some, now=now, by=person
                ),
                long=len(some) > FEW,
            )
        view.handed.update(wanted)


def _is_body(item: FetchItem) -> bool:
    return item.name in ("BODY[]", "RFC822", "RFC822.TEXT", "BINARY[]", "BINARY.SIZE[]") and not (
        item.section is not None and item.section.text.startswith("HEADER")
        and not item.section.part
    )  # fmt: skip


def _may_be_whole(item: FetchItem) -> bool:
    """Whether it can give a client the end of the message."""
    if item.name == "RFC822":
        return True
    section = item.section
    return (
        item.name in ("BODY[]", "BINARY[]")
        and section is not None
        and not (section.part or section.text)
    )


def _is_whole(item: FetchItem, size: int) -> bool:
    """Whether the client has all of the message after this, if it has had what is before it."""
    if item.name == "RFC822":
        return True
    if item.name not in ("BODY[]", "BINARY[]") or item.section is None:
        return False
    if item.section.part or item.section.text:
        return False
    return item.partial is None or item.partial[0] + item.partial[1] >= size
