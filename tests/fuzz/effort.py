"""How long to fuzz: some seconds in each test run, hours in `make soak` (YIZHAN_FUZZ=200)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("YIZHAN_FUZZ", "1"))


def effort(examples: int) -> Callable[[Any], Any]:
    """So many examples in a test run, `FACTOR` times as many in a soak."""
    return settings(
        max_examples=max(1, int(examples * FACTOR)),
        database=None,
        derandomize=FACTOR <= 1,  # a test run says the same twice, a soak looks for news
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
