"""The clients of one door that this process serves, from their TLS handshake to their leaving."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast
from weakref import WeakSet

import structlog

from gateway.errors import Reply
from gateway.intake import replies
from gateway.intake.services import HandshakeContext, IntakeMetrics
from mailboxes.connection import HANDSHAKE_SECONDS

log = structlog.get_logger("intake")

_GRACE = 2.0  # seconds for sessions to end after their connection was cut

Left = Callable[[], None]


class Hall(Protocol):
    """Where the clients of a door are served: `Sessions` in this process, or other processes."""

    @property
    def clients(self) -> int:
        """Who is inside, those in their TLS handshake too."""

    def admit(self, client: socket.socket, peer: str, left: Left) -> None:
        """Serve a client, who has a place; the socket is the hall's from now on.

        Never raises. `left` is called exactly once, when the client has gone, by whatever way.
        """

    async def empty(self, drain_seconds: float) -> None:
        """Send idle clients away with 421 and wait for the others, who finish what they have begun.

        After `drain_seconds` their connections are cut. A commit that runs even then goes on, and
        the database's own stop waits for it.
        """


class Guest(Protocol):
    """One client's session; also the asyncio protocol of its connection."""

    def leave(self, reply: Reply) -> None:
        """End the session with that reply: now if it waits for a command, else after this one."""

    async def finished(self) -> None:
        """Wait until the session has ended and its work is done."""

    def abort(self) -> None:
        """Cut the connection without a word; work that has begun goes on."""


Begin = Callable[[str], Guest]  # a session for the client with that IP address


class Sessions:
    """Serves clients here."""

    def __init__(
        self, begin: Begin, metrics: IntakeMetrics, context: HandshakeContext, *, implicit: bool
    ) -> None:
        """`implicit`: TLS from the first octet, in the `context` then in force."""
        self._begin = begin
        self._metrics = metrics
        self._context = context
        self._implicit = implicit
        self._clients: dict[asyncio.Task[None], Guest | None] = {}
        self._ended: WeakSet[Guest] = WeakSet()
        self._emptying = False

    @property
    def clients(self) -> int:
        return len(self._clients)

    def admit(self, client: socket.socket, peer: str, left: Left) -> None:
        task = asyncio.create_task(self._serve(client, peer))
        self._clients[task] = None
        task.add_done_callback(partial(self._gone, client, left))

    async def empty(self, drain_seconds: float) -> None:
        self._emptying = True
        for task, session in self._clients.items():
            if session is not None:
                session.leave(replies.STOPPING)
            elif self._implicit:
                task.cancel()  # it is in its handshake, where nothing can be said
        if not await self._emptied(drain_seconds):
            for session in self._clients.values():
                if session is not None:
                    session.abort()
            await self._emptied(_GRACE)

    def close(self) -> None:
        """Close connections whose clients have not hung up yet, for a process that ends now."""
        for session in self._ended:
            session.abort()

    async def _emptied(self, seconds: float) -> bool:
        """Whether all clients have left within that time."""
        if self._clients:
            await asyncio.wait(set(self._clients), timeout=seconds)
        return not self._clients

    def _gone(self, client: socket.socket, left: Left, task: asyncio.Task[None]) -> None:
        session = self._clients.pop(task)
        if session is None:
            client.close()  # it never got as far as a session, which closes its own
        else:
            self._ended.add(session)
        left()

    async def _serve(self, client: socket.socket, peer: str) -> None:
        try:
            session = await self._let_in(client, peer)
            await session.finished()
        except (OSError, ssl.SSLError) as error:
            self._metrics.turned_away("tls")
            log.info("tls-failed", peer=peer, cause=str(error))

    async def _let_in(self, client: socket.socket, peer: str) -> Guest:
        """Do the TLS handshake of an implicit door and begin the session."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        context = await self._context() if self._implicit else None
        session = self._begin(peer)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: cast(asyncio.Protocol, session),
            client,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._implicit else None,
        )
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in a task
        self._clients[task] = session
        if self._emptying:  # it had come in just before
            session.leave(replies.STOPPING)
        return session
