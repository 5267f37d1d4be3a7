"""Blobs: exact octets under a document's id, durable when `put` returns, never overwritten.

The order in `FileBlobs.put` is the promise: write, fsync the file, rename, fsync the directory.
A crash before the rename leaves `.tmp` garbage; a crash after it leaves a blob that no row refers
to. The sweeper removes both once they are older than any transaction.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain.ids import is_id, time_of
from gateway.errors import StoreUnavailable, StoreUnusable
from gateway.store.fault import reach


class Blobs(Protocol):
    """Where octets are kept. Called from worker threads; each call is self-contained."""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep the octets under the name; on return they are on disk.

        Raises StoreUnavailable if nothing was kept, StoreUnusable after a failed fsync.
        """

    def open(self, name: str) -> BinaryIO:
        """A readable, seekable file of the octets. Raises FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Forget the name; no error if it is not there."""


class FileBlobs:
    """Blobs as files in folders by day: `2026/11/21/<id>`, so old folders never change."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: set[Path] = set()
        self._failed = False

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        if self._failed:
            raise StoreUnusable("a disk write failed before; restart after checking the disk")
        target = self._path(name)
        temporary = target.with_name(f".{name}.tmp")
        try:
            self._make_folder(target.parent)
            # Exclusive: of two that put one name, the second stops here.
            file = _create(temporary)
        except OSError as error:
            raise _unavailable(error) from error
        try:
            with file:
                if target.exists():  # a rename would replace it without a word
                    raise FileExistsError(f"{name} is kept already")
                for piece in pieces:
                    file.write(piece)
                file.flush()
                reach("blob-written")
                self._sync(file.fileno())
            reach("blob-synced")
            temporary.rename(target)
            reach("blob-renamed")
            self._sync_folder(target.parent)
            reach("blob-kept")
        except BaseException as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _unavailable(error) from error
            raise

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    @property
    def failed(self) -> bool:
        """Whether an fsync failed; from then on nothing is taken (the kernel may have dropped
        the pages, so trying the same fsync again would lie)."""
        return self._failed

    def older_than(self, seconds: float, *, days: int | None = None) -> list[Path]:
        """Files that were written longer ago, unfinished ones too; of the newest `days` folders."""
        before = time.time() - seconds
        folders = sorted(path for path in self._directory.glob("*/*/*") if path.is_dir())
        chosen = folders if days is None else folders[-days:]
        with_age = ((path, _written(path)) for folder in chosen for path in _ours(folder))
        return [path for path, written in with_age if written is not None and written < before]

    def _path(self, name: str) -> Path:
        if not is_id(name):
            raise ValueError(f"not a blob name: {name!r}")
        return self._directory / time_of(name).strftime("%Y/%m/%d") / name

    def _make_folder(self, folder: Path) -> None:
        if folder in self._ready:
            return
        missing = [f for f in (folder, *folder.parents) if not f.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        for path in (folder, *folder.parents):
            self._sync_folder(path)
            if path == self._directory:
                break
        self._ready.add(folder)

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _sync(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError:
            self._failed = True
            raise


class MemoryBlobs:
    """The fake: a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        self.kept[name] = b"".join(pieces)

    def open(self, name: str) -> BinaryIO:
        try:
            return io.BytesIO(self.kept[name])
        except KeyError:
            raise FileNotFoundError(name) from None

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _unavailable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable("the store cannot take mail now", cause=str(error))


def _ours(folder: Path) -> Iterator[Path]:
    """Blobs and unfinished ones; what somebody else has put there is not ours to judge."""
    for path in folder.iterdir():
        name = path.name
        if is_id(name) or (name.startswith(".") and is_id(name[1:].removesuffix(".tmp"))):
            yield path


def _written(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
