"""The indexer: puts what is in the mailboxes into the search index, soon after it came.

It looks for contents that the index does not have, the newest first, and takes a few at a time:
what was read is on disk or is read again, so it may be killed at any moment. Nothing waits for it:
search reads what is not indexed yet. It rests as long as it has worked, and while deliveries wait
for the writer; of several nodes the elected one does it.

Documents were read when they came. What a mail client has put into a folder is read here, its files
in a child of the indexer's own, which may be killed. What cannot be read is marked so and searched
by its header.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from gateway.domain.clock import Clock
from gateway.domain.submission import Content
from gateway.errors import Deferred, StoreError
from gateway.exchange.texts import TextReader, of_inspection
from gateway.policy.inspection import Inspection
from gateway.store.database import Database
from gateway.store.fault import reach
from gateway.store.postgres import take_turn
from mailboxes.entries import Entry, Prepared, State, prepare
from mailboxes.indexing import IndexWriter

log = structlog.stdlib.get_logger("yizhan.indexer")

Inspect = Callable[[Content], Awaitable[Inspection]]

PORTION = 16  # contents that are read and written at once
WINDOW = 5_000  # ids that one look for older contents covers
OVERLAP = 1_000  # ids below the newest that are looked at again: transactions commit out of order
LOOK_SECONDS = 30.0
PAUSE_SECONDS = 1.0  # after mail has come, so that several are taken together
REST_SECONDS = 0.02  # at least, between two portions
ROUND_SECONDS = 3600.0  # after which all is looked at once more
_TRIES = 3  # of a child that is late
_PIECE = 65_536
UNREADABLE = "it cannot be read"


class Indexer:
    """Indexes at the start, when woken, and every half minute."""

    def __init__(
        self,
        database: Database,
        reader: TextReader,
        writer: IndexWriter,
        inspect: Inspect,
        clock: Clock,
        elected: Callable[[], bool] = lambda: True,
    ) -> None:
        """`inspect` reads a whole mail, as `policy.pool` does; `elected` says whether this is the
        node that indexes, of several."""
        self._database = database
        self._reader = reader
        self._writer = writer
        self._inspect = inspect
        self._clock = clock
        self._elected = elected
        self._awake = asyncio.Event()
        self._top = 0  # everything up to here was looked at, but for the last OVERLAP
        self._bottom: int | None = None  # what is older than this is still to be looked at
        self._refused: set[int] = set()  # contents that failed; tried again in the next round
        self._stalled = ""
        self.waiting = 0  # contents that are not indexed, as far as is known

    def wake(self) -> None:
        """There are new contents."""
        self._awake.set()

    async def health(self) -> str:
        """What is wrong, for the health page; empty if nothing is."""
        if not self._stalled:
            return ""
        return f"new mail is not indexed, so searching is slow; the log says why: {self._stalled}"

    async def run(self) -> None:
        """Index until cancelled."""
        round_ends = 0.0
        while True:
            self._awake.clear()
            try:
                if self._elected():
                    if time.monotonic() >= round_ends:
                        await self._begin_round()
                        round_ends = time.monotonic() + ROUND_SECONDS
                    while self._elected() and await self._turn_politely():
                        pass
                self._stalled = ""
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # the indexer must outlive a bad moment
                self._stalled = type(error).__name__
                log.error("indexer-stalled", cause=str(error))
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._awake.wait()
            except TimeoutError:
                continue
            await self._clock.sleep(PAUSE_SECONDS)

    async def turn(self) -> int:
        """Index one portion; how many contents were looked at, 0 if there are none left."""
        ids = await self._database.read(self._next)
        if not ids:
            return 0
        entries = await self._read(ids)
        await self._put(entries)
        return len(ids)

    async def whole_round(self) -> None:
        """Index everything that is not indexed."""
        await self._begin_round()
        while await self.turn():
            pass

    async def _turn_politely(self) -> bool:
        begun = time.monotonic()
        if not await self.turn():
            return False
        rest = max(REST_SECONDS, time.monotonic() - begun)
        while True:
            await self._clock.sleep(rest)
            if not self._database.waiting:
                return True

    async def _begin_round(self) -> None:
        self._bottom = None
        self._refused.clear()
        lonely = await self._database.read(self._writer.lonely)
        if lonely:
            await self._database.write(
                lambda c: self._in_turn(c, lambda: self._writer.sweep(c, lonely)),
                "index", long=True,
            )  # fmt: skip
        self.waiting = await self._database.read(self._writer.count_unindexed)

    def _next(self, connection: Connection) -> list[int]:
        """Some contents that are not indexed: the new ones first, then the older."""
        top = self._writer.newest_content(connection)
        if self._bottom is None:
            self._bottom = self._top = top + 1
        fresh = self._wanted(connection, max(self._top - OVERLAP, 0), None)
        if fresh:
            return fresh
        self._top = top
        while self._bottom > 0:
            after = max(self._bottom - WINDOW, 0)
            older = self._wanted(connection, after, self._bottom)
            if older:
                return older
            self._bottom = after
        return []

    def _wanted(self, connection: Connection, after: int, before: int | None) -> list[int]:
        limit = PORTION + len(self._refused)
        found = self._writer.unindexed(connection, after=after, before=before, limit=limit)
        return [one for one in found if one not in self._refused][:PORTION]

    async def _read(self, ids: list[int]) -> list[Entry]:
        """The entries of those contents; what fails is left to the next round."""
        try:
            found = await self._database.read(lambda c: self._entries(c, ids))
        except (OSError, EOFError, StoreError, ValueError, TypeError, LookupError) as error:
            if len(ids) > 1:  # which one it is shows by itself
                return [entry for one in ids for entry in await self._read([one])]
            self._refused.update(ids)
            log.warning("not-indexed", contents=ids[0], cause=str(error))
            return []
        return [
            await self._read_in_child(entry) if entry.texts is None and not entry.blob else entry
            for entry in found
        ]

    def _entries(self, connection: Connection, ids: list[int]) -> list[Entry]:
        known = self._writer.known_blobs
        return self._reader.read(connection, ids, lambda blobs: known(connection, blobs))

    async def _read_in_child(self, entry: Entry) -> Entry:
        octets = await self._database.read(lambda c: self._reader.octets(c, entry.content_id))
        content, cause = _Octets(octets or b""), ""
        for _ in range(_TRIES):
            try:
                return of_inspection(entry, await self._inspect(content))
            except Deferred as error:
                cause = str(error)
        log.warning("not-readable", contents=entry.content_id, cause=cause)
        return replace(entry, texts=(), state=State.HEADER, reason=UNREADABLE)

    async def _put(self, entries: list[Entry]) -> None:
        if not entries:
            return
        made = await asyncio.to_thread(lambda: [prepare(entry) for entry in entries])
        reach("index-prepared")
        added = await self._database.write(lambda c: self._add(c, made), "index", long=True)
        self.waiting = max(self.waiting - added, 0)
        if added < len(made):
            # Gone meanwhile, or without the texts of their blob: the next round sees.
            self._refused.update(entry.content_id for entry in entries)

    def _add(self, connection: Connection, made: list[Prepared]) -> int:
        return self._in_turn(connection, lambda: self._writer.add(connection, made))

    @staticmethod
    def _in_turn(connection: Connection, work: Callable[[], int]) -> int:
        take_turn(connection, "index")
        return work()


class _Octets:
    """A content as an inspection takes it."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size = len(octets)
        self.sha256 = hashlib.sha256(octets).digest()

    def chunks(self) -> Iterator[bytes]:
        return (self._octets[at : at + _PIECE] for at in range(0, self.size, _PIECE))

    def read(self) -> bytes:
        return self._octets

    def close(self) -> None:
        self._octets = b""
