"""Blobs: durable when `put` returns, never overwritten; an fsync that failed is never retried."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.ids import new_id
from gateway.errors import StoreUnavailable, StoreUnusable
from gateway.store.blobs import Blobs, FileBlobs, MemoryBlobs

MOMENT = 1_795_255_200_000  # 2026-11-21, in milliseconds
NAME = new_id(MOMENT, bytes(10))
OTHER = new_id(MOMENT, bytes(9) + b"\x01")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", [FileBlobs, MemoryBlobs])
def test_what_was_put_is_read_back_and_can_be_deleted(kind: type, tmp_path: Path) -> None:
    blobs: Blobs = kind(tmp_path) if kind is FileBlobs else kind()
    blobs.put(NAME, iter([b"one\r\n", b"", b"two\r\n"]))
    with blobs.open(NAME) as file:
        assert file.read() == b"one\r\ntwo\r\n"
        file.seek(5)
        assert file.read(3) == b"two"
    blobs.delete(NAME)
    blobs.delete(NAME)
    with pytest.raises(FileNotFoundError):
        blobs.open(NAME)


def test_a_blob_is_private_and_lies_in_the_folder_of_its_day(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    blobs.put(NAME, [b"x"])
    os.umask(before)
    [file] = files(tmp_path)
    assert file.relative_to(tmp_path / "blobs").as_posix() == f"2026/11/21/{NAME}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in file.parents[:4]} == {0o700}


def test_file_then_name_then_folder_are_synced_in_that_order(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(OTHER, [b"the day's folder is there"])
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append("sync folder" if path.is_dir() else f"sync {path.stat().st_size} octets")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    blobs.put(NAME, [b"abc", b"def"])
    assert done == ["sync 6 octets", "rename", "sync folder"]


def test_every_new_folder_is_synced_into_the_one_above(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink()))
    )
    blobs.put(NAME, [b"x"])
    root = tmp_path / "blobs"
    for folder in (root, root / "2026", root / "2026/11", root / "2026/11/21"):
        assert str(folder) in synced


def test_a_name_is_never_given_twice(blobs: FileBlobs, tmp_path: Path) -> None:
    blobs.put(NAME, [b"the first"])
    with pytest.raises(StoreUnavailable):
        blobs.put(NAME, [b"the second"])
    with blobs.open(NAME) as file:
        assert file.read() == b"the first"
    assert len(files(tmp_path)) == 1
    assert not blobs.failed


def test_of_two_that_put_one_name_at_once_the_second_does_no_harm(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"the "
        begun.set()
        assert go_on.wait(10)
        yield b"first"

    thread = threading.Thread(target=blobs.put, args=(NAME, slowly()))
    thread.start()
    assert begun.wait(10)
    with pytest.raises(StoreUnavailable):
        blobs.put(NAME, [b"the second"])
    go_on.set()
    thread.join()
    with blobs.open(NAME) as file:
        assert file.read() == b"the first"
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", NAME.upper(), NAME + "/x", "i" * 26, NAME + "\n"]
)
def test_only_an_id_is_a_name(name: str, blobs: FileBlobs) -> None:
    with pytest.raises(ValueError, match="not a blob name"):
        blobs.put(name, [b"x"])
    with pytest.raises(ValueError, match="not a blob name"):
        blobs.open(name)


def test_octets_that_stop_coming_leave_nothing(blobs: FileBlobs, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the spool is closed")

    with pytest.raises(ValueError, match="spool"):
        blobs.put(NAME, broken())
    assert files(tmp_path) == []
    assert not blobs.failed


def test_a_full_disk_is_temporary_and_leaves_nothing(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        blobs.put(NAME, [b"x"])
    monkeypatch.undo()
    assert files(tmp_path) == []
    assert not blobs.failed
    blobs.put(NAME, [b"x"])


@pytest.mark.parametrize("call", ["file", "folder"])
def test_after_a_failed_fsync_nothing_is_taken_and_the_fsync_is_not_tried_again(
    call: str, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(OTHER, [b"before"])
    fsync = os.fsync
    calls: list[int] = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == (call == "folder"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreUnavailable):
        blobs.put(NAME, [b"x"])
    assert blobs.failed
    seen = len(calls)
    with pytest.raises(StoreUnusable):
        blobs.put(new_id(MOMENT, b"9" * 10), [b"x"])
    assert len(calls) == seen
    with blobs.open(OTHER) as file:
        assert file.read() == b"before"


def test_the_old_are_found_by_age_unfinished_ones_too_and_foreign_files_never(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    blobs.put(NAME, [b"old"])
    blobs.put(OTHER, [b"new"])
    folder = tmp_path / "blobs/2026/11/21"
    unfinished = folder / f".{new_id(MOMENT, b'7' * 10)}.tmp"
    foreign = folder / "note of the operator.txt"
    (tmp_path / "blobs/2026/11/README").write_text("not a folder")
    for path in (folder / NAME, unfinished, foreign):
        path.touch()
        os.utime(path, (0, 0))
    assert sorted(blobs.older_than(60)) == sorted([unfinished, folder / NAME])
    later = new_id(int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000), bytes(10))
    blobs.put(later, [b"new"])
    assert blobs.older_than(60, days=1) == []
