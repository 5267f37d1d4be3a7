"""Blobs as files: durable when `put` returns; an fsync that failed is never tried again.

What all drivers promise is in test_contract.py.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from gateway.domain.ids import new_id
from gateway.errors import StoreDamaged, StoreUnavailable, StoreUnusable
from gateway.store.begun import BegunFile, finish_all
from gateway.store.blobs import FileBlobs

MOMENT = 1_795_255_200_000  # 2026-11-21, in milliseconds
NAME = new_id(MOMENT, bytes(10))
OTHER = new_id(MOMENT, bytes(9) + b"\x01")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


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


def test_who_syncs_while_another_learns_of_a_failure_does_not_believe_his_own(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(OTHER, [b"before"])
    mine = begun(blobs, NAME, b"x")

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(StoreUnavailable):
            blobs.put(new_id(MOMENT, b"9" * 10), [b"x"])
    assert [type(one) for one in finish_all([mine])] == [StoreUnavailable]


def test_the_folder_of_a_new_day_is_made_by_who_may_wait(blobs: FileBlobs) -> None:
    assert blobs.begin(NAME, [b"x"]) is None
    blobs.put(NAME, [b"x"])
    begun(blobs, OTHER, b"y").finish()
    assert sorted(one.name for one in blobs.list()) == sorted([NAME, OTHER])


def test_who_is_told_of_a_failed_disk_is_told_once_the_fsync_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    blobs = FileBlobs(tmp_path, told.append)
    blobs.put(OTHER, [b"before"])
    assert told == []

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreUnavailable):
        blobs.put(NAME, [b"x"])
    assert told == ["a blob could not be synced: Input/output error"]


def test_unfinished_blobs_are_listed_in_their_place_and_foreign_files_never(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    blobs.put(NAME, [b"old"])
    blobs.put(OTHER, [b"new"])
    folder = tmp_path / "blobs/2026/11/21"
    between = NAME[:-1] + "0" if NAME[-1] != "0" else NAME[:-2] + "0z"
    (folder / f".{between}.tmp").write_bytes(b"unfinished")
    (folder / "note of the operator.txt").write_text("not ours")
    (folder / "lost+found").mkdir()
    (tmp_path / "blobs/2026/11/README").write_text("not a folder")
    assert [(kept.name, kept.size, kept.whole) for kept in blobs.list()] == sorted(
        [(NAME, 3, True), (OTHER, 3, True), (between, 10, False)]
    )
    blobs.discard(between)
    blobs.discard(between)
    assert [kept.name for kept in blobs.list()] == [NAME, OTHER]


def test_listing_from_a_name_on_does_not_look_into_older_folders(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    blobs.put(NAME, [b"old"])
    later = new_id(int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000), bytes(10))
    blobs.put(later, [b"new"])
    old = tmp_path / "blobs/2026/11/21"
    old.rename(old.with_name("21-moved-away"))
    old.touch()  # to look into it would fail
    assert [kept.name for kept in blobs.list(since=later)] == [later]


def test_a_folder_that_takes_no_file_is_trouble(blobs: FileBlobs, tmp_path: Path) -> None:
    assert blobs.trouble() == ""  # before there is a folder at all
    blobs.put(NAME, [b"x"])
    assert blobs.trouble() == ""
    assert [path.name for path in files(tmp_path)] == [NAME]  # the probe leaves nothing


def test_a_full_disk_is_trouble_that_ends_by_itself(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", full)
        assert blobs.trouble() == "no mail can be stored: No space left on device"
    assert blobs.trouble() == ""


def test_a_replacement_that_is_not_the_same_never_takes_the_place(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    blobs.put(NAME, [b"the old octets"])
    [path] = files(tmp_path)

    def refuse(file: BinaryIO) -> None:
        raise StoreDamaged(file.read().decode())

    with pytest.raises(StoreDamaged, match="the new octets"):
        blobs.replace(NAME, [b"the new octets"], refuse)
    assert path.read_bytes() == b"the old octets"
    (path.with_name(f".{NAME}.tmp")).write_bytes(b"of a command that was stopped")
    blobs.replace(NAME, [b"the new octets"], lambda _file: None)
    assert path.read_bytes() == b"the new octets"
    assert len(files(tmp_path)) == 1


def test_the_identity_lies_beside_the_blobs_and_is_none_of_them(blobs: FileBlobs) -> None:
    assert blobs.read_identity() == ""
    blobs.write_identity("one")
    blobs.write_identity("two")
    assert blobs.read_identity() == "two"
    assert list(blobs.list()) == []


def test_blobs_that_are_finished_together_share_the_fsync_of_their_folder(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put(NAME, [b"the day's folder is there"])
    synced: list[bool] = []  # whether it was a folder
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().is_dir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    names = [new_id(MOMENT, bytes(9) + bytes([number])) for number in range(2, 6)]
    some = [begun(blobs, name, name.encode()) for name in names]
    assert synced == []
    assert finish_all(some) == [None] * 4
    assert synced == [False] * 4 + [True]
    for name in names:
        with blobs.open(name) as file:
            assert file.read() == name.encode()


def begun(blobs: FileBlobs, name: str, octets: bytes) -> BegunFile:
    """A blob that is half done, in a folder that is there."""
    blobs._make_folder(blobs._path(name).parent)
    one = blobs.begin(name, [octets])
    assert one is not None
    return one


def test_of_several_only_the_one_that_cannot_be_kept_is_lost(blobs: FileBlobs) -> None:
    first, second = (begun(blobs, name, b"x") for name in (NAME, OTHER))
    second._temporary.unlink()  # somebody has tidied up
    good, bad = finish_all([first, second])
    assert good is None
    assert isinstance(bad, StoreUnavailable)
    assert [kept.name for kept in blobs.list()] == [NAME]


def test_what_was_begun_and_abandoned_leaves_nothing_and_can_be_put_again(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    begun(blobs, NAME, b"first").abandon()
    assert files(tmp_path) == []
    blobs.put(NAME, [b"second"])
    with pytest.raises(StoreUnavailable):
        blobs.begin(NAME, [b"third"])
    with blobs.open(NAME) as file:
        assert file.read() == b"second"
    assert len(files(tmp_path)) == 1
