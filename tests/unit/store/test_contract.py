"""What every place for blobs promises: files, memory and a bucket, each plain and encrypted."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.ids import new_id
from gateway.errors import StoreUnavailable, StoreUnusable
from gateway.store import identity, s3, storage_key
from gateway.store.blobs import Blobs, Driver, FileBlobs, MemoryBlobs
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.envelope import SEGMENT
from gateway.store.storage_key import KeyRing
from tests.objects import ObjectServer, serving

MOMENT = 1_795_255_200_000  # 2026-11-21, in milliseconds
NAME = new_id(MOMENT, bytes(10))
SIZES = (1, 75, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 17)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with serving() as running:
        yield running


@pytest.fixture(params=["files", "memory", "s3"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    match request.param:
        case "files":
            return FileBlobs(tmp_path / "blobs")
        case "memory":
            return MemoryBlobs()
        case _:
            server: ObjectServer = request.getfixturevalue("server")
            return s3.S3Blobs(server.settings(tmp_path, prefix="/heping/blobs"))


@pytest.fixture(params=["plain", "encrypted"])
def blobs(request: pytest.FixtureRequest, driver: Driver) -> Blobs:
    ring = KeyRing((storage_key.generate(),))
    return EncryptedBlobs(driver, ring, encrypt=request.param == "encrypted")


def ids(count: int) -> list[str]:
    """Names of some days, in order."""
    return [new_id(MOMENT + n * 40_000_000, os.urandom(10)) for n in range(count)]


def in_pieces(octets: bytes) -> Iterator[bytes]:
    """Of uneven sizes, some empty."""
    start, step = 0, 0
    while start < len(octets):
        yield octets[start : start + step]
        start, step = start + step, (step * 7 + 5_003) % 70_000


def test_what_was_put_is_read_back_at_any_place_and_can_be_deleted(blobs: Blobs) -> None:
    rng = random.Random(7)
    for name, size in zip(ids(len(SIZES)), SIZES, strict=True):
        octets = rng.randbytes(size)
        blobs.put(name, in_pieces(octets))
        with blobs.open(name) as file:
            assert file.read() == octets
            assert file.seek(0, os.SEEK_END) == size
            assert file.read(1) == b""
            for _ in range(20):
                start, length = rng.randrange(size + 1), rng.randrange(size + 1)
                file.seek(start)
                assert file.tell() == start
                assert file.read(length) == octets[start : start + length]
        blobs.delete(name)
        blobs.delete(name)
        with pytest.raises(FileNotFoundError):
            blobs.open(name)


def test_a_large_blob_of_several_parts_comes_back_whole(blobs: Blobs) -> None:
    octets = random.Random(3).randbytes(s3.PART * 2 + 12_345)
    pieces = (octets[start : start + SEGMENT] for start in range(0, len(octets), SEGMENT))
    blobs.put(NAME, pieces)
    with blobs.open(NAME) as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == octets[-10:]
        file.seek(0)
        assert file.read() == octets
    with pytest.raises(StoreUnavailable, match="kept already"):
        blobs.put(NAME, [bytes(s3.PART + 1)])
    with blobs.open(NAME) as file:
        assert file.read(100) == octets[:100]


def test_a_name_is_never_given_twice(blobs: Blobs) -> None:
    blobs.put(NAME, [b"the first"])
    with pytest.raises(StoreUnavailable, match="kept already"):
        blobs.put(NAME, [b"the second"])
    with blobs.open(NAME) as file:
        assert file.read() == b"the first"


@pytest.mark.parametrize("size", [0, SEGMENT * 2, s3.PART + SEGMENT])
def test_octets_that_stop_coming_leave_nothing(blobs: Blobs, size: int) -> None:
    def broken() -> Iterator[bytes]:
        for _ in range(0, size, SEGMENT):
            yield bytes(SEGMENT)
        raise ValueError("the spool is closed")

    with pytest.raises(ValueError, match="spool"):
        blobs.put(NAME, broken())
    assert list(blobs.list()) == []
    with pytest.raises(FileNotFoundError):
        blobs.open(NAME)
    blobs.put(NAME, [b"the next try"])


def test_all_are_listed_in_the_order_of_their_names_from_any_name_on(blobs: Blobs) -> None:
    before = time.time()
    names = ids(7)
    for name in random.Random(1).sample(names, 7):
        blobs.put(name, [b"12345"])
    found = list(blobs.list())
    assert [kept.name for kept in found] == names
    assert all(kept.whole for kept in found)
    assert all(before - 2 <= kept.written <= time.time() + 2 for kept in found)
    assert {kept.size for kept in found} in ({5}, {97})  # 97: head and tag
    for at, name in enumerate(names):
        assert [kept.name for kept in blobs.list(since=name)] == names[at:]
    between = new_id(MOMENT + 3 * 40_000_000 - 1, bytes(10))
    assert [kept.name for kept in blobs.list(since=between)] == names[3:]


def test_a_store_that_works_is_no_trouble_and_the_probe_is_not_listed(blobs: Blobs) -> None:
    blobs.put(NAME, [b"x"])
    assert blobs.trouble() == ""
    assert [kept.name for kept in blobs.list()] == [NAME]


@pytest.mark.parametrize("driver", ["files", "s3"], indirect=True)
@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", NAME.upper(), "identity", "probe"])
def test_only_an_id_is_a_name(name: str, driver: Driver) -> None:
    for call in (driver.open, driver.delete, driver.discard, lambda n: driver.put(n, [b"x"])):
        with pytest.raises(ValueError, match="not a blob name"):
            call(name)


def test_a_replacement_is_read_before_it_takes_the_place(driver: Driver) -> None:
    driver.put(NAME, [b"old"])

    def refuse(_file: object) -> None:
        raise StoreUnavailable("not the same")

    with pytest.raises(StoreUnavailable, match="not the same"):
        driver.replace(NAME, [b"new"], refuse)
    with driver.open(NAME) as file:
        assert file.read() == b"old"
    seen: list[bytes] = []
    driver.replace(NAME, [b"new"], lambda file: seen.append(file.read()))
    assert seen == [b"new"]
    with driver.open(NAME) as file:
        assert file.read() == b"new"
    assert [(kept.name, kept.whole) for kept in driver.list()] == [(NAME, True)]
    with pytest.raises(FileNotFoundError):
        driver.replace(new_id(MOMENT, b"9" * 10), [b"new"], lambda _file: None)


def test_the_identity_is_kept_beside_the_blobs(driver: Driver) -> None:
    assert driver.read_identity() == ""
    driver.write_identity("06hs3kx9qe7w2v5m8n4r1t0abc")
    assert driver.read_identity() == "06hs3kx9qe7w2v5m8n4r1t0abc"
    assert list(driver.list()) == []


def test_blobs_without_an_identity_get_the_office_s_and_another_s_are_refused(
    driver: Driver,
) -> None:
    identity.verify_blobs(driver, "ours", "")
    assert driver.read_identity() == "ours"
    identity.verify_blobs(driver, "ours", NAME)  # fsck says which are missing
    with pytest.raises(
        StoreUnusable, match="belong to the store ours, but this is the store other"
    ):
        identity.verify_blobs(driver, "other", "")
    assert driver.read_identity() == "ours"


def test_an_unmounted_disk_or_a_mistyped_bucket_is_refused_before_mail_goes_there(
    driver: Driver,
) -> None:
    with pytest.raises(StoreUnusable, match="is a disk not mounted"):
        identity.verify_blobs(driver, "ours", NAME)
    assert driver.read_identity() == ""
    driver.put(NAME, [b"kept before there were identities"])
    identity.verify_blobs(driver, "ours", NAME)
    assert driver.read_identity() == "ours"
