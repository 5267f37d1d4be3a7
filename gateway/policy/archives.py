"""Opens containers (zip, tar, gzip, bzip2, xz, TNEF) piece by piece, and stops at a bomb.

Every octet that comes out is counted against one `Budget` for the whole message, so nesting,
overlapping members and many small files cost the same as one large file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from mailboxes.decode import charset_text

ARCHIVES = frozenset(
    {
        "application/zip",
        "application/java-archive",
        "application/vnd.android.package-archive",
        "application/gzip",
        "application/x-bzip2",
        "application/x-xz",
        "application/x-tar",
        "application/ms-tnef",
    }
)
_ZIPS = ("application/zip", "application/java-archive", "application/vnd.android.package-archive")
_PIECE = 65_536
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    struct.error,
)


class Bomb(Exception):
    """The container expands beyond the limits."""


class Locked(Exception):
    """The container, or a member, is encrypted."""


class Broken(Exception):
    """The container cannot be read."""


@dataclass(slots=True)
class Budget:
    """What one message may expand to. Counts down while it is used up."""

    octets: int = 200_000_000  # out of all containers together
    member: int = 64_000_000  # largest single member, as it is held in memory
    members: int = 5_000
    ratio: int = 200  # expansion of one member; office XML reaches about 50
    free: int = 2_000_000  # octets of one member to which no ratio applies
    depth: int = 4  # archives within archives

    def take(self, octets: int, out: int, packed: int) -> None:
        """Account for `octets` more; `out` of the member so far came from `packed`.

        Raises Bomb beyond a limit.
        """
        self.octets -= octets
        too_dense = out > self.free and out > self.ratio * max(packed, 1)
        if self.octets < 0 or out > self.member or too_dense:
            raise Bomb

    def enter(self) -> None:
        """Account for one more member. Raises Bomb beyond the limit."""
        self.members -= 1
        if self.members < 0:
            raise Bomb


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a container; `octets` is None where it is encrypted."""

    name: str
    octets: bytes | None


def members(octets: bytes, kind: str, name: str, budget: Budget) -> Iterator[Member]:
    """The files of a container of that type, in its order.

    Raises Bomb or Broken; encrypted members are given without octets.
    """
    try:
        match kind:
            case "application/gzip" | "application/x-bzip2" | "application/x-xz":
                yield from _single(octets, kind, name, budget)
            case "application/x-tar":
                yield from _tar(octets, budget)
            case "application/ms-tnef":
                yield from _tnef(octets, budget)
            case _:
                yield from _zip(octets, budget)
    except _BROKEN as error:
        raise Broken(type(error).__name__) from error


def names_in_zip(octets: bytes) -> list[str]:
    """Member names without opening any. Raises Broken."""
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            return [_zip_name(info) for info in archive.infolist()]
    except _BROKEN as error:
        raise Broken(type(error).__name__) from error


def listed(octets: bytes, kind: str) -> list[str]:
    """The names that a zip lists, as many as are ever read; none of other or broken files."""
    if kind not in _ZIPS:
        return []
    try:
        return names_in_zip(octets)[: Budget().members]
    except (Broken, MemoryError):
        return []


def zip_members(octets: bytes, wanted: Callable[[str], bool], budget: Budget) -> Iterator[Member]:
    """The wanted members of an office file. Raises Bomb, Broken or Locked."""
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            for info in archive.infolist():
                if wanted(info.filename):
                    budget.enter()
                    if info.flag_bits & 1:
                        raise Locked
                    yield Member(info.filename, _zip_octets(archive, info, budget))
    except _BROKEN as error:
        raise Broken(type(error).__name__) from error


