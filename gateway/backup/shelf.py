"""The folder of a backup: pieces named by their digest, blobs by their names, generations by time.

Nothing in it is ever changed: a file is written under another name, synced, read back and then
renamed, and a generation exists from the rename of its manifest on. So whatever kills a backup, all
earlier generations stay whole, and the next run goes on where it ended.

    yizhan-backup.json        whose backup this is
    generations/<id>.json     one manifest for each backup that was made, and its seal <id>.seal
    pieces/ab/<sha256>        rows of the database, lists of blobs, settings, keys
    blobs/2026/11/21/<id>     the documents as the store keeps them
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.domain.ids import is_id, time_of
from gateway.errors import CommandError
from gateway.evidence.record import canonical
from mailboxes.durable import sync_folder

MARK = "yizhan-backup.json"
FORMAT = 1
DAY = "%Y/%m/%d"
READ = 1 << 20  # octets at a time
LARGEST_PIECE = 1 << 28  # octets; nothing that we write comes near, a damaged size might


class Damaged(CommandError):
    """A file of a backup is missing or is not what was written; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of `pieces/`."""

    sha256: str
    size: int  # octets


@dataclass(frozen=True, slots=True)
class Copy:
    """The copy of one blob: its file, and what was read back from the disk."""

    file: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The blob's own name."""
        return self.file.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy that is written, but perhaps not on disk yet."""

    temporary: Path
    file: str  # the name that it gets
    piece: Piece


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose backup a folder holds."""

    identity: str
    domain: str

    def render(self) -> bytes:
        """The octets of the file."""
        return canonical({"format": FORMAT, "identity": self.identity, "domain": self.domain})


