"""One child that examines mail, as the daemon sees it: fed, waited for, killed when it is late."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from gateway.domain.submission import Content
from gateway.policy.child import (
    PIECE,
    BadFrame,
    Request,
    pack,
    read_frame,
    unpack,
    write_frame,
)
from gateway.policy.inspection import Inspection
from gateway.seals.book import SealBook
from gateway.seals.judge import Judgement, judge
from gateway.seals.opener import Opener
from mailboxes.scan import scan

_START_SECONDS = 30
_FEED_SECONDS = 60  # for handing a message over to a child


class ChildDied(Exception):
    """The child ended, was late or broke the protocol."""


class ChildLate(ChildDied):
    """The child was killed because its time was over."""


@dataclass(frozen=True, slots=True)
class Job:
    content: Content
    book: SealBook
    request: Request
    opener: Opener | None
    seconds: float  # for the child's answer

    def judged(self) -> Judgement:
        """Judge here, with the key."""
        structure = scan(self.content.read())
        # Read once more, so that only `judge` holds the octets and can let them go.
        return judge(
            self.content.read(), structure, unit_id=self.request.unit_id, book=self.book,
            at=self.request.at, clock_skew=self.request.clock_skew, opener=self.opener,
        )  # fmt: skip


class Child:
    """One child process. Its methods block; one thread uses it at a time."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._book: SealBook | None = None
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd="/",
        )  # fmt: skip
        self._to = cast("BinaryIO", self.process.stdin)
        self._from = cast("BinaryIO", self.process.stdout)
        try:
            with self._deadline(_START_SECONDS):
                self._expect(b"R")
        except ChildDied:
            self.end()
            raise

    def examine(self, job: Job) -> Inspection:
        """Have the message examined. Raises ChildDied; the child is then of no more use."""
        with self._deadline(_FEED_SECONDS):
            if self._book is not job.book:
                write_frame(self._to, b"B", pack(job.book))
                self._book = job.book
            judgement = job.request.judgement
            write_frame(self._to, b"Q", pack(_without_octets(job.request)))
            self._feed(job.content.chunks())
            if judgement is not None:
                self._feed(_pieces(judgement.opened or b""))
        with self._deadline(job.seconds):
            letter, octets = read_frame(self._from)
        if letter == b"O":
            judgement = job.judged()
            with self._deadline(_FEED_SECONDS):
                write_frame(self._to, b"J", pack(replace(judgement, opened=None)))
                self._feed(_pieces(judgement.opened or b""))
            del judgement  # the child has the opened content now; two are too many
            with self._deadline(job.seconds):
                letter, octets = read_frame(self._from)
        if letter != b"I":
            raise BadFrame("no inspection")
        return unpack(Inspection, octets)

    def end(self) -> None:
        """Kill it and collect what is left."""
        self.process.kill()
        self.process.wait()
        for stream in (self._to, self._from):
            try:
                stream.close()
            except OSError:
                continue  # octets that it never took

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def _feed(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            write_frame(self._to, b"D", piece)
        write_frame(self._to, b"E")
        self._to.flush()

    def _expect(self, letter: bytes) -> None:
        if read_frame(self._from)[0] != letter:
            raise BadFrame("another frame was expected")

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        # Killing closes the pipes, which wakes the thread that waits on them.
        late = threading.Event()

        def kill() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, BadFrame) as error:
            if late.is_set():
                raise ChildLate(f"not done in {seconds:.0f} seconds") from error
            raise ChildDied(str(error)) from error
        finally:
            timer.cancel()


def _without_octets(request: Request) -> Request:
    if request.judgement is None:
        return request
    return replace(request, judgement=replace(request.judgement, opened=None))


def _pieces(octets: bytes) -> Iterator[bytes]:
    for start in range(0, len(octets), PIECE):
        yield octets[start : start + PIECE]