def _zip(octets: bytes, budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        for info in archive.infolist():
            budget.enter()
            if info.is_dir():
                # A folder's name is shown to people like a file's.
                yield Member(_zip_name(info), b"")
            elif info.flag_bits & 1:
                yield Member(_zip_name(info), None)
            else:
                yield Member(_zip_name(info), _zip_octets(archive, info, budget))


def _zip_octets(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    # The sizes in the directory are claims, so the octets are counted as they come.
    if info.file_size > budget.member:
        raise Bomb
    with archive.open(info) as stream:
        return _drain(stream, info.compress_size, budget)


def _zip_name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800:
        return info.filename
    # Without the UTF-8 flag zipfile reads cp437; Chinese Windows wrote GBK, others UTF-8.
    return charset_text(info.orig_filename.encode("cp437", "replace"), "").replace("\\", "/")


def _drain(stream: IO[bytes], packed: int, budget: Budget) -> bytes:
    out = io.BytesIO()
    while piece := stream.read(_PIECE):
        out.write(piece)
        budget.take(len(piece), out.tell(), packed)
    return out.getvalue()


def _single(octets: bytes, kind: str, name: str, budget: Budget) -> Iterator[Member]:
    budget.enter()
    source = io.BytesIO(octets)
    stream = _SINGLE[kind](source)
    inner = name.rpartition(".")[0] if "." in name else name
    if name.lower().endswith(".tgz"):
        inner = name[:-4] + ".tar"
    with stream:
        yield Member(inner or "content", _drain(stream, len(octets), budget))


_SINGLE: dict[str, Callable[[io.BytesIO], IO[bytes]]] = {
    "application/gzip": lambda source: cast("IO[bytes]", gzip.GzipFile(fileobj=source)),
    "application/x-bzip2": bz2.BZ2File,
    "application/x-xz": lzma.LZMAFile,
}


def _tar(octets: bytes, budget: Budget) -> Iterator[Member]:
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as archive:
        for info in archive:
            budget.enter()
            stream = archive.extractfile(info) if info.isfile() else None
            content = _drain(stream, len(octets), budget) if stream else b""
            yield Member(charset_text(info.name.encode("utf-8", "surrogateescape"), ""), content)


def _tnef(octets: bytes, budget: Budget) -> Iterator[Member]:
    """Outlook's winmail.dat ([MS-OXTNEF] 2.1): signature, key, then attributes with checksums."""
    position, name, data, page = 6, "", b"", "gb18030"
    started = False
    while position + 9 <= len(octets):
        attribute = int.from_bytes(octets[position + 1 : position + 5], "little")
        length = int.from_bytes(octets[position + 5 : position + 9], "little")
        value = octets[position + 9 : position + 9 + length]
        position += 9 + length + 2
        match attribute:
            case 0x00069002:  # attAttachRendData begins an attachment
                if started:
                    yield Member(name or "attachment", data)
                started, name, data = True, "", b""
                budget.enter()
            case 0x00069007:  # attOemCodepage
                page = f"cp{int.from_bytes(value[:4], 'little')}"
            case 0x00018010:  # attAttachTitle
                name = name or charset_text(value.rstrip(b"\0"), page)
            case 0x0006800F:  # attAttachData
                budget.take(len(value), len(value), len(octets))
                data = value
            case 0x00069005:  # attAttachment: MAPI properties, with the long name
                name = _long_name(value) or name
            case 0x00018004:  # attSubject
                budget.enter()
                yield Member("subject.txt", value.rstrip(b"\0"))
            case 0x0002800C:  # attBody
                budget.enter()
                yield Member("body.txt", value.rstrip(b"\0"))
    if started:
        yield Member(name or "attachment", data)


def _long_name(properties: bytes) -> str:
    """PidTagAttachLongFilename (0x3707) as a Unicode string: tag, count 1, length, UTF-16."""
    at = properties.find(b"\x1f\x00\x07\x37\x01\x00\x00\x00")
    if at < 0:
        return ""
    length = int.from_bytes(properties[at + 8 : at + 12], "little")
    text = properties[at + 12 : at + 12 + min(length, 1024)]
    return text.decode("utf-16-le", "replace").rstrip("\0")
