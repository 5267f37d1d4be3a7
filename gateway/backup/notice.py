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
    """Two probes for the health page, and the age for the metrics."""

    def __init__(self, database: Database, clock: Clock, warn_hours: float) -> None:
        """`warn_hours` 0: no backup is ever late."""
        self._database = database
        self._clock = clock
        self._warn = timedelta(hours=warn_hours)
        self._made: datetime | None = None

    @property
    def age(self) -> float:
        """Seconds since the last backup, as last looked at; -1 if none was made."""
        if self._made is None:
            return -1.0
        return (self._clock.now() - self._made).total_seconds()

    async def held(self) -> str:
        """That nothing goes out after a restore, and what would."""
        return await self._database.read(_held)

    async def late(self) -> str:
        """That the last backup is too old; nothing before the first one was made."""
        known = await self._database.read(lambda c: recall(c, Fact.BACKUP))
        self._made = None if known is None else known.at
        if self._made is None or not self._warn or self.age <= self._warn.total_seconds():
            return ""
        return (
            f"the last backup is {self.age / 3600:.0f} hours old ({self._made:%Y-%m-%d %H:%M} UTC)"
        )


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
