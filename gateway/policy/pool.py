"""Examines mail without letting it hurt the daemon: small and plain here, the rest in a child.

A message that kills its child is examined once more without reading its files, and its digest is
remembered so that a resend is not tried again. One that outlasts its child may have come to a busy
machine: it is deferred, and only at the third time examined without reading its files. The key of
the office stays in this process: a child that finds encrypted content has it opened here.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from gateway import config
from gateway.domain.submission import Content
from gateway.errors import Deferred, Reply
from gateway.policy.child import Request
from gateway.policy.examine import examine
from gateway.policy.extract import NeedsChild, read_plainly
from gateway.policy.inspection import Inspection
from gateway.policy.nursling import Child, ChildDied, ChildLate, Job
from gateway.policy.weight import is_light
from gateway.seals.book import SealBook
from gateway.seals.judge import Judgement, judge
from gateway.seals.opener import Opener
from mailboxes.scan import scan

log = structlog.stdlib.get_logger("yizhan.inspector")

T = TypeVar("T")

AT_ONCE = 16 * 1024  # octets; what is no longer is worked on in the event loop
LARGE = 4 * 1024 * 1024  # octets; one such message at a time, for the sake of memory
_HERE = 4  # messages examined in threads of this process at once
_KILLERS = 10_000  # digests remembered
_TRIES = 3  # for a message that outlasts its child; before the last it is deferred
IDLE_SECONDS = 300.0  # after which a child is ended; the next message that needs one starts it
_GRACE_SECONDS = 2  # scanning and judging, beside reading files
_SCAN_RATE = 4 * 1024 * 1024  # octets a second at which a slow machine still scans
_BUSY = Reply(
    451,
    "4.3.0",
    "The post office cannot examine this message now, please send it again later",
    "邮局暂时无法检查此邮件，请稍后再发",
)


class Inspector:
    """The examination of all mail that comes in."""

    def __init__(
        self,
        settings: config.Policy,
        seals: config.Seals,
        office_host: str,
        *,
        command: Sequence[str] | None = None,
    ) -> None:
        """`command` replaces the child's command line in tests."""
        self.replaced = 0  # children that died or were killed
        self._settings = settings
        self._clock_skew = seals.clock_skew_seconds
        self._office_host = office_host
        self._command = command or (
            sys.executable, "-P", "-m", "gateway.policy.child", str(settings.extraction_memory),
        )  # fmt: skip
        self._free = asyncio.Semaphore(settings.extraction_children)
        self._resting: list[tuple[Child, float]] = []  # since when, in loop time; the last is next
        self._retiring: asyncio.TimerHandle | None = None
        self._all: set[Child] = set()
        self._here = asyncio.Semaphore(_HERE)
        self._large = asyncio.Semaphore(1)
        self._killers: OrderedDict[bytes, int] = OrderedDict()  # digest -> tries
        self._tasks: set[asyncio.Task[Inspection]] = set()
        self._threads = ThreadPoolExecutor(
            _HERE + settings.extraction_children, thread_name_prefix="inspect"
        )

    async def start(self) -> None:
        """Start the children, so that the first message finds them warm.

        Raises Deferred when they cannot be started.
        """
        started = [self._run(self._spawn) for _ in range(self._settings.extraction_children)]
        for child in await asyncio.gather(*started):
            self._rest(child)

    async def close(self) -> None:
        """Wait for what is being examined, then end the children."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._retiring is not None:
            self._retiring.cancel()
        for child in list(self._all):
            await self._run(child.end)
        self._all.clear()
        self._threads.shutdown()

    async def inspect(
        self,
        content: Content,
        *,
        unit_id: int,
        book: SealBook,
        opener: Opener | None,
        at: datetime,
        mt_priority: int | None,
    ) -> Inspection:
        """Examine a message that this unit offers at that moment.

        Runs to its end even if the caller is cancelled, so a child is never left in the middle.
        Raises Deferred when it cannot be examined now.
        """
        seconds = self._settings.extraction_seconds + _GRACE_SECONDS + content.size / _SCAN_RATE
        request = Request(
            unit_id=unit_id, at=at, clock_skew=self._clock_skew, office_host=self._office_host,
            mt_priority=mt_priority, read=self._killers.get(content.sha256, 0) < _TRIES,
            may_open=opener is not None, cpu_seconds=int(seconds), judgement=None,
        )  # fmt: skip
        job = Job(content, book, request, opener, seconds)
        if content.size <= AT_ONCE and (found := _examine_at_once(job)) is not None:
            return found
        task = asyncio.create_task(self._inspect(job))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Inspection]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the caller may have gone and never ask

    async def _inspect(self, job: Job) -> Inspection:
        if job.content.size <= self._settings.in_process:
            async with self._here:
                found = await self._run(lambda: _examine_here(job))
            if isinstance(found, Inspection):
                return found
            if found is not None:
                job = replace(job, request=replace(job.request, judgement=found))
        async with self._large if job.content.size > LARGE else nullcontext():
            try:
                return await self._in_child(job)
            except ChildDied as error:
                tries = self._remember(job.content.sha256, late=isinstance(error, ChildLate))
                log.warning(
                    "child-died", cause=str(error), tries=tries,
                    sha256=job.content.sha256.hex(), size=job.content.size,
                )  # fmt: skip
                if tries < _TRIES:
                    cause = f"reading its files: {error}"
                    raise Deferred.saying(_BUSY, cause=cause) from error
            try:
                return await self._in_child(replace(job, request=replace(job.request, read=False)))
            except ChildDied as error:
                raise Deferred.saying(_BUSY, cause=f"the child died twice: {error}") from error

    async def _in_child(self, job: Job) -> Inspection:
        async with self._free:
            child = await self._wake()
            try:
                inspection = await self._run(partial(child.examine, job))
            except BaseException:
                await self._discard(child)
                raise
            self._rest(child)
            return inspection

    async def _wake(self) -> Child:
        """The child that was used last, or a new one."""
        while self._resting:
            child, _ = self._resting.pop()
            if child.alive:
                return child
            await self._discard(child)
        return await self._run(self._spawn)

    def _rest(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        self._resting.append((child, loop.time()))
        if self._retiring is None:
            self._retiring = loop.call_later(IDLE_SECONDS, self._retire)

    def _retire(self) -> None:
        """End the children that have had nothing to do for long: each has memory of its own."""
        loop = asyncio.get_running_loop()
        now, self._retiring = loop.time(), None
        while self._resting and self._resting[0][1] <= now - IDLE_SECONDS:
            child, _ = self._resting.pop(0)
            self._all.discard(child)
            loop.run_in_executor(self._threads, child.end)
        if self._resting:
            self._retiring = loop.call_at(self._resting[0][1] + IDLE_SECONDS, self._retire)

    def _spawn(self) -> Child:
        # Nothing of the daemon's environment (credentials) is given on.
        root = str(Path(__file__).resolve().parents[2])
        environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": root}
        environment |= {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            child = Child(self._command, environment)
        except (OSError, ChildDied) as error:
            raise Deferred.saying(_BUSY, cause=f"no child can be started: {error}") from error
        self._all.add(child)
        return child

    async def _discard(self, child: Child) -> None:
        self.replaced += 1
        self._all.discard(child)
        await self._run(child.end)

    def _remember(self, digest: bytes, *, late: bool) -> int:
        """Count the message's tries; one that has killed its child has had them all."""
        tries = self._killers.get(digest, 0) + 1 if late else _TRIES
        self._killers[digest] = tries
        while len(self._killers) > _KILLERS:
            self._killers.popitem(last=False)
        return tries

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Elsewhere(Exception):
    """What is to be opened is not opened in the event loop: gpg takes its time."""


