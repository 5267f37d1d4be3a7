"""Fixtures for unit tests of the parts behind the doors."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # most unit tests need none of it, and it takes half a second
    from tests.house import House


@pytest.fixture(scope="session")
def house_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.house import make_database

    path = tmp_path_factory.mktemp("house") / "yizhan.db"
    make_database(path)
    return path


@pytest.fixture
async def make_house(house_template: Path, tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """Makes houses of the test's own, each from a database with the demo directory."""
    from tests.house import House

    made: list[House] = []

    def make(**settings: list[str]) -> House:
        shutil.copy(house_template, tmp_path / "yizhan.db")
        made.append(House(tmp_path, **settings))
        return made[-1]

    yield make
    for house in made:
        await house.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()
