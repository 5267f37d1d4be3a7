"""Reads every octet of a folder of backups again and names each file that is not as it was written.

It needs nothing but the folder: no office, no key, no network.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.backup.copies import read_day
from gateway.backup.manifest import Manifest, read
from gateway.backup.rows import unpack
from gateway.backup.shelf import Copy, Damaged, Piece, Shelf, digest
from gateway.errors import CommandError


@dataclass(slots=True)
class Inspected:
    """What was found. `faults` are sentences, each with the path of the file."""

    generations: list[str] = field(default_factory=list)
    files: int = 0
    octets: int = 0
    faults: list[str] = field(default_factory=list)


def inspect(
    shelf: Shelf,
    generation: str = "",
    *,
    office_key: bytes = b"",
    told: Callable[[str, int, int], None] = lambda _what, _count, _octets: None,
) -> Inspected:
    """Check all generations, or one. Raises CommandError if there is none to check."""
    shelf.require()
    names = shelf.generations()
    if generation and generation not in names:
        raise CommandError(
            f"{shelf.directory}: there is no backup {generation}; see `yizhan backup list`"
        )
    wanted = [generation] if generation else names
    if not wanted:
        raise CommandError(f"{shelf.directory}: no backup was finished here yet")
    found = Inspected()
    pieces: dict[Piece, int] = {}  # rows; -1 for what is no chunk
    copies: dict[str, Copy] = {}
    for name in wanted:
        try:
            manifest = read(shelf, name, office_key=office_key)
        except Damaged as error:
            found.faults.append(error.public)
            continue
        found.generations.append(name)
        found.files += 2
        _note(pieces, manifest)
        for day in manifest.days:
            try:
                copies.update({copy.file: copy for copy in read_day(shelf, day).values()})
            except Damaged as error:
                found.faults.append(error.public)
    for piece, rows in pieces.items():
        _check_piece(shelf, piece, rows, found)
        told("files", found.files, found.octets)
    for copy in copies.values():
        _check_copy(shelf, copy, found)
        told("files", found.files, found.octets)
    if not generation:
        found.faults += _lone_seals(shelf, names)
    found.faults = list(dict.fromkeys(found.faults))
    return found


def _note(pieces: dict[Piece, int], manifest: Manifest) -> None:
    for piece in manifest.pieces():
        pieces.setdefault(piece, -1)
    for chunks in manifest.tables.values():
        pieces.update({chunk.piece: chunk.rows for chunk in chunks})


def _check_piece(shelf: Shelf, piece: Piece, rows: int, found: Inspected) -> None:
    try:
        octets = shelf.get(piece)
        if len(octets) != piece.size:
            raise Damaged(f"{shelf.piece_path(piece)}: has another size")
        if rows >= 0:
            unpack(octets, rows, piece, shelf)
    except Damaged as error:
        found.faults.append(error.public)
    else:
        found.files += 1
        found.octets += piece.size


def _check_copy(shelf: Shelf, copy: Copy, found: Inspected) -> None:
    path = shelf.blob_path(copy.file)
    try:
        with path.open("rb") as file:
            piece = digest(file)
    except OSError as error:
        found.faults.append(f"{path}: cannot be read: {os.strerror(error.errno or 0)}")
        return
    if (piece.sha256, piece.size) != (copy.sha256, copy.size):
        found.faults.append(f"{path}: is damaged (its SHA-256 is not the one in the manifest)")
        return
    found.files += 1
    found.octets += piece.size


def _lone_seals(shelf: Shelf, names: list[str]) -> list[str]:
    """A seal without its manifest: somebody has taken a generation away, or a crash has."""
    folder = shelf.directory / "generations"
    seals = {path.name.removesuffix(".seal") for path in folder.glob("*.seal")}
    # The newest may be of a backup that is being written, or was killed just before its end.
    newest = max(names, default="")
    return [
        f"{folder / name}.json: is missing, but its seal is there"
        for name in sorted(seals - set(names))
        if name < newest
    ]
