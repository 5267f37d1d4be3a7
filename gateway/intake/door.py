"""One door: accepts connections on one listener and gives each a place, or says why not."""

from __future__ import annotations

import asyncio
import os
import socket

import structlog

from gateway import config
from gateway.errors import ConfigurationError, Reply
from gateway.intake import replies
from gateway.intake.limits import Places
from gateway.intake.services import IntakeMetrics, NoMetrics
from gateway.intake.sessions import Hall

log = structlog.get_logger("intake")

_BACKLOG = 128
_PAUSE = 1.0  # seconds until accepting is tried again when the system is out of descriptors


class SubmissionDoor:
    """A listener for submission. Doors of one office share `places`, so that limits hold for all.

    The accepting is done here, not by asyncio's server: a client gets its place before its TLS
    handshake, each handshake takes the context that is then in force, and stopping never waits for
    a client that is idle. Who serves the clients is the hall's matter.
    """

    def __init__(
        self,
        listener: config.Listener,
        hall: Hall,
        places: Places,
        metrics: IntakeMetrics | None = None,
    ) -> None:
        self._listener = listener
        self._hall = hall
        self._places = places
        self._metrics = metrics or NoMetrics()
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port in use; 0 while the door is closed."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    @property
    def connections(self) -> int:
        """Clients inside, those in their TLS handshake too."""
        return self._hall.clients

    async def start(self, inherited: socket.socket | None = None) -> None:
        """Listen, on the socket that systemd has opened if there is one.

        Raises ConfigurationError if the address or port cannot be used.
        """
        self._socket = inherited or _listen(self._listener)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept_clients(self._socket))

    async def stop(self, drain_seconds: float) -> None:
        """Let nobody in any more, send idle clients away with 421, and wait for the others.

        See `Hall.empty`.
        """
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        await self._hall.empty(drain_seconds)

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
            # A socket for both families names an IPv4 client in IPv6; logs and limits do not.
            self._receive(client, str(peer[0]).removeprefix("::ffff:"))

    def _receive(self, client: socket.socket, peer: str) -> None:
        refusal = self._places.take(peer)
        if refusal is not None:
            self._turn_away(client, refusal)
            return
        self._metrics.connected()
        self._hall.admit(client, peer, lambda: self._left(peer))

    def _left(self, peer: str) -> None:
        self._places.give_back(peer)
        self._metrics.left()

    def _turn_away(self, client: socket.socket, refusal: Reply) -> None:
        """Say why, where that can be said in the clear, and hang up."""
        crowded = refusal is replies.TOO_MANY_CONNECTIONS
        self._metrics.turned_away("connections" if crowded else "connections_per_address")
        with client:
            if self._listener.tls == "implicit":
                return
            try:
                client.send(replies.octets(refusal, utf8=False))
            except OSError:
                return


def _listen(listener: config.Listener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    try:
        return socket.create_server(
            (listener.address, listener.port), family=family, backlog=_BACKLOG
        )
    except OSError as error:
        fault = os.strerror(error.errno or 0)
        if isinstance(error, PermissionError):
            unit = "submission" if listener.tls == "starttls" else "submissions"
            fault += (
                "; systemd opens ports under 1024 for the daemon: "
                f"systemctl enable --now yizhan-{unit}.socket"
            )
        raise ConfigurationError(
            f"submission.listeners: cannot listen on {listener.address} port {listener.port}: "
            f"{fault}"
        ) from None
