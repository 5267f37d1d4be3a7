"""Blobs: exact octets under a document's id, durable when `put` returns, never overwritten.

The order in `FileBlobs` is the promise: write, fsync the file, rename, fsync the directory.
A crash before the rename leaves `.tmp` garbage; a crash after it leaves a blob that no row refers
to. The sweeper looks after both (`delivery.sweeper`).
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain.ids import is_id, time_of
from gateway.errors import StoreUnavailable, StoreUnusable
from gateway.store.begun import BegunFile, unavailable
from gateway.store.fault import reach
from mailboxes.durable import sync_folder

IDENTITY = "identity"  # the file or object that says whose blobs these are
_DAY = "%Y/%m/%d"
_PROBE = bytes(4096)


@dataclass(frozen=True, slots=True)
class Kept:
    """One blob as it lies in the store."""

    name: str
    size: int  # octets as kept: of an encrypted blob more than the document has
    written: float  # Unix seconds
    whole: bool  # False: a `put` that has not ended, or never will


Check = Callable[[BinaryIO], None]
"""Reads new octets before they take the place of old ones, and may close the file.

Raises if they are not the same.
"""


class Blobs(Protocol):
    """Where octets are kept. Each call is self-contained; threads may make them."""

    @property
    def near(self) -> bool:
        """Whether octets come from this machine, so that a short read is no wait."""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep the octets under the name; on return they are on disk.

        Raises StoreUnavailable if nothing was kept (also if the name is taken), StoreUnusable
        after a failed fsync.
        """

    def begin(self, name: str, pieces: Iterable[bytes]) -> BegunFile | None:
        """`put` in two steps: the octets are written, without waiting for the disk.

        None if that cannot be done now without waiting; then nothing was done. Raises as `put`.
        """

    def open(self, name: str) -> BinaryIO:
        """A readable, seekable file of the octets.

        Raises FileNotFoundError, and StoreDamaged (here or while it is read) if they are not
        those that were put.
        """

    def delete(self, name: str) -> None:
        """Forget the name; no error if it is not there."""

    def list(self, *, since: str = "") -> Iterator[Kept]:
        """What is kept, in the order of the names, from the name `since` on."""

    def discard(self, name: str) -> None:
        """Remove what an unfinished `put` of that name has left; no error if there is nothing."""

    def trouble(self) -> str:
        """Why nothing can be put now, one sentence, found by trying; empty if it can."""


class Driver(Blobs, Protocol):
    """What keeps the octets themselves. Beside documents' octets it keeps one identity."""

    def replace(self, name: str, pieces: Iterable[bytes], check: Check) -> None:
        """Keep these octets under a name that is there already, for `yizhan storage`.

        `check` reads the new ones first. At each moment the name has the old or the new octets,
        whole. Raises FileNotFoundError, what `check` raises, and what `put` raises.
        """

    def read_identity(self) -> str:
        """Whose blobs these are; empty if that was never written."""

    def write_identity(self, identity: str) -> None:
        """Say whose they are, durably."""


