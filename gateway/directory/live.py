"""The directory as it is now: a snapshot that is read again when a command has changed it."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.directory.snapshot import Directory, load, version
from gateway.store.database import Database
from gateway.store.fresh import Fresh


class LiveDirectory:
    """Gives the newest snapshot; asking costs one read of one row while nothing has changed."""

    def __init__(self, database: Database, domain: str) -> None:
        self._database = database
        self._domain = domain
        self._last: Directory | None = None
        self._reading = Fresh(lambda: database.read(self._newest))

    async def current(self) -> Directory:
        """The directory as committed at the moment of asking.

        Raises StoreUnavailable if the database cannot be read: nobody is let in on old rights.
        """
        last = self._last
        near = self._database.near  # then asking costs no thread
        if last is not None and near and await self._database.glance(version) == last.version:
            return last
        self._last = await self._reading.get()
        return self._last

    def within(self, connection: Connection) -> Directory:
        """The directory as that connection's transaction sees it.

        It is not kept: what the transaction sees may never be committed.
        """
        return self._newest(connection)

    def now(self) -> Directory:
        """The last snapshot, without asking; read from the database the first time."""
        if self._last is None:
            self._last = self._database.read_now(self._newest)
        return self._last

    def _newest(self, conn: Connection) -> Directory:
        last = self._last
        if last is not None and version(conn) == last.version:
            return last
        return load(conn, self._domain)
