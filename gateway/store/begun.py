"""Blobs that are half done: several can be finished together, sharing the fsync of their folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gateway.errors import StoreError, StoreUnavailable
from gateway.store.fault import reach
from mailboxes.durable import sync_folder

Sync = Callable[[int], None]


class BegunFile:
    """A `put` that is half done: written, but neither synced nor under its name."""

    def __init__(self, file: BinaryIO, temporary: Path, target: Path, sync: Sync) -> None:
        """`sync` makes a descriptor's octets, or a folder's names, last; it raises OSError."""
        self._file = file
        self._temporary, self._target = temporary, target
        self._sync = sync

    def hasten(self) -> None:
        """Let the kernel begin to write, so that several share the commits of its journal."""
        with suppress(OSError):  # only advice; what fails will fail when it is synced
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def name(self, after: Callable[[Path], None] = lambda _path: None) -> Path:
        """Sync it and give it its name; the folder that is to be synced then.

        `after` looks at the file in between. Raises StoreUnavailable; then nothing is kept.
        """
        try:
            with self._file as file:
                self._sync(file.fileno())
            after(self._temporary)
            reach("blob-synced")
            self._temporary.rename(self._target)
            reach("blob-renamed")
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError):
                raise unavailable(error) from error
            raise
        return self._target.parent

    def sync_folder(self) -> None:
        """Make its name last, and those of all its neighbours. Raises StoreUnavailable."""
        try:
            sync_folder(self._target.parent, self._sync)
        except OSError as error:
            raise unavailable(error) from error

    def finish(self, after: Callable[[Path], None] = lambda _path: None) -> None:
        """Both; on return the blob is on disk under its name."""
        self.name(after)
        self.sync_folder()
        reach("blob-kept")

    def abandon(self) -> None:
        """Remove what has no name yet."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def finish_all(begun: Sequence[BegunFile]) -> list[Exception | None]:
    """Finish several: each folder is synced once. None for each, or its StoreUnavailable."""
    outcomes: list[Exception | None] = []
    folders: dict[Path, BegunFile] = {}
    if len(begun) > 1:
        for one in begun:
            one.hasten()
    for one in begun:
        try:
            folders[one.name()] = one
            outcomes.append(None)
        except StoreError as error:
            outcomes.append(error)
    try:
        for one in folders.values():
            one.sync_folder()
    except StoreError as error:  # of one folder or another: nobody can rely on its name
        return [type(error)(error.public, cause=error.cause) for _ in begun]
    reach("blob-kept")
    return outcomes


def unavailable(error: OSError) -> StoreUnavailable:
    """The error of our tree for one of the disk's."""
    return StoreUnavailable("the store cannot take mail now", cause=str(error))
