"""The process that examines mail with hostile content: started warm, killed without regret.

Speaks frames over its standard input and output: one letter, eight octets of length, the octets.
Values cross as JSON and are rebuilt field by field from the declared types, never by pickle: a
child that a file has taken over can lie about that file, but not run anything in the daemon.

It is given no environment, no open file but its two pipes, no key; it cannot gain privileges by a
set-uid program, be traced or read by other processes of its user, write a file larger than
`_LARGEST_FILE`, or leave a core. Where no program reads old Office files it can start no process
at all. What remains: it runs as the daemon's user, without a namespace or a filter of system
calls, so code that a file has brought to run could read what that user can read, and open sockets.
The unit file narrows that for daemon and children together.

    parent  B book?  Q request  D piece ...  E          the message
    child   R ready (once)  then  I inspection  or  O   please open it, I have no key
    parent  J judgement  D piece ...  E                 the opened content
    child   I inspection
"""

from __future__ import annotations

import base64
import ctypes
import gc
import json
import os
import resource
import shutil
import signal
import struct
import sys
from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from io import BytesIO
from types import NoneType, UnionType
from typing import BinaryIO, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gateway.domain.document import Opening, SealFinding, SealState
from gateway.interpreter import tame
from gateway.policy.archives import Budget
from gateway.policy.examine import examine
from gateway.policy.extract import OLD_OFFICE, extract, skip_reading
from gateway.seals.book import SealBook
from gateway.seals.judge import Judgement, judge
from mailboxes.remembered import forget
from mailboxes.scan import scan

T = TypeVar("T")

_HEADER = struct.Struct(">cQ")
PIECE = 65_536
OPEN_FILES = 64
_LARGEST_FILE = 1 << 26  # octets; old Office files are handed to their reader in memory files
_PROCESSES = 4_096  # of the whole user, so that a fork bomb ends
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # linux/prctl.h


class BadFrame(Exception):
    """The other side has ended or broken the protocol."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to examine, apart from the octets."""

    unit_id: int
    at: datetime
    clock_skew: float
    office_host: str
    mt_priority: int | None
    read: bool  # whether attachments are read; not after a child has died of them
    may_open: bool  # whether the parent holds a key
    cpu_seconds: int
    judgement: Judgement | None  # already made by the parent; `opened` then follows the message


def write_frame(stream: BinaryIO, letter: bytes, octets: bytes = b"") -> None:
    """Send one frame. Raises OSError when the other side has gone."""
    stream.write(_HEADER.pack(letter, len(octets)))
    stream.write(octets)


def read_frame(stream: BinaryIO, limit: int = 1 << 27) -> tuple[bytes, bytes]:
    """Receive one frame. Raises BadFrame at the end of the stream or beyond the limit (octets)."""
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise BadFrame("ended")
    letter, length = _HEADER.unpack(head)
    if length > limit:
        raise BadFrame("too long")
    octets = stream.read(length)
    if len(octets) < length:
        raise BadFrame("cut off")
    return letter, octets


