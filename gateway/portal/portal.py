"""Serves the portal over HTTPS inside the daemon's own event loop.

A client has its place before its TLS handshake, a handshake takes ten seconds at most and a
connection a minute, so that whoever sends slowly, or nothing, only waits for the end. One process
serves it, since the sessions are in its memory.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol

import structlog
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.accepting import Acceptor, listen
from gateway.authority import read_certificates
from gateway.config import Config
from gateway.config import Portal as Settings
from gateway.errors import CommandError
from gateway.expiry import ca_file
from gateway.portal.autoconfig import Facts
from gateway.portal.servers import incoming, outgoing

HANDSHAKE_SECONDS = 10.0
CONNECTION_SECONDS = 60.0
_BACKLOG = 64
_DRAIN_SECONDS = 2.0
_LARGEST_HEAD = 16_384  # octets of a request's line and headers
log = structlog.stdlib.get_logger("yizhan.portal")


class Tls(Protocol):
    """The certificate in force."""

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""

    def reload(self) -> None:
        """Read the files again. Raises ConfigurationError; then the old one stays."""


class Places(Protocol):
    """Who may still connect."""

    def take(self, address: str) -> object | None:
        """Take a place; anything but None: there is none."""

    def give_back(self, address: str) -> None:
        """The client has left."""


class _Connection(H11Protocol):
    """One client: cut when its minute is over, and its end can be waited for."""

    def __init__(self, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(CONNECTION_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.ended.set()
        super().connection_lost(exc)


def read_facts(config: Config) -> Facts:
    """What mail programs are told; the CA is read anew, since a file is put in its place."""
    try:
        file = ca_file(config)
        ca = read_certificates(file)[0].public_bytes(Encoding.DER) if file else b""
    except CommandError as error:
        log.warning("no-ca", cause=error.public)
        ca = b""
    return Facts(
        domain=config.office.domain,
        name=config.office.name,
        outgoing=outgoing(config),
        incoming=incoming(config),
        ca=ca,
    )


class Portal:
    """The HTTPS door of the people."""

    def __init__(self, settings: Settings, app: ASGIApp, tls: Tls, places: Places) -> None:
        self._settings = settings
        self._tls = tls
        self._places = places
        self._state = ServerState()
        self._config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            timeout_keep_alive=5,
        )
        self._acceptor: Acceptor | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The TCP port in use; 0 while the door is closed."""
        return self._acceptor.port if self._acceptor else 0

    def reload(self) -> None:
        """Take a renewed certificate. Raises ConfigurationError; then the old one stays."""
        self._tls.reload()

    async def start(self, inherited: socket.socket | None = None) -> None:
        """Listen, on the socket that systemd has opened if there is one.

        Raises ConfigurationError if the address or port cannot be used.
        """
        address, port = self._settings.address, self._settings.port
        listening = inherited or listen(address, port, _BACKLOG, "portal.port")
        self._config.load()
        self._acceptor = Acceptor(listening, self._receive)

    async def stop(self) -> None:
        """Let nobody in any more, finish running answers, and cut what remains."""
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._clients:
            await asyncio.wait(self._clients, timeout=_DRAIN_SECONDS)
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _receive(self, client: socket.socket, peer: str) -> None:
        task = asyncio.create_task(self._serve(client, peer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, client: socket.socket, peer: str) -> None:
        """One client, from its place at the door to its leaving."""
        if self._places.take(peer) is not None:
            client.close()
            return
        connection = _Connection(self._config, self._state)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                client,
                ssl=self._tls.context(),
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
            await connection.ended.wait()
        except (OSError, ssl.SSLError) as error:
            log.info("tls-failed", peer=peer, cause=str(error))
        finally:
            if not connection.ended.is_set() and connection.transport is not None:
                connection.transport.abort()
            self._places.give_back(peer)
