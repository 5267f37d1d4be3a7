"""Fixtures for unit tests of the parts behind the doors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # most unit tests need none of it, and it takes half a second
    from tests.databases import Databases
    from tests.house import House


@pytest.fixture
async def make_house(databases: Databases, tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """Makes houses of the test's own, each from a database with the demo directory."""
    from tests.house import House, make_database

    made: list[House] = []

    def make(**settings: list[str]) -> House:
        url = databases.copy("house", make_database, "yizhan")
        made.append(House(tmp_path, url, **settings))
        return made[-1]

    yield make
    for house in made:
        await house.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
