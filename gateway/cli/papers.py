"""New files that a command makes for whoever calls it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from gateway.errors import CommandError


def new_file(path: Path, mode: int) -> BinaryIO:
    """A new file for what a command makes; opened before the command steps down from root.

    Raises CommandError if it is there already or cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise CommandError(f"{path}: there is such a file already; name another") from None
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None
    return os.fdopen(descriptor, "wb")
