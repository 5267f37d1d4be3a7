"""The copies of the blobs: each new one once, read back, day by day, as many at a time as pays.

A blob's octets never change under its name, but for `yizhan storage`, which encrypts them or wraps
their keys anew. A changed size shows the first; the second shows when the set of storage keys is
another than at the last backup, and then every blob is looked into.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import Connection, select, union

from gateway.backup.manifest import Day
from gateway.backup.shelf import DAY, READ, Copy, Damaged, Shelf, Staged, digest
from gateway.domain.ids import is_id, time_of
from gateway.errors import CommandError, StoreDamaged
from gateway.exchange.mailroom import tables as mailboxes
from gateway.exchange.tables import documents
from gateway.store.blobs import Blobs, Kept

_THREADS = 8
_AT_ONCE = 1000  # copies that are written before the first is synced


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob that the database names; `digest` of its document's octets, empty if unknown."""

    name: str
    digest: bytes


@dataclass(slots=True)
class Result:
    """What became of the blobs."""

    days: list[Day] = field(default_factory=list)
    copied: int = 0
    octets: int = 0  # of what was copied
    damaged: list[str] = field(default_factory=list)  # names that the store itself has lost


def wanted(connection: Connection) -> Iterator[Wanted]:
    """Every blob that the database's snapshot names, in the order of the names."""
    others = union(
        select(documents.c.id.label("name")),
        select(mailboxes.contents.c.blob.label("name")).where(mailboxes.contents.c.blob != ""),
    ).subquery()
    query = (
        select(others.c.name, documents.c.digest)
        .outerjoin(documents, documents.c.id == others.c.name)
        .order_by(others.c.name)
    )
    rows = connection.execution_options(stream_results=True, yield_per=1000).execute(query)
    for row in rows:
        yield Wanted(row.name, b"" if row.digest is None else bytes(row.digest))


