"""The client of clamd against a small server that speaks INSTREAM, over TCP and a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.policy.clamd import Clamd, VirusState

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class SmallClamd:
    """INSTREAM and PING of clamd(8), with its StreamMaxLength."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.received = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = await reader.readuntil(b"\0")
        if command == b"zPING\0":
            writer.write(b"PONG\0")
            return
        assert command == b"zINSTREAM\0"
        while length := int.from_bytes(await reader.readexactly(4), "big"):
            if len(self.received) + length > self.limit:
                writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                await writer.drain()
                return
            self.received += await reader.readexactly(length)
        found = EICAR in self.received
        writer.write(b"stream: Eicar-Test-Signature FOUND\0" if found else b"stream: OK\0")
        await writer.drain()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp(handler: Handler) -> AsyncIterator[str]:
    """A server that ends with all its connections."""
    running: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(_kept(handler, running), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"tcp:127.0.0.1:{port}"
    finally:
        server.close()
        await asyncio.gather(*running)


@asynccontextmanager
async def unix(handler: Handler, folder: Path) -> AsyncIterator[str]:
    path = folder / "clamd.ctl"
    running: list[asyncio.Task[None]] = []
    server = await asyncio.start_unix_server(_kept(handler, running), path)
    try:
        yield f"unix:{path}"
    finally:
        server.close()
        await asyncio.gather(*running)


def _kept(handler: Handler, running: list[asyncio.Task[None]]) -> Callable[..., None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.append(asyncio.create_task(serve(reader, writer)))

    return start


async def test_a_clean_message_is_clean_and_arrived_octet_by_octet() -> None:
    clamd = SmallClamd()
    pieces = [b"a" * 65_536, b"", b"b" * 65_536, b"c"]
    async with tcp(clamd.serve) as socket:
        finding = await Clamd(socket, 5).scan(pieces)
    assert finding.state is VirusState.CLEAN
    assert clamd.received == b"".join(pieces)


async def test_a_virus_is_found_over_a_unix_socket(tmp_path: Path) -> None:
    async with unix(SmallClamd().serve, tmp_path) as socket:
        finding = await Clamd(socket, 5).scan([b"Subject: x\r\n\r\n", EICAR])
    assert (finding.state, finding.name) == (VirusState.FOUND, "Eicar-Test-Signature")


async def test_a_message_over_clamds_own_limit_is_unscannable_not_clean() -> None:
    async with tcp(SmallClamd(limit=100_000).serve) as socket:
        finding = await Clamd(socket, 5).scan(b"x" * 65_536 for _ in range(400))
    assert finding.state is VirusState.UNSCANNABLE


async def test_an_empty_message_can_be_scanned() -> None:
    async with tcp(SmallClamd().serve) as socket:
        assert (await Clamd(socket, 5).scan([])).state is VirusState.CLEAN


async def test_no_clamd_is_unreachable(tmp_path: Path) -> None:
    finding = await Clamd(f"unix:{tmp_path / 'none'}", 5).scan([b"x"])
    assert finding.state is VirusState.UNREACHABLE
    assert finding.cause


async def test_a_clamd_that_is_silent_is_unreachable_after_its_time() -> None:
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()

    async with tcp(silent) as socket:
        finding = await Clamd(socket, 0.1).scan([b"x"])
        done.set()
    assert finding.state is VirusState.UNREACHABLE


async def test_a_clamd_that_does_not_read_is_unreachable_after_its_time() -> None:
    done = asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    async with tcp(stuck) as socket:
        finding = await Clamd(socket, 0.2).scan(b"x" * 65_536 for _ in range(400))
        done.set()
    assert finding.state is VirusState.UNREACHABLE


@pytest.mark.parametrize(
    "answer", [b"", b"stream: ", b"\0", b"stream: OK", b"hello\0", b"x" * 9000]
)
async def test_an_answer_that_is_none_is_unreachable_never_clean(answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(bytes(4))
        writer.write(answer)

    async with tcp(odd) as socket:
        finding = await Clamd(socket, 5).scan([b"abc"])
    assert finding.state is VirusState.UNREACHABLE


async def test_a_clamd_that_hangs_up_at_once_is_unreachable() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with tcp(rude) as socket:
        finding = await Clamd(socket, 5).scan(b"x" * 65_536 for _ in range(100))
    assert finding.state is VirusState.UNREACHABLE


async def test_alive_is_the_answer_to_a_ping(tmp_path: Path) -> None:
    async with tcp(SmallClamd().serve) as socket:
        assert await Clamd(socket, 5).alive()
    assert not await Clamd(f"unix:{tmp_path / 'none'}", 5).alive()


@pytest.mark.parametrize("socket", ["", "clamd", "unix:relative", "tcp:3310", "tcp:h:x", "tcp:h:0"])
def test_an_address_in_another_form_is_a_configuration_error(socket: str) -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.clamd"):
        Clamd(socket, 5)
