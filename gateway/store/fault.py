"""Named points at which a test lets the process die as `kill -9` would, to prove what survives.

Armed only by the environment variable YIZHAN_FAULT, `point` or `point:n` for the n-th time; else
each call compares two strings.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "blob-written",
    "blob-synced",
    "blob-renamed",
    "blob-kept",
    "before-commit",
    "after-commit",
    "before-reply",
    "records-sealed",
    "receipt-rendered",
    "piece-finished",
)

_POINT, _, _COUNT = os.environ.get("YIZHAN_FAULT", "").partition(":")
_left = int(_COUNT or 1)


def reach(point: str) -> None:
    """Die here if a test has armed this point."""
    global _left  # noqa: PLW0603  # one counter for the process
    if point != _POINT:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