class Copier:
    """Copies from a store to a shelf."""

    def __init__(
        self,
        shelf: Shelf,
        kept: Blobs,
        plain: Blobs,
        *,
        look: bool,
        told: Callable[[int, int], None] = lambda _blobs, _octets: None,
    ) -> None:
        """`kept`: as they lie in the store; `plain`: as documents see them. `look`: into each."""
        self._shelf = shelf
        self._kept = kept
        self._plain = plain
        self._look = look
        self._told = told

    def run(self, names: Iterable[Wanted], before: Mapping[str, Day]) -> Result:
        """Bring the shelf up to date; `before` are the days of the last backup, by day."""
        result = Result()
        sizes = _Sizes(self._kept.list())
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="copy") as pool:
            for day, group in groupby(names, key=lambda one: _day_of(one.name)):
                earlier = before.get(day)
                known = read_day(self._shelf, earlier) if earlier is not None else {}
                found: dict[str, Copy] = dict(known)
                portion: list[tuple[Wanted, int]] = []
                for one in group:
                    size = sizes.of(one.name)
                    if not self._is_there(known.get(one.name), size):
                        portion.append((one, size))
                    elif size < 0:
                        result.damaged.append(one.name)  # lost there, kept here
                    if len(portion) >= _AT_ONCE:
                        self._copy(pool, portion, known, found, result)
                        portion = []
                self._copy(pool, portion, known, found, result)
                if earlier is not None and found == known:
                    result.days.append(earlier)
                elif found:
                    result.days.append(keep_day(self._shelf, day, found.values()))
        # Days of which the database names nothing any more, but earlier generations do.
        return result

    def _is_there(self, copy: Copy | None, size: int) -> bool:
        if copy is None or (self._look and size >= 0) or size not in (-1, copy.size):
            return False
        try:
            return self._shelf.blob_path(copy.file).stat().st_size == copy.size
        except OSError:
            return False

    def _copy(
        self,
        pool: ThreadPoolExecutor,
        portion: list[tuple[Wanted, int]],
        known: Mapping[str, Copy],
        found: dict[str, Copy],
        result: Result,
    ) -> None:
        staged = list(
            pool.map(lambda one: self._stage(one[0], one[1], known.get(one[0].name)), portion)
        )
        copies = pool.map(self._secure, staged)
        for (one, _size), (copy, written) in zip(portion, copies, strict=True):
            if copy is None:
                result.damaged.append(one.name)
                continue
            found[one.name] = copy
            result.copied += 1
            result.octets += written
            self._told(1, written)

    def _secure(self, one: Staged | Copy | None) -> tuple[Copy | None, int]:
        """The copy, and how many octets were written."""
        if isinstance(one, Staged):
            return self._shelf.secure_blob(one), one.piece.size
        return one, 0

    def _stage(self, one: Wanted, size: int, before: Copy | None) -> Staged | Copy | None:
        """The written copy, or the one that is there, or None if the store has lost the blob."""
        try:
            if before is None and (left := self._left_by_a_killed_run(one.name, size)):
                result: Staged | Copy = left
                sha256 = left.sha256
            else:
                holds = before is not None and self._holds(before)
                if before is not None and holds:
                    with self._kept.open(one.name) as source:
                        if digest(source).sha256 == before.sha256:
                            return before
                with self._kept.open(one.name) as source:
                    staged = self._shelf.stage_blob(one.name, source, beside=holds)
                result, sha256 = staged, staged.piece.sha256
            # Encrypted octets say nothing by themselves; plain ones are checked without reading.
            if one.digest and sha256 != one.digest.hex() and not self._is_sound(one):
                if isinstance(result, Staged):
                    self._shelf.remove(result.temporary)
                return None
        except (FileNotFoundError, StoreDamaged):
            return None
        return result

    def _holds(self, copy: Copy) -> bool:
        with suppress(OSError), self._shelf.blob_path(copy.file).open("rb") as file:
            return digest(file).sha256 == copy.sha256
        return False

    def _left_by_a_killed_run(self, name: str, size: int) -> Copy | None:
        path = self._shelf.blob_path(name)
        try:
            if path.stat().st_size != size:
                return None
            with path.open("rb") as file, self._kept.open(name) as source:
                piece = digest(file)
                same = digest(source) == piece
        except OSError:
            return None
        if not same:
            return None
        self._shelf.adopt(path)
        return Copy(name, piece.sha256, piece.size)

    def _is_sound(self, one: Wanted) -> bool:
        """Whether the store itself still has the document: no backup keeps damage unseen."""
        found = hashlib.sha256()
        with self._plain.open(one.name) as source:
            while octets := source.read(READ):
                found.update(octets)
        return found.digest() == one.digest


class _Sizes:
    """Sizes by name, from a listing in the order of the names, asked in that order."""

    def __init__(self, listing: Iterator[Kept]) -> None:
        self._listing = (kept for kept in listing if kept.whole)
        self._next = next(self._listing, None)

    def of(self, name: str) -> int:
        """The size as kept; -1 if it is not in the store."""
        while self._next is not None and self._next.name < name:
            self._next = next(self._listing, None)
        if self._next is not None and self._next.name == name:
            return self._next.size
        return -1


def keep_day(shelf: Shelf, day: str, copies: Iterable[Copy]) -> Day:
    """The list of a day's blobs, as a piece."""
    found = sorted(copies, key=lambda copy: copy.file)
    lines = [f"{copy.file} {copy.sha256} {copy.size}\n" for copy in found]
    piece = shelf.put("".join(lines).encode("ascii"))
    return Day(day, piece.sha256, piece.size, len(found), sum(copy.size for copy in found))


def read_day(shelf: Shelf, day: Day) -> dict[str, Copy]:
    """A day's blobs by name. Raises Damaged."""
    found: dict[str, Copy] = {}
    for line in shelf.get(day.piece).decode("ascii").splitlines():
        try:
            file, sha256, size = line.split(" ")
            copy = Copy(file, sha256, int(size))
        except ValueError:
            raise Damaged(f"{shelf.piece_path(day.piece)}: is not a list of blobs") from None
        found[copy.name] = copy
    return found


def _day_of(name: str) -> str:
    if not is_id(name):
        raise CommandError(f"the database names a blob {name!r}, which is no name of ours")
    return time_of(name).strftime(DAY)
