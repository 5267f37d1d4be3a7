"""Exports a mailbox as a Maildir that any mail program reads: exact octets, flags, dates, folders.

Each file is complete and on disk before it has its name, so an export that was stopped is finished
by running it again: files that are there already are not written twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from mailboxes import utf7
from mailboxes.durable import sync_folder
from mailboxes.reading import MessageReader
from mailboxes.rows import Folder, MessageRow

_LETTERS = {
    "\\Draft": "D", "\\Flagged": "F", "$Forwarded": "P", "\\Answered": "R", "\\Seen": "S",
    "\\Deleted": "T",
}  # fmt: skip
_MAX_KEYWORDS = 26


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is."""

    folder: str
    done: int  # messages, of all folders
    total: int
    octets: int


def export(
    store: MessageReader,
    conn: Connection,
    owner: str,
    directory: Path,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    unreadable: tuple[type[Exception], ...] = (),
) -> Progress:
    """Write the owner's mailbox into the directory (Maildir++ folders); what was done.

    A message whose octets raise one of `unreadable` is left out; the caller knows of it elsewhere.

    Raises NoSuchFolder without such an owner, FileExistsError if the directory holds something
    else, OSError when the disk is full or fails.
    """
    folders = store.folders(conn, owner)
    _make_root(directory)
    total = sum(folder.messages for folder in folders)
    state = Progress("", 0, total, 0)
    for folder in folders:
        target = directory if folder.name == "INBOX" else directory / _folder_name(folder.name)
        _make_folder(target, inner=folder.name != "INBOX")
        keywords: dict[str, str] = {}
        for row in store.messages(conn, folder.id):
            name = f"{_unique(folder, row)}:2,{_flags(row.flags, keywords)}"
            written = 0
            if not _exists(target, name):
                try:
                    written = _write(target, name, store.pieces(conn, row.id), row.arrived)
                except unreadable:
                    (target / "tmp" / name.partition(":")[0]).unlink(missing_ok=True)
                    continue
            state = Progress(folder.name, state.done + 1, total, state.octets + written)
            progress(state)
        if keywords:
            lines = "".join(f"{ord(key) - ord('a')} {name}\n" for name, key in keywords.items())
            _write_file(target / "dovecot-keywords", iter([lines.encode()]))
        for part in (target / "cur", target):
            sync_folder(part)
    sync_folder(directory)
    return state


def _folder_name(name: str) -> str:
    """Maildir++: a dot in front of each level, so a dot in a name must not look like one."""
    return "".join(f".{utf7.encode(level, also='.')}" for level in name.split("/"))


def _unique(folder: Folder, row: MessageRow) -> str:
    """Always the same name for the same message, and another after UIDVALIDITY changed."""
    seconds = int(row.arrived.timestamp())
    return f"{seconds}.V{folder.uidvalidity}U{row.uid}.yizhan,S={row.size}"


def _flags(flags: tuple[str, ...], keywords: dict[str, str]) -> str:
    letters = {_LETTERS[flag] for flag in flags if flag in _LETTERS}
    for flag in flags:
        if flag not in _LETTERS and (flag in keywords or len(keywords) < _MAX_KEYWORDS):
            letters.add(keywords.setdefault(flag, chr(ord("a") + len(keywords))))
    return "".join(sorted(letters))


def _make_root(directory: Path) -> None:
    if directory.is_dir() and any(directory.iterdir()) and not (directory / "cur").is_dir():
        raise FileExistsError(f"{directory} is not empty and not a Maildir")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(directory.parent)


def _make_folder(target: Path, *, inner: bool) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for name in ("cur", "new", "tmp"):
        (target / name).mkdir(mode=0o700, exist_ok=True)
    if inner:
        (target / "maildirfolder").touch(mode=0o600)


def _exists(target: Path, name: str) -> bool:
    """Whether that message was exported before; its flags are brought up to date."""
    path = target / "cur" / name
    if path.exists():
        return True
    unique = name.partition(":")[0]
    for old in (target / "cur").glob(f"{unique}:2,*"):
        old.rename(path)
        return True
    return False


def _write(target: Path, name: str, pieces: Iterator[bytes], arrived: datetime) -> int:
    temporary = target / "tmp" / name.partition(":")[0]
    size = _write_file(temporary, pieces)
    os.utime(temporary, (arrived.timestamp(), arrived.timestamp()))
    temporary.rename(target / "cur" / name)
    return size


def _write_file(path: Path, pieces: Iterator[bytes]) -> int:
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return size
