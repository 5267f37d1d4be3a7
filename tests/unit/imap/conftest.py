"""Fixtures for tests of IMAP sessions without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.databases import Databases, opened
from tests.mailroom import Mailroom


@pytest.fixture
async def make_room(databases: Databases, tmp_path: Path) -> AsyncIterator[Callable[..., Mailroom]]:
    """Makes mailrooms of the test's own."""
    made: list[Mailroom] = []

    def make(**limits: float) -> Mailroom:
        made.append(Mailroom(opened(databases), tmp_path, **limits))
        return made[-1]

    yield make
    for room in made:
        await room.close()
        await room.database.close()


@pytest.fixture
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    return make_room()
