"""One door: accepts connections on one listener, and lets them out again when the daemon stops."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import structlog

from gateway import config
from gateway.domain.clock import Clock
from gateway.errors import ConfigurationError, Reply
from gateway.intake import replies
from gateway.intake.conversation import HANDSHAKE_SECONDS
from gateway.intake.limits import Places
from gateway.intake.login import Authenticator
from gateway.intake.services import (
    CurrentDirectory,
    Exchange,
    IntakeMetrics,
    KnownCertificates,
    NoMetrics,
    Services,
    no_certificates,
)
from gateway.intake.session import SubmissionSession
from gateway.intake.tls import TlsHolder

log = structlog.get_logger("intake")

_BACKLOG = 128
_PAUSE = 1.0  # seconds until accepting is tried again when the system is out of descriptors
_GRACE = 2.0  # seconds for sessions to end after their connection was cut


class SubmissionDoor:
    """A listener for submission. Doors of one office share `places`, so that limits hold for all.

    The accepting is done here, not by asyncio's server: a client gets its place before its TLS
    handshake, each handshake takes the context that is then in force, and stopping never waits for
    a client that is idle.
    """

    def __init__(
        self,
        listener: config.Listener,
        settings: config.Submission,
        tls: TlsHolder,
        *,
        directory: CurrentDirectory,
        authenticator: Authenticator,
        exchange: Exchange,
        host: str,
        spool_directory: Path,
        clock: Clock,
        places: Places | None = None,
        certificates: KnownCertificates = no_certificates,
        metrics: IntakeMetrics | None = None,
        pool: Executor | None = None,
    ) -> None:
        """`host` is the name in the greeting; `pool` runs the writing of large messages.

        `certificates` gives the client certificates of all accounts, asked before each handshake.
        """
        self._own_pool = None if pool else ThreadPoolExecutor(2, thread_name_prefix="spool")
        chosen = pool or self._own_pool
        assert chosen is not None  # noqa: S101  # one of the two is set, which mypy cannot see
        self._services = Services(
            listener=listener,
            limits=settings.limits,
            host=host,
            tls=tls,
            certificates=certificates,
            directory=directory,
            authenticator=authenticator,
            exchange=exchange,
            clock=clock,
            spool_directory=spool_directory,
            pool=chosen,
            places=places or Places(settings.limits),
            metrics=metrics or NoMetrics(),
        )
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: dict[asyncio.Task[None], SubmissionSession | None] = {}

    @property
    def port(self) -> int:
        """The TCP port in use; 0 while the door is closed."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    @property
    def connections(self) -> int:
        """Clients inside, those in their TLS handshake too."""
        return len(self._clients)

    async def start(self) -> None:
        """Listen. Raises ConfigurationError if the address or port cannot be used."""
        listener = self._services.listener
        family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
        try:
            self._socket = socket.create_server(
                (listener.address, listener.port), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigurationError(
                f"submission.listeners: cannot listen on {listener.address} port {listener.port}: "
                f"{os.strerror(error.errno or 0)}"
            ) from None
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept_clients(self._socket))

    async def stop(self, drain_seconds: float) -> None:
        """Let nobody in any more, send idle clients away with 421, and wait for the others.

        After `drain_seconds` their connections are cut. A commit that runs even then goes on, and
        the database's own stop waits for it.
        """
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for task, session in self._clients.items():
            if session is None:
                task.cancel()
            else:
                session.leave(replies.STOPPING)
        if not await self._emptied(drain_seconds):
            for session in self._clients.values():
                if session is not None:
                    session.abort()
            await self._emptied(_GRACE)
        if self._own_pool is not None:
            self._own_pool.shutdown(wait=False)

    async def _emptied(self, seconds: float) -> bool:
        """Whether all clients have left within that time."""
        if self._clients:
            await asyncio.wait(set(self._clients), timeout=seconds)
        return not self._clients

    async def _accept_clients(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(listening)
            except OSError as error:
                # Out of descriptors, or the client left at once. Never spin, never stop.
                log.warning("accept-failed", cause=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            task = asyncio.create_task(self._serve(client, str(peer[0])))
            self._clients[task] = None
            task.add_done_callback(self._clients.pop)

    async def _serve(self, client: socket.socket, peer: str) -> None:
        """One client, from its place at the door to its leaving."""
        services = self._services
        refusal = services.places.take(peer)
        if refusal is not None:
            self._turn_away(client, refusal)
            return
        services.metrics.connected()
        try:
            session = await self._let_in(client, peer)
            await session.finished()
        except (OSError, ssl.SSLError) as error:
            services.metrics.turned_away("tls")
            log.info("tls-failed", peer=peer, cause=str(error))
        finally:
            services.places.give_back(peer)
            services.metrics.left()

    async def _let_in(self, client: socket.socket, peer: str) -> SubmissionSession:
        """Do the TLS handshake of an implicit door and begin the session."""
        services = self._services
        implicit = services.listener.tls == "implicit"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        context = await services.handshake_context() if implicit else None
        session = SubmissionSession(services, peer)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: session,
            client,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if implicit else None,
        )
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in a task
        self._clients[task] = session
        return session

    def _turn_away(self, client: socket.socket, refusal: Reply) -> None:
        """Say why, where that can be said in the clear, and hang up."""
        crowded = refusal is replies.TOO_MANY_CONNECTIONS
        self._services.metrics.turned_away("connections" if crowded else "connections_per_address")
        with client:
            if self._services.listener.tls == "implicit":
                return
            try:
                client.send(replies.octets(refusal, utf8=False))
            except OSError:
                return
