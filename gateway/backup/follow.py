"""Continuous copy: a backup every few seconds, for an office that cannot lose a day.

Each is a whole generation, so there is nothing to put together afterwards; but it takes the place
of the one before it, or there would be thousands. One in an hour stays.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from gateway.backup.backup import Backup, Made
from gateway.backup.prune import prune
from gateway.domain.ids import time_of
from gateway.errors import StoreUnavailable

_TIDY_SECONDS = 600.0


def go_on(backup: Backup, seconds: float, told: Callable[[Made, float], None]) -> None:
    """Make backups until SIGTERM or SIGINT.

    Raises CommandError if the folder cannot be written: whoever started it must hear of that.
    """
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    keep, backup.keep = backup.keep, -1  # thinned here
    last, tidied = "", time.monotonic()
    while not ended.is_set():
        begun = time.monotonic()
        with suppress(StoreUnavailable):  # a restart of the database; the next time it is there
            made = backup.make()
            told(made, time.monotonic() - begun)
            if last and _same_hour(last, made.manifest.id):
                shelf = backup.shelf
                shelf.remove(shelf.generation_path(last))
                shelf.remove(shelf.generation_path(last, "seal"))
            last = made.manifest.id
        if time.monotonic() > tidied + _TIDY_SECONDS:
            prune(backup.shelf, keep)
            tidied = time.monotonic()
        ended.wait(max(0.0, begun + seconds - time.monotonic()))


def _same_hour(one: str, other: str) -> bool:
    return time_of(one).replace(minute=0, second=0, microsecond=0) == time_of(other).replace(
        minute=0, second=0, microsecond=0
    )
