"""What a client has sent and nobody has read yet: bounded, and never waited for without a limit.

Own code beside asyncio's StreamReader because three things are needed that it has only as private
attributes: octets can be put back (a client that pipelines sends commands right behind the end of
DATA), everything can be forgotten (what came before the TLS handshake must not be believed, RFC
3207, 4.2), and the transport can change under it (STARTTLS).
"""

from __future__ import annotations

import asyncio

_START, _END = 300, 60  # octets of a long line that are kept


class Gone(Exception):
    """The client has closed the connection, or it broke."""


class TimeUp(Exception):
    """Nothing came until the deadline."""


class Interrupted(Exception):
    """`interrupt` was called while waiting for a line."""


class Nudged(Exception):
    """`nudge` was called while waiting for a line that may be interrupted by it."""


class LongLine(Exception):
    """The line was longer than allowed; all of it has been skipped, and `start` is how it began,
    `end` how it ended."""

    def __init__(self, start: bytes, end: bytes = b"") -> None:
        super().__init__("the line is too long")
        self.start = start
        self.end = end


class Wire:
    """The reading side of one connection.

    The transport is paused while more than `capacity` octets wait, so the memory that one client
    can hold is about twice that.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._waiting = bytearray()
        self._transport: asyncio.ReadTransport | None = None
        self._paused = False
        self._ended = False
        self._interrupted = False
        self._nudged = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def pending(self) -> bytes:
        """What has come and was not read yet."""
        return bytes(self._waiting)

    @property
    def has_line(self) -> bool:
        """Whether another line has come already."""
        return b"\n" in self._waiting

    def attach(self, transport: asyncio.ReadTransport) -> None:
        """Read from this transport from now on."""
        self._transport = transport

    def detach(self) -> None:
        """The transport is about to be replaced: drop all that was not read."""
        self._transport = None
        self._paused = False
        self._waiting.clear()

    def feed(self, octets: bytes) -> None:
        """The transport has received these."""
        self._waiting += octets
        transport = self._transport
        full = len(self._waiting) > self._capacity
        if full and not self._paused and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._paused = True
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake()

    def interrupt(self) -> None:
        """Make a wait for a line, the present one or the next, raise Interrupted."""
        self._interrupted = True
        self._wake()

    def nudge(self) -> None:
        """Make a wait for a line that may be `nudged`, the present one or the next, raise Nudged,
        once."""
        self._nudged = True
        self._wake()

    def put_back(self, octets: bytes) -> None:
        """These were read too far; they come first again."""
        self._waiting[:0] = octets

    async def line(self, longest: int, deadline: float, *, nudged: bool = False) -> bytes:
        """The next line with its LF, at most `longest` octets; `deadline` is in loop time.

        Raises Gone, TimeUp, Interrupted, Nudged if that is wanted, or LongLine once the end of the
        long line was seen.
        """
        skipping, start, tail = False, b"", b""
        seen = 0
        while (end := self._waiting.find(b"\n", seen)) < 0:
            if len(self._waiting) > longest:
                start = start if skipping else bytes(self._waiting[:_START])
                skipping = True
                tail = bytes(self._waiting[-_END:])
                self._waiting.clear()
            seen = len(self._waiting)
            if nudged and self._nudged:
                self._nudged = False
                raise Nudged
            await self._more(deadline, interruptible=True)
        line = bytes(self._waiting[: end + 1])
        del self._waiting[: end + 1]
        self._resume()
        if skipping or len(line) > longest:
            raise LongLine(start or line[:_START], (tail + line)[-_END:])
        return line

    async def piece(self, deadline: float, most: int = 0) -> bytes:
        """Whatever has come, at least one octet and, if that is given, at most `most`.

        Raises Gone or TimeUp.
        """
        while not self._waiting:
            await self._more(deadline, interruptible=False)
        if 0 < most < len(self._waiting):
            octets = bytes(memoryview(self._waiting)[:most])
            del self._waiting[:most]
            return octets
        octets = bytes(self._waiting)
        self._waiting.clear()
        self._resume()
        return octets

    async def _more(self, deadline: float, *, interruptible: bool) -> None:
        if interruptible and self._interrupted:
            raise Interrupted
        if self._ended:
            raise Gone
        self._resume()
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(deadline, self._expire, self._waiter)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        if interruptible and self._interrupted:
            raise Interrupted

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeUp())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
