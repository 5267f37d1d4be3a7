"""When the next try is, after a carrier did not take a reminder: a pure function."""

from __future__ import annotations

from datetime import datetime, timedelta

_FIRST_SECONDS = 5.0
_FACTOR = 3.0
_LONGEST_SECONDS = 600.0


def next_try(now: datetime, attempts: int) -> datetime:
    """After that many tries (1 or more): 5, 15, 45, 135 ... seconds later, at most 10 minutes."""
    seconds = _FIRST_SECONDS * _FACTOR ** min(attempts - 1, 20)
    return now + timedelta(seconds=min(seconds, _LONGEST_SECONDS))
