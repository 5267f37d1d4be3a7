"""The recorder, compiled once for each test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash import recording
from tests.crash.recording import Recorder


@pytest.fixture(scope="session")
def recorder_library(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The library that is put before the C library."""
    return recording.build(program("gcc"), tmp_path_factory.mktemp("recorder"))


@pytest.fixture
def recorder(recorder_library: Path, tmp_path: Path) -> Iterator[Recorder]:
    """A recorder with a log and orders of the test's own."""
    yield Recorder(recorder_library, tmp_path / "log", tmp_path / "orders")
