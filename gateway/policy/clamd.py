"""Asks a clamd for viruses by INSTREAM; when it does not answer, the answer is never "clean".

Own client because it is forty lines over asyncio streams; the protocol is that of clamd(8):
`zINSTREAM\\0`, pieces with a length of four octets, a length of zero, then one reply up to NUL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.errors import ConfigurationError

REPLY_LIMIT = 4096


class VirusState(StrEnum):
    """What a scanner says about one message."""

    CLEAN = "clean"
    FOUND = "found"
    UNSCANNABLE = "unscannable"  # the scanner answered that it cannot (its own limits)
    UNREACHABLE = "unreachable"  # no scanner, no answer, or too late


@dataclass(frozen=True, slots=True)
class VirusFinding:
    """`name` is the scanner's name of the virus; `cause` is for the log."""

    state: VirusState
    name: str = ""
    cause: str = ""


class Scanner(Protocol):
    """Looks for viruses in octets. Never raises: trouble is a finding."""

    async def scan(self, pieces: Iterable[bytes]) -> VirusFinding: ...


class FakeScanner:
    """A scanner that always finds the same."""

    def __init__(self, finding: VirusFinding) -> None:
        self.finding = finding
        self.scanned: list[bytes] = []

    async def scan(self, pieces: Iterable[bytes]) -> VirusFinding:
        self.scanned.append(b"".join(pieces))
        return self.finding


class Clamd:
    """A clamd at `unix:/path` or `tcp:host:port`; each scan has `seconds` in all."""

    def __init__(self, socket: str, seconds: float) -> None:
        """Raises ConfigurationError if the address is in neither form."""
        kind, _, where = socket.partition(":")
        host, _, port = where.rpartition(":")
        if kind == "unix" and where.startswith("/"):
            self._path, self._host, self._port = where, "", 0
        elif kind == "tcp" and host and port.isdecimal() and 0 < int(port) < 65536:
            self._path, self._host, self._port = "", host.strip("[]"), int(port)
        else:
            raise ConfigurationError(
                f"policy.clamd: {socket!r} is not a socket; write unix:/run/clamav/clamd.ctl "
                "or tcp:127.0.0.1:3310"
            )
        self._seconds = seconds

    async def scan(self, pieces: Iterable[bytes]) -> VirusFinding:
        """Look for viruses in the octets, read piece by piece."""
        try:
            async with asyncio.timeout(self._seconds):
                return _finding(await self._ask(b"zINSTREAM\0", pieces))
        except TimeoutError:
            return VirusFinding(VirusState.UNREACHABLE, cause="clamd did not answer in time")
        except (OSError, ValueError) as error:
            return VirusFinding(VirusState.UNREACHABLE, cause=f"clamd: {error}")

    async def alive(self) -> bool:
        """Whether it answers a PING, for the health page."""
        try:
            async with asyncio.timeout(min(self._seconds, 5)):
                return await self._ask(b"zPING\0", None) == "PONG"
        except (OSError, ValueError, TimeoutError):
            return False

    async def _ask(self, command: bytes, pieces: Iterable[bytes] | None) -> str:
        if self._path:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=REPLY_LIMIT)
        else:
            reader, writer = await asyncio.open_connection(
                self._host, self._port, limit=REPLY_LIMIT
            )
        # clamd answers and hangs up in the middle of a message that is over its own limit: a reply
        # that is awaited only afterwards would be lost behind the broken pipe.
        reply = asyncio.create_task(reader.readuntil(b"\0"))
        try:
            writer.write(command)
            with suppress(ConnectionError):
                await _stream(writer, pieces, reply)
            return (await reply).rstrip(b"\0\n").decode("ascii", "replace")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return ""
        finally:
            reply.cancel()
            # Not close(): that would wait for a scanner that has stopped reading.
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def _stream(
    writer: asyncio.StreamWriter, pieces: Iterable[bytes] | None, reply: asyncio.Task[bytes]
) -> None:
    for piece in pieces or ():
        if reply.done():
            return
        if piece:
            writer.write(len(piece).to_bytes(4, "big") + piece)
            await writer.drain()
    if pieces is not None:
        writer.write(bytes(4))
    await writer.drain()


def _finding(reply: str) -> VirusFinding:
    """clamd's reply: `stream: OK`, `stream: NAME FOUND`, or something `ERROR`."""
    text = reply.removeprefix("stream: ")
    if text == "OK":
        return VirusFinding(VirusState.CLEAN)
    if text.endswith(" FOUND"):
        return VirusFinding(VirusState.FOUND, name=text.removesuffix(" FOUND"))
    if text.endswith("ERROR"):
        return VirusFinding(VirusState.UNSCANNABLE, cause=f"clamd: {text}")
    return VirusFinding(VirusState.UNREACHABLE, cause="clamd hung up without an answer")
