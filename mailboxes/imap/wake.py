"""Tells clients at once when a folder has changed, whoever changed it.

Each commit of this process, and each hint from another, makes one look at the modification
sequences of the folders that somebody watches; a look finds every change, so a hint need not say
which folder it is about, and one that is lost costs a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, select

from mailboxes.folders import chunks
from mailboxes.imap.ports import Database, Unavailable
from mailboxes.tables import Tables

log = structlog.get_logger("imap")

_TOGETHER_SECONDS = 0.005  # hints within this time are one
_LOOK_SECONDS = 1.0  # without any hint

Call = Callable[[], None]


class Wakeups:
    """Who watches which folder."""

    def __init__(self, tables: Tables, database: Database) -> None:
        self._tables = tables
        self._database = database
        self._watching: dict[int, dict[object, Call]] = {}
        self._known: dict[int, int] = {}
        self._hint = asyncio.Event()

    def watch(self, folder_id: int, modseq: int, who: object, call: Call) -> None:
        """Call `call` whenever the folder has changed since that modification sequence."""
        self._watching.setdefault(folder_id, {})[who] = call
        known = self._known.get(folder_id, modseq)
        self._known[folder_id] = min(known, modseq)
        self._hint.set()

    def leave(self, folder_id: int, who: object) -> None:
        """Do not call any more."""
        watching = self._watching.get(folder_id, {})
        watching.pop(who, None)
        if not watching:
            self._watching.pop(folder_id, None)
            self._known.pop(folder_id, None)

    def hint(self) -> None:
        """Something may have changed."""
        self._hint.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
            if self._watching:
                try:
                    await self._look()
                except Unavailable as error:
                    log.warning("mailboxes-not-watched", cause=str(error))
            await asyncio.sleep(_TOGETHER_SECONDS)

    async def _look(self) -> None:
        watched = list(self._watching)
        found = await self._database.glance(lambda c: self._modseqs(c, watched))
        for folder_id in watched:
            modseq = found.get(folder_id, -1)  # removed: that is a change, too
            if modseq != self._known.get(folder_id):
                if folder_id in self._watching:
                    self._known[folder_id] = modseq
                for call in list(self._watching.get(folder_id, {}).values()):
                    call()

    def _modseqs(self, conn: Connection, folder_ids: list[int]) -> dict[int, int]:
        table = self._tables.folders
        found: dict[int, int] = {}
        for some in chunks(folder_ids):
            rows = conn.execute(select(table.c.id, table.c.modseq).where(table.c.id.in_(some)))
            found.update((row.id, row.modseq) for row in rows)
        return found
