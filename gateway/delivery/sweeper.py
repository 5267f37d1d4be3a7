"""The sweeper: removes what a crash has left among the blobs, never octets that are kept once.

A crash leaves an unfinished blob, or a whole one whose transaction never came. The first goes after
an hour, longer than any transaction lasts. The second goes when a document keeps the same octets,
since the client has sent them again. A blob whose octets no document keeps is never removed: beside
a database that somebody brought back from an older day it is a document that was promised. So
nothing need be known of how the database came here; such blobs are counted, shown, and left to
`yizhan fsck` and the operator. Between restoring and release nothing at all is removed.

Mailbox contents that no message shows any more, such as a summary that was replaced, go too, and
with them what the search index has of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import islice

import structlog
from sqlalchemy import Connection, select

from gateway.domain.clock import Clock, milliseconds
from gateway.domain.ids import new_id
from gateway.errors import StoreError
from gateway.exchange.mailroom import open_index
from gateway.exchange.tables import documents
from gateway.store.blobs import Blobs, Kept
from gateway.store.database import Database
from gateway.store.facts import Fact, recall
from gateway.store.postgres import take_turn
from mailboxes.store import MailboxStore

log = structlog.stdlib.get_logger("yizhan.sweeper")

AGE_SECONDS = 3600.0
EVERY_SECONDS = 3600.0
LOOK_SECONDS = 5.0
RECENT_DAYS = 3  # what is older was looked at before; the first turn looks at all
FEW = 100  # a crash may leave so many that no client sends again; more are an older database
MANY = 10_000  # to read more of them would tell nothing new
_PORTION = 500
_PIECE = 1 << 20


class Sweeper:
    """Sweeps at the start and every hour."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        mailboxes: MailboxStore,
        clock: Clock,
        elected: Callable[[], bool] = lambda: True,
    ) -> None:
        """`elected` says whether this is the node that sweeps, of several."""
        self._database = database
        self._blobs = blobs
        self._mailboxes = mailboxes
        self._index = open_index()
        self._clock = clock
        self._elected = elected
        self._first = True
        self._unclaimed: dict[str, bytes] = {}  # name to digest, so that each is read once
        self._told = 0

    @property
    def unclaimed(self) -> int:
        """Blobs older than an hour whose octets no document keeps."""
        return len(self._unclaimed)

    async def health(self) -> str:
        """Says when there are more unclaimed blobs than crashes can have left."""
        if self.unclaimed <= FEW:
            return ""
        return (
            f"{self.unclaimed} blobs belong to no document, from {min(self._unclaimed)} to "
            f"{max(self._unclaimed)}: is the database older than the blobs? They are kept; run "
            "`yizhan fsck`"
        )

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            while not self._elected():  # another node sweeps; it may die
                await self._clock.sleep(LOOK_SECONDS)
            try:
                removed = await self.turn()
                contents = await self._sweep_contents()
                if removed or contents:
                    log.info("swept", blobs=removed, contents=contents)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # tried again in an hour
                log.error("sweep-failed", cause=str(error))
            await self._clock.sleep(EVERY_SECONDS)

    async def _sweep_contents(self) -> int:
        """Look for them in a reader, so that the writer is asked only if there are any."""
        unshown = await self._database.read(self._mailboxes.unshown)
        if not unshown:
            return 0

        def sweep(connection: Connection) -> int:
            take_turn(connection, "index")
            texts = self._index.texts_of(connection, unshown)
            swept = self._mailboxes.sweep(connection, unshown)
            self._index.sweep(connection, texts)
            return swept

        return await self._database.write(sweep, "sweep", long=True)

    async def turn(self, age: float = AGE_SECONDS) -> int:
        """Remove what is old and needed by nobody; how many."""
        if await self._database.read(lambda c: recall(c, Fact.HELD)) is not None:
            return 0
        removed = 0
        kept = self._blobs.list(since=self._since())
        while portion := await asyncio.to_thread(lambda: list(islice(kept, _PORTION))):
            removed += await self._sweep(portion, time.time() - age)
            if self.unclaimed > MANY:
                break
        removed += await self._remove_claimed()
        self._first = False
        if self.unclaimed > self._told:
            log.warning(
                "blobs-unclaimed", count=self.unclaimed,
                first=min(self._unclaimed), last=max(self._unclaimed),
            )  # fmt: skip
        self._told = self.unclaimed
        return removed

    def _since(self) -> str:
        if self._first:
            return ""
        return new_id(milliseconds(self._clock.now() - timedelta(days=RECENT_DAYS)), bytes(10))

    async def _sweep(self, portion: list[Kept], before: float) -> int:
        old = [kept for kept in portion if kept.written < before]
        unfinished = [kept.name for kept in old if not kept.whole]
        whole = [kept.name for kept in old if kept.whole and kept.name not in self._unclaimed]
        known = await self._database.read(lambda c: _known(c, whole)) if whole else set()
        unknown = [name for name in whole if name not in known]
        if unknown:
            self._unclaimed |= await asyncio.to_thread(
                lambda: {name: self._digest(name) for name in unknown}
            )
        for name in unfinished:
            await asyncio.to_thread(self._blobs.discard, name)
        return len(unfinished)

    async def _remove_claimed(self) -> int:
        """Remove those whose octets a document keeps under another name."""
        if not self._unclaimed:
            return 0
        # Whoever repairs the store may have given one its document meanwhile.
        found = await self._database.read(lambda c: _claimed(c, self._unclaimed))
        claimed = [name for name, digest in self._unclaimed.items() if digest in found]
        return await asyncio.to_thread(self._remove, claimed, found) if claimed else 0

    def _remove(self, claimed: list[str], found: Mapping[bytes, list[str]]) -> int:
        """Remove those, unless it is the one that the document has, or the document's is broken."""
        removed = 0
        whole: dict[str, bool] = {}
        for name in claimed:
            digest = self._unclaimed[name]
            owners = found[digest]
            if name in owners:
                del self._unclaimed[name]
                continue
            if owners[0] not in whole:
                whole[owners[0]] = self._digest(owners[0]) == digest
            if whole[owners[0]]:
                self._blobs.delete(name)
                del self._unclaimed[name]
                removed += 1
        return removed

    def _digest(self, name: str) -> bytes:
        """SHA-256 of the octets; empty if they cannot be read, which no document's are."""
        digest = hashlib.sha256()
        try:
            with self._blobs.open(name) as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
        except (OSError, StoreError):
            return b""
        return digest.digest()


def _known(connection: Connection, names: list[str]) -> set[str]:
    return set(connection.scalars(select(documents.c.id).where(documents.c.id.in_(names))))


def _claimed(connection: Connection, unclaimed: Mapping[str, bytes]) -> dict[bytes, list[str]]:
    """The documents that have one of those digests."""
    found: dict[bytes, list[str]] = {}
    digests = sorted({digest for digest in unclaimed.values() if digest})
    for start in range(0, len(digests), _PORTION):
        some = digests[start : start + _PORTION]
        query = select(documents.c.id, documents.c.digest).where(documents.c.digest.in_(some))
        for row in connection.execute(query.order_by(documents.c.id)):
            found.setdefault(bytes(row.digest), []).append(row.id)
    return found
