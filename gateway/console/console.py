"""Serves the console's pages inside the daemon's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gateway.config import Console as Settings
from gateway.console.health import Health
from gateway.console.metrics import Metrics
from gateway.console.pages import make_app
from gateway.errors import ConfigurationError

_DRAIN_SECONDS = 2
_MOST_AT_ONCE = 50


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: SIGTERM is the daemon's, which drains mail first."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Console:
    """The HTTP door of the operator; plain HTTP on loopback, nothing in it changes anything."""

    def __init__(
        self, settings: Settings, health: Health, metrics: Metrics, *, name: str = "Yizhan"
    ) -> None:
        self._settings = settings
        self._app = make_app(health, metrics, name)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 before `start`."""
        return self._socket.getsockname()[1] if self._socket is not None else 0

    async def start(self) -> None:
        """Listen. Raises ConfigurationError if the address cannot be used."""
        self._socket = _listen(self._settings.address, self._settings.port)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_AT_ONCE,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="console")
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await self._task  # it ended before it was up: this raises why

    async def stop(self) -> None:
        """Finish running answers, then close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
        if self._socket is not None:
            self._socket.close()
        self._server = self._task = self._socket = None


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(_MOST_AT_ONCE)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"console.port: cannot listen on {address} port {port}: {error.strerror}"
        ) from error
    listening.setblocking(False)
    return listening
