"""One client's connection: reads through a `Wire`, writes with back-pressure, turns on TLS.

Own code beside asyncio's streams for the same reasons as `wire`, and because a server that serves
a thousand idle clients wants no more for each than one object.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from mailboxes.wire import Gone, Wire

HANDSHAKE_SECONDS = 60.0
LINGER_SECONDS = 2.0  # for the last line to be read
_FULL = 262_144  # octets written and not taken by the kernel, at which a writer waits


class Connection(asyncio.Protocol):
    """The protocol object of one connection, from its first octet to its last."""

    def __init__(self, capacity: int = 65_536) -> None:
        """`capacity`: octets that may wait to be read."""
        self.wire = Wire(capacity)
        self.transport: asyncio.Transport | None = None
        self.tls_version = ""
        self.certificate: bytes | None = None  # the client's, in DER, if TLS has verified one
        self._loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False
        self._cut: asyncio.TimerHandle | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.attach(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self.wire.feed(data)

    def eof_received(self) -> bool:
        self.wire.end()
        # A client that has only closed its sending half still gets its answers; TLS has no halves.
        return not self.tls_version

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost = True
        if self._cut is not None:
            self._cut.cancel()
        self.wire.end()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What a session calls

    def attach(self, transport: asyncio.Transport) -> None:
        """Read and write by this transport from now on."""
        self.transport = transport
        transport.set_write_buffer_limits(high=_FULL)
        self.wire.attach(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.tls_version = tls.version() or ""
            self.certificate = tls.getpeercert(binary_form=True)

    def write(self, octets: bytes) -> None:
        """Send these; never waits. Raises Gone."""
        if self._lost or self.transport is None or self.transport.is_closing():
            raise Gone
        self.transport.write(octets)

    async def drain(self, seconds: float) -> None:
        """Wait until there is room to write. Raises Gone, also for a client that takes nothing for
        so long."""
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._writable.wait()
            except TimeoutError:
                self.abort()
                raise Gone from None
        if self._lost:
            raise Gone

    async def encrypt(self, context: ssl.SSLContext, ready: bytes) -> None:
        """Send `ready` and do the TLS handshake. Raises Gone if it fails, OSError or SSLError as
        its cause.

        What came in the clear behind the command may be an attacker's (CVE-2011-0411), and is not
        taken for something said under TLS.
        """
        if self.transport is None:
            raise Gone
        plain = self.transport
        plain.pause_reading()
        self.wire.detach()
        self.write(ready)
        try:
            transport = await self._loop.start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError) as error:
            plain.abort()
            raise Gone from error
        if transport is None:
            raise Gone
        self.attach(transport)

    def close(self) -> None:
        """Hang up once all is sent; soon at any rate."""
        if self.transport is not None and not self._lost:
            self.transport.close()
            self._cut = self._loop.call_later(LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()