def pack(value: object) -> bytes:
    """A frozen dataclass, and all below it, as JSON."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def unpack(kind: type[T], octets: bytes) -> T:
    """The dataclass back, every field checked against its type. Raises BadFrame."""
    try:
        return cast("T", _build(kind, json.loads(octets.decode("utf-8", "surrogatepass"))))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadFrame(type(error).__name__) from error


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in fields(value)]
    return value


@cache
def _types(kind: Hashable) -> tuple[object, ...]:
    hints = get_type_hints(cast("type[SealFinding]", kind))
    return tuple(hints[field.name] for field in fields(cast("type[SealFinding]", kind)))


def _build(kind: object, value: object) -> object:
    origin = get_origin(kind)
    if origin is tuple:
        return _build_tuple(get_args(kind), value)
    if origin in (Union, UnionType):
        if value is None and NoneType in get_args(kind):
            return None
        (kind,) = (choice for choice in get_args(kind) if choice is not NoneType)
    if not isinstance(kind, type):
        raise TypeError
    return _build_dataclass(kind, value) if is_dataclass(kind) else _build_plain(kind, value)


def _build_dataclass(kind: type[object], value: object) -> object:
    types = _types(cast("Hashable", kind))
    if not isinstance(value, list) or len(value) != len(types):
        raise TypeError
    return kind(*(_build(part, item) for part, item in zip(types, value, strict=True)))


def _build_plain(kind: type[object], value: object) -> object:
    if isinstance(value, str):
        if kind is bytes:
            return base64.b64decode(value, validate=True)
        if kind is datetime:
            return datetime.fromisoformat(value)
        if issubclass(kind, Enum):
            return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value


def _build_tuple(kinds: tuple[object, ...], value: object) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise TypeError
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_build(kinds[0], item) for item in value)
    return tuple(_build(kind, item) for kind, item in zip(kinds, value, strict=True))


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer requests until the parent closes the pipe."""
    book = SealBook(())
    write_frame(outgoing, b"R")
    outgoing.flush()
    while True:
        try:
            letter, octets = read_frame(incoming)
        except BadFrame:
            return
        if letter == b"B":
            book = unpack(SealBook, octets)
            continue
        if letter != b"Q":
            raise BadFrame("no request")
        answer = _answer(unpack(Request, octets), book, incoming, outgoing)
        write_frame(outgoing, b"I", answer)
        outgoing.flush()
        forget()
        # A PDF's objects point at each other: without this they would stay for some mails more.
        gc.collect()


def _answer(request: Request, book: SealBook, incoming: BinaryIO, outgoing: BinaryIO) -> bytes:
    _limit_cpu(request.cpu_seconds)
    octets = _receive(incoming)
    structure = scan(octets)
    judgement = request.judgement
    if judgement is not None:
        judgement = _with_opened(judgement, incoming)
    else:
        judgement = judge(
            octets, structure, unit_id=request.unit_id, book=book, at=request.at,
            clock_skew=request.clock_skew, opener=None,
        )  # fmt: skip
        if judgement.opening is Opening.NOT_CHECKED and request.may_open:
            write_frame(outgoing, b"O")
            outgoing.flush()
            letter, packed = read_frame(incoming)
            if letter != b"J":
                raise BadFrame("no judgement")
            _limit_cpu(request.cpu_seconds)
            judgement = _with_opened(unpack(Judgement, packed), incoming)
    budget = Budget()
    inspection = examine(
        octets, unit_id=request.unit_id, book=book, at=request.at, clock_skew=request.clock_skew,
        opener=None, office_host=request.office_host, mt_priority=request.mt_priority,
        read_attachment=(
            (lambda name, declared, content: extract(name, declared, content, budget))
            if request.read else skip_reading
        ),
        judgement=judgement, structure=structure,
    )  # fmt: skip
    return pack(inspection)


def _with_opened(judgement: Judgement, incoming: BinaryIO) -> Judgement:
    opened = _receive(incoming)
    if judgement.opening is not Opening.OPENED:
        return judgement
    return Judgement(judgement.finding, judgement.opening, opened, judgement.encrypted_to)


def _receive(incoming: BinaryIO) -> bytes:
    # BytesIO gives its buffer away without a copy.
    whole = BytesIO()
    while True:
        letter, octets = read_frame(incoming, PIECE)
        if letter == b"E":
            return whole.getvalue()
        if letter != b"D":
            raise BadFrame("no piece")
        whole.write(octets)


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    """Run as a child; the one argument is its address space in octets."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # A core file would put a refused document on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    _isolate()
    # The daemon drains after these signals and still needs its children; they end with its pipe.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # What a library prints must not stand between frames.
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tame()
    _warm()
    serve(sys.stdin.buffer, outgoing)


def _isolate() -> None:
    """Give up what reading a file never needs. Raises OSError where the kernel refuses."""
    os.closerange(3, 1 << 20)  # beyond the limit too, which bounds only new ones
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    reads = any(shutil.which(program) for program in OLD_OFFICE.values())
    _lower(resource.RLIMIT_NPROC, _PROCESSES if reads else 0)


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _warm() -> None:
    import pypdf  # noqa: F401, PLC0415  the slowest import, before the first file comes

    from gateway.domain.script import fold  # noqa: PLC0415

    fold("驛站")
    unpack(SealFinding, pack(SealFinding(SealState.MISSING)))


if __name__ == "__main__":
    main()
