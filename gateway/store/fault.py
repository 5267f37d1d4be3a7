"""Named points at which a test lets the process die as `kill -9` would, to prove what survives.

Armed only by the environment variable YIZHAN_FAULT, `point` or `point:n` for the n-th time; else
each call asks whether anything is armed. Around each commit there are two points for each kind of
unit of work in it: `accept.before-commit`, `accept.after-commit`, and so on.
"""

from __future__ import annotations

import os
import signal

# The kinds of units of work that the daemon writes, as `Database.write` is told them.
COMMITS = (
    "accept",
    "refusal",
    "seal",
    "outbox-reclaim",
    "outbox-lease",
    "outbox-done",
    "outbox-put-back",
    "reminder-lease",
    "reminder-done",
    "reminder-put-back",
    "reminder-report",
    "index",
    "sweep",
    "fullness",
    "act",
    "mailbox",
)

# In the order in which a document passes them.
POINTS = (
    "data-begun",
    "spool-spilled",
    "data-ended",
    "inspected",
    "blob-written",
    "blob-synced",
    "blob-renamed",
    "blob-kept",
    "prepared",
    "before-reply",
    "reply-sent",
    "records-sealed",
    "receipt-rendered",
    "receipt-appended",
    "piece-finished",
    "reminder-handed-over",
    "index-prepared",
    "draining",
    "drained",
    "backup-rows",
    "backup-blobs",
    "backup-published",
    *(f"{kind}.{when}-commit" for kind in COMMITS for when in ("before", "after")),
)

_point, _left = "", 0


def arm(point: str) -> None:
    """Die at that point; `name:3` is the third time that it is reached. Empty: at none."""
    global _point, _left  # noqa: PLW0603  # of the process
    _point, _, count = point.partition(":")
    _left = int(count or 1)


def reach(point: str, *kinds: str) -> None:
    """Die here if a test has armed this point, or this point of a unit of work of such a kind."""
    global _left  # noqa: PLW0603  # one counter for the process
    if not _point or (point != _point and not any(f"{kind}.{point}" == _point for kind in kinds)):
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("YIZHAN_FAULT", ""))
