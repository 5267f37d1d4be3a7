"""What the health page says of backups and of a restore; neither keeps the office from its work."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from gateway.domain.clock import Clock
from gateway.exchange.tables import outbox
from gateway.reminders.reminder import ReminderState
from gateway.reminders.tables import reminders
from gateway.store.database import Database
from gateway.store.facts import Fact, recall

_WAITING = (ReminderState.QUEUED, ReminderState.HANDING_OVER, ReminderState.STOPPING)


class Notice:
    """Two probes for the health page, and the time of the last backup for the metrics."""

    def __init__(self, database: Database, clock: Clock, warn_hours: float) -> None:
        """`warn_hours` 0: no backup is ever late."""
        self._database = database
        self._clock = clock
        self._warn = timedelta(hours=warn_hours)
        self._made: datetime | None = None

    @property
    def made_at(self) -> float:
        """When the last backup was made, as last looked at, in Unix time; 0 if none was."""
        return 0.0 if self._made is None else self._made.timestamp()

    async def held(self) -> str:
        """That nothing goes out after a restore, and what would."""
        return await self._database.read(_held)

    async def late(self) -> str:
        """That the last backup is too old; nothing before the first one was made."""
        known = await self._database.read(lambda c: recall(c, Fact.BACKUP))
        self._made = None if known is None else known.at
        if self._made is None or not self._warn:
            return ""
        age = self._clock.now() - self._made
        if age <= self._warn:
            return ""
        hours = age.total_seconds() / 3600
        return f"the last backup is {hours:.0f} hours old ({self._made:%Y-%m-%d %H:%M} UTC)"


def _held(connection: Connection) -> str:
    known = recall(connection, Fact.HELD)
    if known is None:
        return ""
    letters = connection.scalar(select(func.count()).select_from(outbox))
    waiting = connection.scalar(select(func.count()).where(reminders.c.state.in_(_WAITING)))
    return (
        f"restored from the backup of {known.value.get('backup_at', '')}: mail is taken, but "
        f"nothing goes out until `yizhan restore release` ({letters} letters and {waiting} "
        "reminders wait)"
    )
