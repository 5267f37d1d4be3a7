"""A disk that keeps what fsync promised, and of the rest whatever chance leaves.

The rules are stricter than any file system that we know of. A file's content lasts by an fsync of
the file, a name in a folder by an fsync of the folder, and nothing else makes anything last. What
came later is kept or lost write by write and name by name, in any combination, and a write may be
torn at sectors or pages.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.recording import Event, Kind

_SECTOR, _PAGE = 512, 4096


@dataclass(slots=True)
class _Write:
    number: int
    offset: int
    data: bytes
    size: int = -1  # of the file from then on; -1: this is no truncation


@dataclass(slots=True, eq=False)
class File:
    """A file, whatever its names."""

    lasting: bytearray = field(default_factory=bytearray)
    pending: list[_Write] = field(default_factory=list)

    def sync(self, before: int) -> None:
        """Make what was written before that record last."""
        for one in self.pending:
            if one.number < before:
                _apply(self.lasting, one)
        self.pending = [one for one in self.pending if one.number >= before]

    def now(self) -> bytes:
        """The content as readers see it."""
        content = bytearray(self.lasting)
        for one in self.pending:
            _apply(content, one)
        return bytes(content)

    def after(self, chance: Chance) -> bytes:
        """The content after a power cut."""
        if not self.pending:
            return bytes(self.lasting)
        content = bytearray(self.lasting)
        for one in self.pending:
            for kept in chance.pieces(one):
                _apply(content, kept)
        return bytes(content)


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its names that last, its names now, and the changes in between."""

    lasting: dict[str, Node] = field(default_factory=dict)
    names: dict[str, Node] = field(default_factory=dict)


Node = File | Folder


@dataclass(slots=True)
class _Change:
    """Names that change together; it lasts when the folder of the new one is synced."""

    number: int
    folder: Folder
    steps: list[tuple[Folder, str, Node | None]]


class Chance:
    """What a power cut leaves of that which nothing promised to keep."""

    def __init__(self, seed: int, share: float) -> None:
        """`share` of the writes and names are kept; 0: none, 1: all of them."""
        self._random = random.Random(seed)
        self._share = share

    def keeps(self) -> bool:
        """Whether the next change is kept."""
        return self._random.random() < self._share

    def pieces(self, one: _Write) -> Iterable[_Write]:
        """What is kept of a write: nothing, all, its length only, or some sectors or pages."""
        fate = self._random.random() if 0 < self._share < 1 and one.size < 0 else 1
        if fate < 0.1:  # the length was written before the octets were
            return [_Write(one.number, one.offset, bytes(len(one.data)))]
        if fate > 0.4:
            return [one] if self.keeps() else []
        step = self._random.choice((_SECTOR, _PAGE))
        end, start = one.offset + len(one.data), one.offset
        kept = []
        while start < end:
            stop = min(end, start - start % step + step)
            if self.keeps():
                part = one.data[start - one.offset : stop - one.offset]
                kept.append(_Write(one.number, start, part))
            start = stop
        return kept


