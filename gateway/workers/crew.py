"""The workers: started, given clients, watched, replaced when they die, and sent home.

The daemon accepts every connection and gives it its place, so limits hold over all processes; then
the socket goes to the process that has least to do. That can be the daemon itself: what it does
behind the doors, for everybody's clients, counts as some clients of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from gateway.config import Config
from gateway.errors import ConfigurationError, TaskEnded
from gateway.intake.sessions import Left, Sessions
from gateway.store.database import Database
from gateway.workers import messages
from gateway.workers.desk import Desk
from gateway.workers.member import Inside, Member, enlist

log = structlog.stdlib.get_logger("yizhan.workers")

PING_SECONDS = 1.0
DEATHS = 5  # of workers within a minute, after which the daemon ends too
_MINUTE = 60.0
_BACKROOM = 0.2  # of a client: what each one's mail costs the daemon itself (docs/performance.md)
_GRACE_SECONDS = 10.0  # beyond the drain, for closing database and children


class Crew:
    """All workers of the daemon."""

    def __init__(self, config: Config) -> None:
        """Start the processes, which wait for `start`. Needs a running loop."""
        self._config = config
        self._size = config.daemon.workers - 1
        self._sessions = itertools.count(1)
        self._numbers = itertools.count(1)
        self._members: list[Member] = []
        self._here: list[Sessions] = []
        self._gone: Counter[str] = Counter()  # what workers had counted that have ended
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._answering: set[asyncio.Task[None]] = set()
        self._burying: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()  # a worker has become ready, or has ended
        self._desk: Desk | None = None
        self._database: Database | None = None
        self._key = b""
        self._broken: Callable[[str], None] = lambda _sentence: None
        self._unfit = ""
        self._leaving = False
        for _ in range(self._size):
            self._enlist()

    # Beginning

    async def start(
        self, desk: Desk, database: Database, broken: Callable[[str], None], key: bytes
    ) -> None:
        """Let the workers open the database, and wait until all are ready for clients.

        `database` is the daemon's own, which takes no more writes after a worker's has failed;
        `broken` is told why the daemon cannot go on; `key` is the office's secret key under its
        passphrase. Raises ConfigurationError, TaskEnded.
        """
        self._desk, self._database, self._key = desk, database, key
        for member in self._members:
            self._go(member)
        while not (len(self._members) == self._size and all(m.ready for m in self._members)):
            if self._unfit:
                raise ConfigurationError(self._unfit)
            if self._deaths:
                raise TaskEnded("a worker process has ended at its start; the log says why")
            self._changed.clear()
            await self._changed.wait()
        self._broken = broken

    def _enlist(self) -> Member:
        number = next(self._numbers)
        member = enlist(
            number,
            lambda message, client: self._hear(member, message, client),
            lambda: self._lose(member),
        )
        self._members.append(member)
        return member

    def _go(self, member: Member) -> None:
        key = b64encode(self._key).decode("ascii")
        settings = self._config.model_dump_json()
        member.channel.tell(messages.Go(settings, member.number, self._config.children, key))

    # Clients

    def hall(self, door: int, here: Sessions) -> Hall:
        """Where the clients of that door are served; `here` are those of this process."""
        self._here.append(here)
        return Hall(self, door, here)

    def admit(
        self, door: int, here: Sessions, client: socket.socket, peer: str, left: Left
    ) -> None:
        """Give a client to the process that has least to do."""
        if self._leaving:
            client.close()
            left()
            return
        member = self._idlest()
        if member is None:
            here.admit(client, peer, left)
            return
        session = next(self._sessions)
        member.clients[session] = Inside(door, left)
        member.channel.tell(messages.Client(session, door, peer), client)

    def _idlest(self) -> Member | None:
        """The worker that has least to do; None: this process has."""
        free = [m for m in self._members if m.ready and not m.hangs]
        if not free:
            return None
        member = min(free, key=lambda m: len(m.clients))
        here = sum(sessions.clients for sessions in self._here)
        inside = here + sum(len(m.clients) for m in self._members)
        return None if here + _BACKROOM * inside < len(member.clients) else member

    def share(self) -> None:
        """There are receipts for more than one process to make."""
        for member in self._members:
            if member.ready:
                member.channel.tell(messages.Share())

    def changed(self, *, but: Member | None = None) -> None:
        """Mailboxes have changed: the clients of the workers may have something to see."""
        for member in self._members:
            if member.ready and member is not but:
                member.channel.tell(messages.Changed())

    # What the workers say

    def _hear(
        self, member: Member, message: messages.Message, client: socket.socket | None
    ) -> None:
        if client is not None:
            client.close()
            raise messages.BadMessage("a worker sends no sockets")
        match message:
            case messages.Ready():
                self._welcome(member)
            case messages.Left(session):
                inside = member.clients.pop(session, None)
                if inside is not None:
                    inside.left()
            case messages.Pong():
                member.answered(message)
                if message.failed and self._database is not None:
                    self._database.fail(message.failed)
            case messages.Unfit(sentence):
                log.error("worker-unfit", worker=member.number, cause=sentence)
                self._unfit = sentence
            case _:
                if self._desk is None:
                    raise messages.BadMessage("it came before its time")
                self._serve(self._desk, member, message)

    def _serve(self, desk: Desk, member: Member, message: messages.Message) -> None:
        match message:
            case messages.Committed():
                desk.committed()
            case messages.Changed():
                desk.changed()
                self.changed(but=member)
            case messages.Offer():
                member.channel.tell(desk.count(message))
            case messages.CheckPassword() | messages.CheckCertificate():
                _keep(self._answering, self._identify(desk, member, message))
            case messages.Seen():
                desk.note(message)
            case _:
                raise messages.BadMessage(f"{type(message).__name__} was not expected")

    def _welcome(self, member: Member) -> None:
        member.ready = True
        log.info("worker-ready", worker=member.number, process=member.process.pid)
        self._changed.set()

    async def _identify(
        self,
        desk: Desk,
        member: Member,
        question: messages.CheckPassword | messages.CheckCertificate,
    ) -> None:
        member.channel.tell(await desk.identify(question))

    # Watching

    async def run(self) -> None:
        """Ask each second whether they are there, and replace who could not be replaced at once."""
        while True:
            if not self._leaving:
                self._fill()
            for member in tuple(self._members):
                member.ping(self._database.failed if self._database is not None else "")
            await asyncio.sleep(PING_SECONDS)

    @property
    def answering(self) -> bool:
        """Whether no worker hangs."""
        return not any(member.hangs for member in self._members)

    async def health(self) -> str:
        """What is wrong, for the health page; empty if nothing is."""
        missing = self._size - len(self._members)
        if missing and not self._leaving:
            return f"workers could not be started, memory or descriptors may be short: {missing}"
        hanging = [m for m in self._members if m.hangs]
        if not hanging:
            return ""
        names = ", ".join(f"{m.number} (process {m.process.pid})" for m in hanging)
        return f"a worker does not answer, its clients wait: {names}; restart the post office"

    def total(self, name: str) -> int:
        """Sum over all workers there were of a counter of `Pong`, by its name."""
        return self._gone[name] + sum(int(getattr(m.last, name)) for m in self._members)

    @property
    def replaced(self) -> int:
        """Workers that have died."""
        return self._gone["workers"]

    def _lose(self, member: Member) -> None:
        """It has hung up: its clients are gone with it."""
        self._members.remove(member)
        clients, member.clients = member.clients, {}
        for inside in clients.values():
            inside.left()
        for name in ("commits", "units", "replaced"):
            self._gone[name] += int(getattr(member.last, name))
        self._changed.set()
        _keep(self._burying, self._bury(member, len(clients)))
        if self._leaving:
            return
        self._gone["workers"] += 1
        self._deaths.append(time.monotonic())
        if self._desk is None:
            return  # `start` says so
        if len(self._deaths) == DEATHS and self._deaths[-1] - self._deaths[0] < _MINUTE:
            self._broken(
                f"worker processes have ended {DEATHS} times within a minute, the log says why; "
                "the post office stops"
            )
            return
        self._desk.committed()  # its last commits may have left work
        self._fill()

    def _fill(self) -> None:
        """Start the workers that are missing; without memory or descriptors, try again later."""
        try:
            while len(self._members) < self._size:
                self._go(self._enlist())
        except OSError as error:
            log.error("worker-not-started", cause=str(error))

    async def _bury(self, member: Member, clients: int) -> None:
        status = await asyncio.to_thread(member.end)
        if status or not self._leaving:
            log.warning(
                "worker-ended", worker=member.number, process=member.process.pid, status=status,
                clients=clients,
            )  # fmt: skip

    # Reloading and ending

    async def reload(self) -> None:
        """Have all take new rules, texts and certificates; each says in the log what it took."""
        asked = [asyncio.create_task(m.channel.ask(messages.Reload)) for m in self._members]
        if asked:
            _, late = await asyncio.wait(asked, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
                log.error("not-reloaded", what="worker", cause="it does not answer")

    async def empty(self, drain_seconds: float) -> None:
        """Send the clients away and the workers home, see `Hall.empty`."""
        if not self._leaving:
            self._leaving = True
            for member in tuple(self._members):
                member.channel.tell(messages.Leave(drain_seconds))
        deadline = time.monotonic() + drain_seconds + _GRACE_SECONDS
        while self._members:
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                for member in self._members:
                    member.process.kill()
                deadline += _GRACE_SECONDS
        for task in self._answering:
            task.cancel()  # nobody waits for it any more
        await asyncio.gather(*self._answering, *self._burying, return_exceptions=True)

    def dismiss(self) -> None:
        """End all at once; for a daemon that could not start."""
        self._leaving = True
        for member in list(self._members):
            member.channel.close()
            member.process.kill()
            member.process.wait()
        self._members.clear()


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


class Hall:
    """One door's clients, among all processes."""

    def __init__(self, crew: Crew, door: int, here: Sessions) -> None:
        self._crew, self._door, self._here = crew, door, here
        self.clients = 0

    def admit(self, client: socket.socket, peer: str, left: Left) -> None:
        self.clients += 1
        self._crew.admit(self._door, self._here, client, peer, partial(self._left, left))

    async def empty(self, drain_seconds: float) -> None:
        await asyncio.gather(self._crew.empty(drain_seconds), self._here.empty(drain_seconds))

    def _left(self, left: Left) -> None:
        self.clients -= 1
        left()
