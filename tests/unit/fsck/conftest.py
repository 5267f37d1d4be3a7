"""A house whose whole store can be checked: its office certified its evidence key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.fsck.check import check
from gateway.fsck.crew import Alone
from gateway.fsck.fault import Report
from gateway.fsck.scope import Scope
from gateway.seals import custody
from tests.databases import Databases
from tests.house import DOMAIN, House
from tests.unit.fsck.lived import Lived, copy

Check = Callable[..., Report]


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    made = make_house()
    certificate = made.bureau.signer.certificate  # type: ignore[attr-defined]
    made.database.write_now(lambda c: custody.set_office_certificate(c, certificate))
    return made


@pytest.fixture
def examine(house: House) -> Check:
    """Runs the check over the house, in this process."""

    def run(**scope: Any) -> Report:
        crew = Alone(house.database, house.blobs, DOMAIN)
        return check(house.database, crew, Scope(**scope))

    return run


@pytest.fixture
def lived(
    databases: Databases, database_templates: tuple[Path, set[str]], tmp_path: Path
) -> Iterator[Lived]:
    """A store of the test's own in which an office has lived."""
    made = copy(databases, database_templates[0], tmp_path / "lived")
    yield made
    made.database.stop()
