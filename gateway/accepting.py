"""Takes clients from a listening socket, for the doors of the house.

Not asyncio's server: a client must have its place before its TLS handshake, each handshake takes
the context that is then in force, and stopping must wait for nobody and lose nobody. A client is
taken and handed on in one step of the event loop, so none can be lost between the two when the
door closes; whoever comes after that waits in the backlog, for the next daemon if systemd holds
the socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import structlog

from gateway.errors import ConfigurationError

_PAUSE = 1.0  # seconds until accepting is tried again when the system is out of descriptors

log = structlog.get_logger("intake")

Receive = Callable[[socket.socket, str], None]


def listen(address: str, port: int, backlog: int, setting: str, hint: str = "") -> socket.socket:
    """A listening socket.

    Raises ConfigurationError naming the `setting` if the address or port cannot be used, with the
    `hint` where the cause is that ports under 1024 are root's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=backlog)
    except OSError as error:
        fault = os.strerror(error.errno or 0)
        if hint and isinstance(error, PermissionError):
            fault += f"; {hint}"
        raise ConfigurationError(
            f"{setting}: cannot listen on {address} port {port}: {fault}"
        ) from None


class Acceptor:
    """Hands each client to `receive`, with its IP address, until it is closed."""

    def __init__(self, listening: socket.socket, receive: Receive) -> None:
        """Begin, in the running event loop; the socket is the acceptor's from now on."""
        listening.setblocking(False)
        self._socket = listening
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._begin()

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Take nobody any more."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _begin(self) -> None:
        self._again = None
        self._loop.add_reader(self._socket, self._take)

    def _take(self) -> None:
        """Take one: for the next, the loop calls again when it has been round."""
        try:
            client, peer = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors or of memory: it would be called again at once, and spin.
            log.warning("accept-failed", cause=str(error))
            self._loop.remove_reader(self._socket)
            self._again = self._loop.call_later(_PAUSE, self._begin)
            return
        client.setblocking(False)
        # A socket for both families names an IPv4 client in IPv6; logs and limits do not.
        self._receive(client, str(peer[0]).removeprefix("::ffff:"))
