"""Makes the names in a folder last: after a rename, the file is there under its name or not at all
only once its folder was synced, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def sync_folder(folder: Path, sync: Callable[[int], None] | None = None) -> None:
    """Wait until the disk has the folder's names. `sync` is `os.fsync`, or what calls it.

    Raises OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (sync or os.fsync)(descriptor)
    finally:
        os.close(descriptor)
