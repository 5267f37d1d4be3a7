"""The sweeper: removes blobs that no document refers to, long after any transaction could.

A crash between a blob's rename and its commit leaves one; so does a submission that a second
connection overtook. It waits longer than any transaction lasts, so it can never take a blob whose
commit is still to come. Mailbox contents that no message shows any more, such as a summary that a
newer one replaced, go too.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection, select

from gateway.domain.clock import Clock
from gateway.exchange.tables import documents
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from mailboxes.store import MailboxStore

log = structlog.stdlib.get_logger("yizhan.sweeper")

AGE_SECONDS = 3600.0
EVERY_SECONDS = 3600.0
RECENT_DAYS = 3  # older folders were swept before; the first turn sweeps all


class Sweeper:
    """Sweeps at the start and every hour."""

    def __init__(
        self, database: Database, blobs: FileBlobs, mailboxes: MailboxStore, clock: Clock
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._mailboxes = mailboxes
        self._clock = clock
        self._first = True

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                removed = await self.turn()
                contents = await self._sweep_contents()
                if removed or contents:
                    log.info("swept", blobs=removed, contents=contents)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # tried again in an hour
                log.error("sweeping failed", error=str(error))
            await self._clock.sleep(EVERY_SECONDS)

    async def _sweep_contents(self) -> int:
        """Look for them in a reader, so that the writer is asked only if there are any."""
        unshown = await self._database.read(self._mailboxes.unshown)
        if not unshown:
            return 0
        return await self._database.write(lambda c: self._mailboxes.sweep(c, unshown))

    async def turn(self, age: float = AGE_SECONDS) -> int:
        """Remove what is old and unknown; how many."""
        days = None if self._first else RECENT_DAYS
        old = await asyncio.to_thread(partial(self._blobs.older_than, age, days=days))
        names = [path.name for path in old]
        known = await self._database.read(lambda c: _known(c, names)) if names else set()
        unknown = [path for path in old if path.name not in known]
        await asyncio.to_thread(_remove, unknown)
        self._first = False
        return len(unknown)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _known(connection: Connection, names: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(names), 500):
        query = select(documents.c.id).where(documents.c.id.in_(names[start : start + 500]))
        found.update(connection.execute(query).scalars())
    return found