class Disk:
    """The recorded folders under one root, as of some record."""

    def __init__(self, root: Path, ignored: Callable[[str], bool] = lambda _path: False) -> None:
        """What stands below `root` now counts as lasting. `ignored` says of which paths the fsyncs
        are left out, as if the program did not call them."""
        self._root = str(root.resolve())
        self._ignored = ignored
        self._by_inode: dict[int, Node] = {}
        self._changes: list[_Change] = []
        self._left_out: set[int] = set()
        self.mapped: set[str] = set()  # files that are written by memory, which nobody can record
        self.top = self._load(root)

    def _load(self, folder: Path) -> Folder:
        made = Folder()
        self._by_inode[folder.stat().st_ino] = made
        for path in folder.iterdir():
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                continue  # sockets of an agent
            node: Node = self._load(path) if path.is_dir() else File(bytearray(path.read_bytes()))
            self._by_inode[path.stat().st_ino] = node
            made.names[path.name] = made.lasting[path.name] = node
        return made

    def apply(self, event: Event) -> None:
        """Take the next record."""
        match event.kind:
            case Kind.WRITE | Kind.TRUNCATE | Kind.ALLOCATE:
                self._write(event)
            case Kind.CREATE | Kind.MKDIR:
                self._make(event)
            case Kind.RENAME:
                self._rename(event)
            case Kind.LINK:
                folder, name = self._parent(event.other)
                self._change(event, folder, (folder, name, self._by_inode[event.inode]))
            case Kind.UNLINK | Kind.RMDIR:
                folder, name = self._parent(event.path)
                self._change(event, folder, (folder, name, None))
            case Kind.FSYNC_END if not self._ignored(event.path):
                self._sync(event)
            case Kind.MMAP:
                self.mapped.add(event.path)
            case Kind.UNKNOWN:
                raise AssertionError(f"the disk cannot replay {event}")

    def _write(self, event: Event) -> None:
        if event.unnamed:
            return
        node = self._by_inode[event.inode]
        assert isinstance(node, File), event.path
        if event.kind is Kind.WRITE:
            node.pending.append(_Write(event.number, event.offset, event.data))
        elif event.kind is Kind.TRUNCATE:
            node.pending.append(_Write(event.number, 0, b"", event.length))
        else:
            size = max(len(node.now()), event.offset + event.length)
            node.pending.append(_Write(event.number, 0, b"", size))

    def _make(self, event: Event) -> None:
        node: Node = File() if event.kind is Kind.CREATE else Folder()
        self._by_inode[event.inode] = node
        folder, name = self._parent(event.path)
        self._change(event, folder, (folder, name, node))

    def _rename(self, event: Event) -> None:
        source, old = self._parent(event.path)
        target, new = self._parent(event.other)
        node = source.names[old]
        self._change(event, target, (target, new, node), (source, old, None))

    def _change(
        self, event: Event, folder: Folder, *steps: tuple[Folder, str, Node | None]
    ) -> None:
        self._changes.append(_Change(event.number, folder, list(steps)))
        for where, name, node in steps:
            _set(where.names, name, node)

    def _sync(self, event: Event) -> None:
        if event.unnamed:
            return
        node = self._by_inode[event.inode]
        if isinstance(node, File):
            node.sync(event.offset)
            return
        for change in self._changes:
            if change.folder is node and change.number < event.offset:
                for folder, name, made in change.steps:
                    _set(folder.lasting, name, made)
        self._changes = [
            one for one in self._changes if one.folder is not node or one.number >= event.offset
        ]

    def _parent(self, path: str) -> tuple[Folder, str]:
        assert path.startswith(self._root + "/"), path
        *parents, name = path[len(self._root) + 1 :].split("/")
        folder = self.top
        for one in parents:
            found = folder.names[one]
            assert isinstance(found, Folder), path
            folder = found
        return folder, name

    def now(self) -> dict[str, bytes | None]:
        """Every name as readers see it, with its content; None for a folder."""
        found: dict[str, bytes | None] = {}
        _walk(self.top, "", lambda folder: folder.names, File.now, found)
        return found

    def after_cut(self, seed: int, share: float) -> dict[str, bytes | None]:
        """Every name as it is when the power is back."""
        chance = Chance(seed, share)
        names: dict[int, dict[str, Node]] = {}
        for change in self._changes:
            if chance.keeps():
                for folder, name, node in change.steps:
                    _set(names.setdefault(id(folder), dict(folder.lasting)), name, node)
        found: dict[str, bytes | None] = {}
        _walk(
            self.top, "", lambda folder: names.get(id(folder), folder.lasting),
            lambda file: file.after(chance), found,
        )  # fmt: skip
        return found


class Bench:
    """A folder in which one tree after the other is laid out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before: dict[str, bytes | None] = {}

    def lay(self, tree: dict[str, bytes | None], *, anew: bool = False) -> None:
        """Make the folder hold exactly that tree.

        Files of a database and identities are written each time, since who opens an office changes
        them; the rest only where it differs from the tree before, unless all is wanted `anew`.
        """
        stale = {
            name for name, content in self._before.items()
            if anew or name not in tree or tree[name] != content or _is_changed_by_looking(name)
        }  # fmt: skip
        for path in sorted(self.folder.rglob("*"), reverse=True):
            name = str(path.relative_to(self.folder))
            if name in stale or name not in self._before:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name in stale:
            del self._before[name]
        for name, content in tree.items():
            if name in self._before:
                continue
            path = self.folder / name
            if content is None:
                path.mkdir(mode=0o700)
                continue
            with open(path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(content)
        self._before = dict(tree)


def _is_changed_by_looking(name: str) -> bool:
    return ".db" in name or name.endswith("identity")


def _walk(
    folder: Folder,
    prefix: str,
    names: Callable[[Folder], dict[str, Node]],
    content: Callable[[File], bytes],
    found: dict[str, bytes | None],
) -> None:
    for name, node in names(folder).items():
        if isinstance(node, Folder):
            found[prefix + name] = None
            _walk(node, f"{prefix}{name}/", names, content, found)
        else:
            found[prefix + name] = content(node)


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _apply(content: bytearray, one: _Write) -> None:
    if one.size >= 0:
        del content[one.size :]
        content.extend(bytes(one.size - len(content)))
        return
    content.extend(bytes(max(0, one.offset - len(content))))
    content[one.offset : one.offset + len(one.data)] = one.data
