"""Takes old generations away, and then what no other one needs."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.backup.copies import read_day
from gateway.backup.manifest import Manifest, read
from gateway.backup.shelf import Shelf


def prune(shelf: Shelf, keep: int) -> list[str]:
    """Keep the newest `keep` generations (0: all); the ids of those that were taken away.

    A generation goes first, its files after it: killed in between there is something too much,
    never something missing, and the next call takes it away.
    """
    found = shelf.generations()
    old = found[:-keep] if keep else []
    if not old:
        return []
    kept = [read(shelf, generation) for generation in found[len(old) :]]
    for generation in old:
        shelf.remove(shelf.generation_path(generation))
        shelf.remove(shelf.generation_path(generation, "seal"))
    _take_away_pieces(shelf, kept)
    _take_away_blobs(shelf, kept)
    return old


def _take_away_pieces(shelf: Shelf, kept: list[Manifest]) -> None:
    needed = {piece.sha256 for manifest in kept for piece in manifest.pieces()}
    for path in _files(shelf.directory / "pieces"):
        if path.name not in needed:
            shelf.remove(path)


def _take_away_blobs(shelf: Shelf, kept: list[Manifest]) -> None:
    """Only on days of which some generation keeps a list; nearly always there is nothing to do."""
    days = {day.piece.sha256: day for manifest in kept for day in manifest.days}
    by_day: dict[str, set[str]] = {}
    for day in days.values():
        files = {copy.file for copy in read_day(shelf, day).values()}
        by_day.setdefault(day.day, set()).update(files)
    for name, files in by_day.items():
        for path in _files(shelf.directory / "blobs" / name):
            if path.name not in files:
                shelf.remove(path)


def _files(folder: Path) -> list[Path]:
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]
