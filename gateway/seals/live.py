"""The book of seals as it is now: a snapshot that is read again when a command has changed it."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.seals.book import SealBook
from gateway.seals.custody import load_book, version
from gateway.store.database import Database
from gateway.store.fresh import Fresh


class LiveSeals:
    """Gives the newest book; asking costs one read of one row while nothing has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[int, SealBook] | None = None
        self._reading = Fresh(lambda: database.read(self._newest))

    async def current(self) -> SealBook:
        """The book as committed at the moment of asking.

        Raises StoreUnavailable if the database cannot be read: a cancelled seal must not pass.
        """
        last = self._last
        near = self._database.near  # then asking costs no thread
        if last is not None and near and await self._database.glance(version) == last[0]:
            return last[1]
        self._last = await self._reading.get()
        return self._last[1]

    def now(self) -> SealBook:
        """The last book, without asking; read from the database the first time."""
        if self._last is None:
            self._last = self._database.read_now(self._newest)
        return self._last[1]

    @property
    def version(self) -> int:
        """The version of the last book; 0 before the first."""
        return 0 if self._last is None else self._last[0]

    def _newest(self, conn: Connection) -> tuple[int, SealBook]:
        last, there = self._last, version(conn)
        return last if last is not None and last[0] == there else (there, load_book(conn))
