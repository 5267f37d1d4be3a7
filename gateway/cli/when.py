"""Times for people: where this machine stands, with the offset, and how long ago in words."""

from __future__ import annotations

from datetime import datetime, timedelta

_STEPS = ((86400 * 2, 86400, "days"), (3600 * 2, 3600, "hours"), (60 * 2, 60, "minutes"))


def local(when: datetime) -> str:
    """The moment by the clock on this machine's wall, such as `2026-11-21 17:55 +08:00`."""
    return f"{_shift(when):%Y-%m-%d %H:%M} {offset(when)}"


def local_seconds(when: datetime) -> str:
    """The same with seconds and their thousandths, for a time line."""
    return f"{_shift(when):%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03} {offset(when)}"


def offset(when: datetime) -> str:
    """The offset from UTC that holds here at that moment, such as `+08:00`."""
    text = f"{_shift(when):%z}"
    return f"{text[:3]}:{text[3:5]}"


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in the unit that says most."""
    return "just now" if now - then < timedelta(minutes=1) else f"{span(now - then)} ago"


def span(length: timedelta) -> str:
    """A length of time in words, such as `3 hours`."""
    seconds = length.total_seconds()
    for least, unit, word in _STEPS:
        if seconds >= least:
            return f"{int(seconds // unit)} {word}"
    return "1 minute" if seconds >= 60 else "less than a minute"


def _shift(when: datetime) -> datetime:
    return when.astimezone()
