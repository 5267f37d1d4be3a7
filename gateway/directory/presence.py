"""When each account last logged in, by door: kept once an hour at most, and never while it waits.

Who logs in only leaves a note in memory; a task of its own writes the notes down. What a crash
takes is some seconds' notes, which the next login writes again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from gateway.directory.lastlogins import LastLogin, keep_logins
from gateway.domain.clock import Clock
from gateway.errors import StoreError
from gateway.store.database import Database

SUBMISSION, PORTAL, IMAP, POP3 = "submission", "portal", "imap", "pop3"

_ONCE_IN = timedelta(hours=1)
_PAUSE_SECONDS = 5.0
_log = structlog.stdlib.get_logger("yizhan.presence")


class Presence:
    """The notes of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: dict[tuple[int, str], datetime] = {}
        self._waiting: dict[tuple[int, str], LastLogin] = {}

    def note(self, account_id: int, door: str, client: str) -> None:
        """The account has just logged in there. Costs a look into memory."""
        now = self._clock.now()
        noted = self._noted.get((account_id, door))
        if noted is None or now - noted >= _ONCE_IN:
            self._noted[account_id, door] = now
            self._waiting[account_id, door] = LastLogin(door, now, client[:64])

    async def run(self, database: Database) -> None:
        """Write the notes down, now and then, until cancelled."""
        while True:
            await self._clock.sleep(_PAUSE_SECONDS)
            await self.write(database)

    async def write(self, database: Database) -> None:
        """Write what waits; what cannot be written now is tried again."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            await database.write(lambda connection: keep_logins(connection, waiting))
        except StoreError as error:
            _log.warning("logins-not-noted", cause=error.public)
            self._waiting = waiting | self._waiting
