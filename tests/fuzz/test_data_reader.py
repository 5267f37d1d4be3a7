"""The DATA reader against a naive one, over every way in which the network may cut the octets."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.intake.data import Arrival, DotReader, Fault, LineEndings
from gateway.store.spool import Spool
from mailboxes.wire import Wire

# Mostly the octets that matter, so that terminators and near misses are common.
SCRAPS = st.sampled_from(
    [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\0", b"a", b"bc"]
)
STREAMS = st.lists(SCRAPS, max_size=24).map(b"".join)
CUTS = st.lists(st.integers(1, 6), max_size=60)


def naive_message(stream: bytes) -> tuple[bytes, bytes] | None:
    """Message and rest, octet by octet as RFC 5321, 4.5.2 tells it; None without an end."""
    lines, line, place = [], b"", 0
    while place < len(stream):
        line += stream[place : place + 1]
        place += 1
        if line.endswith(b"\r\n"):
            if line == b".\r\n":
                return b"".join(lines), stream[place:]
            lines.append(line[1:] if line.startswith(b".") else line)
            line = b""
    return None


def naive_faults(message: bytes) -> set[Fault]:
    rest = message.replace(b"\r\n", b"")
    found = {b"\r": Fault.BARE_CR, b"\n": Fault.BARE_LF, b"\0": Fault.NUL}
    return {fault for octet, fault in found.items() if octet in rest}


def naive_repair(message: bytes) -> bytes:
    return re.sub(rb"\r\r\n|\r\n|\r|\n", b"\r\n", message.replace(b"\0", b""))


def cut(stream: bytes, lengths: list[int]) -> list[bytes]:
    pieces, place = [], 0
    for length in lengths:
        if place >= len(stream):
            break
        pieces.append(stream[place : place + length])
        place += length
    return [*pieces, stream[place:]] if place < len(stream) else pieces


@settings(max_examples=600, deadline=None)
@given(STREAMS, CUTS)
@example(b".\r\n", [1, 1, 1])
@example(b"\r\n.\r\n", [2, 1, 1, 1])
@example(b"a\r\n.\r\nQUIT\r\n", [4, 1])
@example(b"..\r\n.\r\n", [1, 1, 1])
@example(b"\r\n..\r\n.\r\n", [3, 1])
@example(b"a\r\n.\rb\r\n.\r\n", [5, 1])
def test_the_message_and_what_follows_are_the_same_however_the_octets_are_cut(stream, lengths):
    reader, message, behind = DotReader(), b"", b""
    for piece in cut(stream, lengths):
        if reader.finished:
            behind += piece
        else:
            message += reader.feed(piece)
    expected = naive_message(stream)
    assert reader.finished == (expected is not None)
    if expected is not None:
        assert (message, reader.rest + behind) == expected


@settings(max_examples=600, deadline=None)
@given(STREAMS, CUTS)
@example(b"\r\r\r\n", [1, 1, 1, 1])
@example(b"\r\0\n", [1, 1, 1])
@example(b"a\r", [1, 1])
def test_line_endings_are_judged_and_repaired_the_same_however_they_are_cut(message, lengths):
    for repair in (False, True):
        endings, out = LineEndings(repair=repair), b""
        for piece in cut(message, lengths):
            out += endings.feed(piece)
        out += endings.finish()
        if repair:
            assert out == naive_repair(message)
            assert naive_faults(out) == set()
        else:
            assert out == message
        if repair and b"\0" in message:
            assert Fault.NUL in endings.faults
        else:
            assert endings.faults == naive_faults(message)


@settings(max_examples=150, deadline=None)
@given(STREAMS, CUTS, st.booleans(), st.integers(1, 40), st.sampled_from([4, 1000]))
def test_the_whole_way_into_the_spool_keeps_exact_octets_within_its_limits(
    stream, lengths, repair, limit, memory
):
    stream = stream + b"\r\n.\r\nQUIT\r\n"
    expected = naive_message(stream)
    assert expected is not None
    message, rest = expected
    faults = naive_faults(message)

    async def receive() -> None:
        wire = Wire(capacity=8)
        with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory() as folder:
            spool = Spool(Path(folder), memory)
            arrival = Arrival(wire, spool, pool, limit=limit, memory=memory, repair=repair)
            deadline = asyncio.get_running_loop().time() + 20
            task = asyncio.create_task(arrival.receive(deadline))
            for piece in cut(stream, lengths):
                wire.feed(piece)
                await asyncio.sleep(0)
            whole = naive_repair(message) if repair else message
            if (faults and not repair) or len(whole) > limit:
                with pytest.raises(Refused):
                    await task
                with pytest.raises(ValueError, match="closed"):
                    spool.read()
            else:
                assert bool(await task) == bool(faults)
                assert spool.read() == whole
            # What is refused leaves its digest for the evidence, and nothing else.
            assert spool.sha256 == hashlib.sha256(whole).digest()
            assert wire.pending == rest
            spool.close()

    asyncio.run(receive())
