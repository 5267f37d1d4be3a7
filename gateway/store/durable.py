"""Making files and names last: on return the disk has them, as far as it keeps what fsync says."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, last. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """The same for a folder and all files and folders below it. Raises OSError."""
    for where, _folders, files in os.walk(folder):
        for name in files:
            path = Path(where, name)
            if path.is_file() and not path.is_symlink():  # an agent's sockets are nobody's
                sync(path)
        sync(Path(where))
