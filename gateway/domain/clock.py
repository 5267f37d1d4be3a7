"""Time as an argument: the seam between pure rules and the wall clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Now (aware, UTC) and a sleep that a test can hurry."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that a test sets; sleeping moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def milliseconds(moment: datetime) -> int:
    """Unix time in milliseconds, the form in which times are stored.

    Cut, not rounded, as `rfc3339` cuts: or a record would bear another time than its row.
    """
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(value: int) -> datetime:
    """The stored form back as an aware UTC time."""
    return _EPOCH + timedelta(milliseconds=value)


def rfc3339(when: datetime) -> str:
    """UTC with milliseconds and Z, as records and receipts write it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