class _NotHere:
    """The opener of whoever must not wait."""

    def open(self, _ciphertext: bytes) -> bytes:
        raise _Elsewhere


def _examine_at_once(job: Job) -> Inspection | None:
    """The inspection of a short message, in the event loop; None if it must not be made there.

    A thread would take the interpreter's lock for as long, and cost as much again to be waited for.
    """
    if job.opener is not None:
        job = replace(job, opener=_NotHere())
    try:
        found = _examine_here(job)
    except _Elsewhere:
        return None
    return found if isinstance(found, Inspection) else None


def _examine_here(job: Job) -> Inspection | Judgement | None:
    """The inspection, or, if a child must make it, the judgement if one was made so far."""
    octets, request = job.content.read(), job.request
    structure = scan(octets)
    if not request.read or not is_light(structure):
        return None
    judgement = judge(
        octets, structure, unit_id=request.unit_id, book=job.book, at=request.at,
        clock_skew=request.clock_skew, opener=job.opener,
    )  # fmt: skip
    if judgement.opened is not None and not is_light(scan(judgement.opened)):
        return judgement
    try:
        return examine(
            octets, unit_id=request.unit_id, book=job.book, at=request.at,
            clock_skew=request.clock_skew, opener=None, office_host=request.office_host,
            mt_priority=request.mt_priority,
            read_attachment=read_plainly, judgement=judgement, structure=structure,
        )  # fmt: skip
    except NeedsChild:
        return judgement
