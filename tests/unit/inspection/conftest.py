"""Messages and files made for these tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def seeds() -> list[Path]:
    """The texts that talk about secrets without bearing a mark."""
    named = os.environ.get("YIZHAN_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[4] / "shared"
    found = sorted((folder / "data" / "seeds").glob("*.txt"))
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the seed texts are missing: {folder}")
        return []
    return found
