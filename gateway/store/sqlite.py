"""What only a file of SQLite can have: another process's lock, or a name that is gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

LOCK_SECONDS = 2.0  # a batch of the writer is done in less; the health page waits 3 seconds


def trouble(path: str) -> str:
    """Why a file of SQLite takes no writes: locked, damaged, gone or not ours to write."""
    try:
        uri = f"file:{quote(path)}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return str(error)
    return ""
