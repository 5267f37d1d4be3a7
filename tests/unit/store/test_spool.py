"""The spool: exact octets, and never one of them on disk in the clear."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store import spool as spools
from gateway.store.spool import PIECE, Spool

ROOT = Path(__file__).resolve().parents[3]
MARK = b"the plain words of a document"


def filled(folder: Path, octets: bytes, memory: int = 1000, step: int = 777) -> Spool:
    spool = Spool(folder, memory)
    for start in range(0, len(octets), step):
        spool.write(octets[start : start + step])
    spool.finish()
    return spool


def in_file(spool: Spool) -> bytes:
    """What lies in the unnamed file."""
    size = os.fstat(spool._descriptor).st_size
    return os.pread(spool._descriptor, size, 0)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, PIECE - 1, PIECE, PIECE + 1, 300_000])
@pytest.mark.parametrize("memory", [1, 1000, 1_000_000])
def test_what_went_in_comes_out_with_its_size_and_digest(
    size: int, memory: int, tmp_path: Path
) -> None:
    octets = random.Random(size).randbytes(size)
    spool = filled(tmp_path, octets, memory, 4096)
    assert spool.read() == octets
    assert b"".join(spool.chunks()) == octets
    assert all(len(piece) <= PIECE for piece in spool.chunks())
    assert (spool.size, spool.sha256) == (size, hashlib.sha256(octets).digest())
    spool.close()


def test_a_large_message_waits_in_a_file_without_a_name_and_without_its_words(
    tmp_path: Path,
) -> None:
    spool = filled(tmp_path, MARK * 1000)
    assert list(tmp_path.iterdir()) == []
    kept = in_file(spool)
    assert len(kept) == spool.size
    assert MARK not in kept
    assert os.fstat(spool._descriptor).st_mode & 0o077 == 0
    spool.close()


def test_two_messages_never_share_a_key(tmp_path: Path) -> None:
    first, second = filled(tmp_path, MARK * 100), filled(tmp_path, MARK * 100)
    assert in_file(first) != in_file(second)
    first.close()
    second.close()


def test_where_there_is_no_unnamed_file_the_name_goes_before_the_first_octet_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def without(path: object, flags: int, *more: int, **named: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return real(path, flags, *more, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(spools.os, "open", without)
    spool = filled(tmp_path, MARK * 1000)
    assert list(tmp_path.iterdir()) == []
    assert MARK not in in_file(spool)
    assert spool.read() == MARK * 1000
    spool.close()


def test_memory_stays_bounded_while_a_message_comes_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    for _ in range(100):
        spool.write(bytes(8192))
        assert len(spool._head) <= 10_000
    spool.finish()
    assert len(spool._head) == 0
    spool.close()


def test_the_pieces_can_be_read_again_and_from_many_threads_at_once(tmp_path: Path) -> None:
    octets = random.Random(1).randbytes(500_000)
    spool = filled(tmp_path, octets, step=50_000)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _n: b"".join(spool.chunks()), range(16)))
    assert all(one == octets for one in read)
    one, other = spool.chunks(), spool.chunks()
    assert next(one) == next(other)
    spool.close()


def test_forty_messages_at_once_keep_apart(tmp_path: Path) -> None:
    def through(number: int) -> bool:
        octets = random.Random(number).randbytes(200_000 + number)
        spool = filled(tmp_path, octets, memory=65_536, step=16_384)
        same = spool.read() == octets and hashlib.sha256(octets).digest() == spool.sha256
        spool.close()
        return same

    with ThreadPoolExecutor(40) as pool:
        assert all(pool.map(through, range(40)))


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_closed_spool_never_looks_like_an_empty_message(size: int, tmp_path: Path) -> None:
    spool = filled(tmp_path, bytes(size))
    pieces = spool.chunks()
    spool.close()
    spool.close()
    with pytest.raises(ValueError, match="closed"):
        next(pieces)
    with pytest.raises(ValueError, match="closed"):
        spool.read()


def test_closing_gives_the_disk_back(tmp_path: Path) -> None:
    spool = filled(tmp_path, bytes(100_000))
    descriptor = spool._descriptor
    spool.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


_KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.store.spool import Spool
spool = Spool(Path(sys.argv[1]), 1000)
spool.write(b"the plain words of a document" * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_to_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _octets: bytes) -> int:
        raise OSError(28, "No space left on device")

    spool = Spool(tmp_path, 1000)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.write(bytes(2000))
    monkeypatch.undo()
    spool.close()


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    lock = threading.Lock()

    def short(descriptor: int, octets: memoryview) -> int:
        with lock:
            return real(descriptor, octets[:7])

    spool = Spool(tmp_path, 100)
    monkeypatch.setattr(os, "write", short)
    spool.write(MARK * 10)
    spool.finish()
    monkeypatch.undo()
    assert spool.read() == MARK * 10
    spool.close()
