"""The log of the recorder: changes of the recorded folders and sends to peers, in their order."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("recorder.c")
_HEAD = struct.Struct("<IIQQqqIIII")


class Kind(IntEnum):
    """What was done; the same numbers as in recorder.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    RENAME = 4
    LINK = 5
    UNLINK = 6
    MKDIR = 7
    RMDIR = 8
    FSYNC_BEGIN = 9
    FSYNC_END = 10
    SEND = 11
    MMAP = 12
    SYMLINK = 13
    ALLOCATE = 14
    UNKNOWN = 15
    MARK = 100  # a word of the test itself


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `offset` of FSYNC_END is the number of its beginning, of SEND the peer's port."""

    kind: Kind
    number: int
    inode: int
    offset: int
    length: int
    path: str
    other: str
    data: bytes

    @property
    def unnamed(self) -> bool:
        """Whether the file had no name then: what a crash leaves of it nobody can find."""
        return self.path.endswith(" (deleted)")


@dataclass(frozen=True, slots=True)
class Recorder:
    """The library, and where its log and its orders stand."""

    library: Path
    log: Path
    orders: Path

    def environment(self, *folders: Path, record: bool = True) -> dict[str, str]:
        """What a recorded process needs."""
        found = {
            "LD_PRELOAD": str(self.library),
            "YIZHAN_FAULTS": str(self.orders),
            "YIZHAN_RECORD_FOLDERS": ":".join(str(folder.resolve()) for folder in folders),
        }
        return found | ({"YIZHAN_RECORD": str(self.log)} if record else {})

    def mark(self, word: str) -> None:
        """Write a word of the test between the records; a single append keeps the order."""
        octets = word.encode()
        size = _HEAD.size + len(octets)
        head = _HEAD.pack(size, Kind.MARK, 0, 0, 0, 0, os.getpid(), len(octets), 0, 0)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            assert os.write(descriptor, head + octets) == size
        finally:
            os.close(descriptor)

    def order(self, *lines: str) -> None:
        """Let these calls fail from now on; without lines none does."""
        fresh = self.orders.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.rename(self.orders)

    def events(self) -> list[Event]:
        """The whole log."""
        return list(_read(self.log.read_bytes()))


def build(compiler: str, folder: Path) -> Path:
    """Compile the recorder; returns the library."""
    library = folder / "recorder.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
         "-o", library, SOURCE, "-ldl", "-lpthread"],
        check=True,
    )  # fmt: skip
    return library


def _read(octets: bytes) -> Iterator[Event]:
    place, last = 0, 0
    while place < len(octets):
        head = _HEAD.unpack_from(octets, place)
        size, kind, number, inode, offset, length, _pid, path_size, other_size, data_size = head
        assert size == _HEAD.size + path_size + other_size + data_size, "the log is damaged"
        start = place + _HEAD.size
        path = octets[start : start + path_size].decode()
        other = octets[start + path_size : start + path_size + other_size].decode()
        data = octets[start + path_size + other_size : place + size]
        if kind == Kind.MARK:
            number = last
        assert number in (last, last + 1), "the log has a gap"
        last = number
        yield Event(Kind(kind), number, inode, offset, length, path, other, data)
        place += size
