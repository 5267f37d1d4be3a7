"""Fixtures that all kinds of tests share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import office as offices


@contextmanager
def _short_folder() -> Iterator[Path]:
    """A folder with a short path: gpg's sockets allow some 80 octets, pytest's folders more."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def office_template() -> Iterator[Path]:
    """The folder of a demo office from which others are copied."""
    with _short_folder() as folder:
        yield offices.make_template(folder / "demo")


@contextmanager
def _maker(template: Path) -> Iterator[Callable[..., offices.Office]]:
    made: list[offices.Office] = []
    with _short_folder() as folder:

        def make(name: str = "o", **changes: Any) -> offices.Office:
            office = offices.copy_office(template, folder / name, **changes)
            made.append(office)
            return office

        yield make
        for office in made:
            if office.process is not None:
                office.kill()


@pytest.fixture
def make_office(office_template: Path) -> Iterator[Callable[..., offices.Office]]:
    """Makes fresh offices; their daemons end with the test."""
    with _maker(office_template) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_office(office_template: Path) -> Iterator[Callable[..., offices.Office]]:
    """Makes offices that the tests of one module share; their daemons end with the module."""
    with _maker(office_template) as make:
        yield make


@pytest.fixture
def office(make_office: Callable[..., offices.Office]) -> Iterator[offices.Office]:
    """A running office of the test's own."""
    with make_office().running() as running:
        yield running


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real mail. In CI its absence is a failure, elsewhere a skip with its reason."""
    folder = Path(os.environ.get("YIZHAN_SHARED", offices.ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        message = f"the real mail of {folder} is not here (set YIZHAN_SHARED)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Finds a Debian program. In CI its absence is a failure, elsewhere a skip with its reason."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            message = f"{name} is not installed (scripts/install-debian-packages)"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find
