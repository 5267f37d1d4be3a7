"""The keeper leaves nothing behind that no document has, and takes away nothing that one has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.exchange.keeping import Keeper
from gateway.policy.pool import AT_ONCE
from gateway.store.blobs import FileBlobs
from gateway.store.spool import Spool

FIRST, SECOND = "01kjpb7wg0e8ftex6g0q6wx7rd", "01kjpb7wg0ekatn7rxz4j6s20t"


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def keeper(blobs: FileBlobs) -> Iterator[Keeper]:
    keeper = Keeper(blobs)
    yield keeper
    keeper.close()


def spool(folder: Path, octets: bytes) -> Spool:
    content = Spool(folder, 1 << 20)
    content.write(octets)
    content.finish()
    return content


def fails() -> None:
    raise ValueError("a mistake of ours")


@pytest.mark.parametrize("size", [10, AT_ONCE + 1], ids=["short", "long"])
@pytest.mark.parametrize("day", ["new", "there"])
async def test_what_cannot_be_prepared_leaves_nothing(
    size: int, day: str, keeper: Keeper, blobs: FileBlobs, tmp_path: Path
) -> None:
    if day == "there":
        blobs.put(SECOND, [b"another"])
    with pytest.raises(ValueError, match="a mistake"):
        await keeper.keep(FIRST, spool(tmp_path, b"x" * size), fails)
    assert [one.name for one in blobs.list()] == ([SECOND] if day == "there" else [])


@pytest.mark.parametrize("size", [10, AT_ONCE + 1], ids=["short", "long"])
async def test_a_name_that_is_taken_keeps_its_octets(
    size: int, keeper: Keeper, blobs: FileBlobs, tmp_path: Path
) -> None:
    blobs.put(FIRST, [b"first"])
    with pytest.raises(StoreUnavailable):
        await keeper.keep(FIRST, spool(tmp_path, b"x" * size), lambda: None)
    with blobs.open(FIRST) as file:
        assert file.read() == b"first"