class Shelf:
    """One folder of backups."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._touched: set[Path] = set()

    def mark(self) -> Mark | None:
        """Whose it is; None if it is no backup yet. Raises Damaged, CommandError if it is newer."""
        path = self.directory / MARK
        try:
            octets = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _read_mark(path, octets)

    def require(self) -> Mark:
        """Whose it is. Raises CommandError if there is no backup here."""
        found = self.mark()
        if found is None:
            raise CommandError(f"{self.directory}: there is no backup here (no {MARK})")
        return found

    def claim(self, mark: Mark) -> None:
        """Make it this office's folder, or see that it is.

        Raises CommandError if it belongs to another office or holds something else.
        """
        found = self.mark()
        if found is not None:
            if found != mark:
                raise CommandError(
                    f"{self.directory} holds the backups of another office ({found.domain}, store "
                    f"{found.identity}); name another folder"
                )
            return
        if self.directory.exists() and any(self.directory.iterdir()):
            raise CommandError(f"{self.directory}: this folder is not empty and holds no backup")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.directory / MARK, mark.render())
        sync_folder(self.directory.parent)
        sync_folder(self.directory)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one backup writes at a time. Raises CommandError if another does."""
        with (self.directory / MARK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"{self.directory}: another backup is being written here"
                ) from None
            yield

    def put(self, octets: bytes) -> Piece:
        """Keep octets, once however often they come; the folder is synced by `settle`."""
        piece = Piece(hashlib.sha256(octets).hexdigest(), len(octets))
        path = self.piece_path(piece)
        try:
            if path.stat().st_size == piece.size:
                self.adopt(path)
                return piece
        except FileNotFoundError:
            pass
        self._prepare(path.parent)
        write(path, octets)
        return piece

    def get(self, piece: Piece) -> bytes:
        """What was kept. Raises Damaged if it is not there or not what it was."""
        path = self.piece_path(piece)
        try:
            if path.stat().st_size > LARGEST_PIECE:
                raise Damaged(f"{path}: is damaged (its size is not that of a piece)")
            octets = path.read_bytes()
        except OSError as error:
            raise Damaged(f"{path}: cannot be read: {error.strerror}") from None
        if hashlib.sha256(octets).hexdigest() != piece.sha256:
            raise Damaged(f"{path}: is damaged (its SHA-256 is not its name)")
        return octets

    def piece_path(self, piece: Piece) -> Path:
        """Where it lies."""
        return self.directory / "pieces" / piece.sha256[:2] / piece.sha256

    def blob_path(self, file: str) -> Path:
        """Where the copy of a blob lies: its name, or name, dot and part of its digest.

        Raises ValueError for what is no name of one.
        """
        name, _, version = file.partition(".")
        if not is_id(name) or not (version.isalnum() or version == ""):
            raise ValueError(f"not a blob name: {file!r}")
        return self.directory / "blobs" / time_of(name).strftime(DAY) / file

    def stage_blob(self, name: str, source: BinaryIO, *, beside: bool = False) -> Staged:
        """Write a blob under another name, not yet synced; hand it to `secure_blob`.

        `beside`: another version of it is there, which earlier generations need. Safe in threads.
        """
        path = self.blob_path(name)
        self._prepare(path.parent)
        temporary = path.with_name(f".{name}.tmp")
        found, size = hashlib.sha256(), 0
        with create(temporary) as file:
            while octets := source.read(READ):
                found.update(octets)
                size += file.write(octets)
        piece = Piece(found.hexdigest(), size)
        return Staged(temporary, f"{name}.{piece.sha256[:16]}" if beside else name, piece)

    def secure_blob(self, staged: Staged) -> Copy:
        """Sync it, read it back from the disk, give it its name. Safe in threads.

        Apart from writing, because of many that were written the first sync takes most along.
        """
        descriptor = os.open(staged.temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path = staged.temporary.with_name(staged.file)
        if _digest_of(staged.temporary) != staged.piece.sha256:
            raise _other_octets(path)
        staged.temporary.rename(path)
        return Copy(staged.file, staged.piece.sha256, staged.piece.size)

    def adopt(self, path: Path) -> None:
        """A whole file that a killed run has left: `settle` makes its name durable."""
        self._touched.add(path.parent)

    def settle(self) -> None:
        """All names that were given are on disk when this returns."""
        folders = set(self._touched)
        for folder in self._touched:
            folders.update(f for f in folder.parents if self.directory in (f, *f.parents))
        for folder in sorted(folders):
            sync_folder(folder)
        self._touched.clear()

    def generations(self) -> list[str]:
        """The ids of all generations, oldest first."""
        found = (self.directory / "generations").glob("*.json")
        return sorted(path.stem for path in found if is_id(path.stem))

    def generation_path(self, generation: str, ending: str = "json") -> Path:
        """Where its manifest lies, or its seal."""
        return self.directory / "generations" / f"{generation}.{ending}"

    def publish(self, generation: str, manifest: bytes, seal: bytes) -> None:
        """From the return on the generation exists; a crash before leaves none of it."""
        folder = self.directory / "generations"
        self._prepare(folder)
        self.settle()
        write(self.generation_path(generation, "seal"), seal)
        write(self.generation_path(generation), manifest)
        sync_folder(folder)

    def remove(self, path: Path) -> None:
        """Take a file away."""
        path.unlink(missing_ok=True)

    def _prepare(self, folder: Path) -> None:
        if folder not in self._touched:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._touched.add(folder)


def write(path: Path, octets: bytes) -> None:
    """Write a file that is whole or not there; its name is durable once its folder is synced."""
    temporary = path.with_name(f".{path.name}.tmp")
    with create(temporary) as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    if _digest_of(temporary) != hashlib.sha256(octets).hexdigest():
        raise _other_octets(path)
    temporary.rename(path)


def create(path: Path) -> BinaryIO:
    """A new file that only its owner can read; what a killed run has left there is replaced."""
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


def digest(file: BinaryIO) -> Piece:
    """Size and digest of the rest of a file."""
    found, size = hashlib.sha256(), 0
    while octets := file.read(READ):
        found.update(octets)
        size += len(octets)
    return Piece(found.hexdigest(), size)


def _other_octets(path: Path) -> OSError:
    return OSError(errno.EIO, "the disk gave back other octets than were written", str(path))


def _digest_of(path: Path) -> str:
    """The digest of what the disk has, as far as the kernel can be asked to look there."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return digest(file).sha256


def _read_mark(path: Path, octets: bytes) -> Mark:
    import json  # noqa: PLC0415  # one small file

    try:
        value = json.loads(octets)
        mark = Mark(value["identity"], value["domain"])
        newer = int(value["format"]) > FORMAT
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"{path}: is damaged") from None
    if newer:
        raise CommandError(f"{path}: was made by a newer program; install that version")
    if not isinstance(mark.identity, str) or mark.render() != octets:
        raise Damaged(f"{path}: is damaged")
    return mark