class FileBlobs:
    """Blobs as files in folders by day: `2026/11/21/<id>`, so old folders never change."""

    near = True

    def __init__(self, directory: Path, fail: Callable[[str], None] | None = None) -> None:
        """`fail` is told the cause after a failed fsync, when nothing is taken any more."""
        self._directory = directory
        self._ready: set[Path] = set()
        self._failed = False
        self._fail = fail

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        self._begin(name, pieces).finish()

    def begin(self, name: str, pieces: Iterable[bytes]) -> BegunFile | None:
        if self._path(name).parent not in self._ready:
            return None  # the folder of a new day is made, and synced, by whoever may wait
        return self._begin(name, pieces)

    def _begin(self, name: str, pieces: Iterable[bytes]) -> BegunFile:
        target = self._path(name)

        def is_free(_file: BinaryIO) -> None:
            if target.exists():  # a rename would replace it without a word
                raise FileExistsError(f"{name} is kept already")

        return self._write(target, pieces, before=is_free)

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def replace(self, name: str, pieces: Iterable[bytes], check: Check) -> None:
        target = self._path(name)
        if not target.exists():
            raise FileNotFoundError(name)

        def compare(temporary: Path) -> None:
            with temporary.open("rb") as file:
                check(file)

        self.discard(name)  # of a command that was stopped; only one runs at a time
        self._write(target, pieces).finish(compare)

    def _write(
        self, target: Path, pieces: Iterable[bytes], *, before: Check = lambda _file: None
    ) -> BegunFile:
        if self._failed:
            raise StoreUnusable("a disk write failed before; restart after checking the disk")
        temporary = _unfinished(target)
        try:
            self._make_folder(target.parent)
            # Exclusive: of two that put one name, the second stops here.
            file = _create(temporary)
        except OSError as error:
            raise unavailable(error) from error
        begun = BegunFile(file, temporary, target, self._sync)
        try:
            before(file)
            for piece in pieces:
                file.write(piece)
            file.flush()
        except BaseException as error:
            begun.abandon()
            if isinstance(error, OSError):
                raise unavailable(error) from error
            raise
        reach("blob-written")
        return begun

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def discard(self, name: str) -> None:
        _unfinished(self._path(name)).unlink(missing_ok=True)

    def list(self, *, since: str = "") -> Iterator[Kept]:
        first = time_of(since).strftime(_DAY) if since else ""
        for folder in self._days(first):
            for path in sorted(_ours(folder), key=_name):
                name = _name(path)
                if name < since:
                    continue
                with suppress(FileNotFoundError):  # it may end or be deleted meanwhile
                    found = path.stat()
                    yield Kept(name, found.st_size, found.st_mtime, path.name == name)

    def _days(self, first: str) -> Iterator[Path]:
        """The folders of the days from that one on, in order."""
        for year in _folders(self._directory):
            for month in _folders(year):
                for day in _folders(month):
                    if f"{year.name}/{month.name}/{day.name}" >= first:
                        yield day

    def trouble(self) -> str:
        if self._failed:
            return "no mail is taken: a disk write failed; check the disk, then restart"
        try:
            with tempfile.TemporaryFile(dir=self._there()) as file:  # it never has a name
                file.write(_PROBE)
        except OSError as error:
            return f"no mail can be stored: {error.strerror}"
        return ""

    def _there(self) -> Path:
        """The folder, or the nearest above it while there is none."""
        return next(f for f in (self._directory, *self._directory.parents) if f.exists())

    @property
    def failed(self) -> bool:
        """Whether an fsync failed; from then on nothing is taken (the kernel may have dropped
        the pages, so trying the same fsync again would lie)."""
        return self._failed

    def read_identity(self) -> str:
        try:
            return (self._directory / IDENTITY).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return ""

    def write_identity(self, identity: str) -> None:
        self._make_folder(self._directory)
        temporary = self._directory / f".{IDENTITY}.tmp"
        temporary.unlink(missing_ok=True)
        with _create(temporary) as file:
            file.write(identity.encode("ascii") + b"\n")
            file.flush()
            self._sync(file.fileno())
        temporary.rename(self._directory / IDENTITY)
        sync_folder(self._directory, self._sync)

    def _path(self, name: str) -> Path:
        if not is_id(name):
            raise ValueError(f"not a blob name: {name!r}")
        return self._directory / time_of(name).strftime(_DAY) / name

    def _make_folder(self, folder: Path) -> None:
        if folder in self._ready:
            return
        missing = [f for f in (folder, *folder.parents) if not f.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        for path in (folder, *folder.parents):
            sync_folder(path, self._sync)
            if path == self._directory:
                break
        self._ready.add(folder)

    def _sync(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            self._failed = True
            if self._fail is not None:
                self._fail(f"a blob could not be synced: {error.strerror}")
            raise
        if self._failed:
            # The kernel tells an error once for each open file: another's may have been this one's.
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class MemoryBlobs:
    """The fake: a dictionary."""

    near = True

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.written: dict[str, float] = {}
        self._identity = ""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        octets = b"".join(pieces)
        if name in self.kept:
            raise StoreUnavailable(
                "the store cannot take mail now", cause=f"{name} is kept already"
            )
        self.kept[name] = octets
        self.written[name] = time.time()

    def begin(self, name: str, pieces: Iterable[bytes]) -> None:
        """There is no disk to wait for."""

    def open(self, name: str) -> BinaryIO:
        try:
            return io.BytesIO(self.kept[name])
        except KeyError:
            raise FileNotFoundError(name) from None

    def replace(self, name: str, pieces: Iterable[bytes], check: Check) -> None:
        octets = b"".join(pieces)
        if name not in self.kept:
            raise FileNotFoundError(name)
        check(io.BytesIO(octets))
        self.kept[name] = octets

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)

    def discard(self, name: str) -> None:
        """There is never anything unfinished."""

    def list(self, *, since: str = "") -> Iterator[Kept]:
        for name in sorted(self.kept):
            if name >= since:
                yield Kept(name, len(self.kept[name]), self.written[name], whole=True)

    def trouble(self) -> str:
        return ""

    def read_identity(self) -> str:
        return self._identity

    def write_identity(self, identity: str) -> None:
        self._identity = identity


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _name(path: Path) -> str:
    """The blob's name, of an unfinished one too."""
    return path.name.removeprefix(".").removesuffix(".tmp")


def _ours(folder: Path) -> Iterator[Path]:
    """Blobs and unfinished ones; what somebody else has put there is not ours to judge."""
    for path in folder.iterdir():
        name = path.name
        if is_id(name) or (name.startswith(".") and is_id(name[1:].removesuffix(".tmp"))):
            yield path


def _folders(folder: Path) -> list[Path]:
    """The folders in it, in order; none if it is not there."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
