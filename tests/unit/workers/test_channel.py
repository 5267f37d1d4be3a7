"""Between the daemon and a worker whole messages arrive in order, and nothing ever waits."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from gateway.workers import messages
from gateway.workers.channel import Channel

SOME = (
    messages.Go("{}", 1, 2, "a2V5"),
    messages.Client(7, 1, "2001:db8::1"),
    messages.Ping("disk I/O error"),
    messages.Leave(2),
    messages.CheckPassword(1, "water", '密"\0码', "192.0.2.7", "submission"),
    messages.Offer(2, 5, 1.5),
    messages.Pong(1, 2, 3, 4, ""),
    messages.Seen(0, [["message", "accepted", 4096, 0.25], ["login", "password", True]]),
)


@dataclass
class End:
    """One end, with what it has heard."""

    heard: list[tuple[messages.Message, socket.socket | None]] = field(default_factory=list)
    lost: int = 0
    channel: Channel = field(init=False)
    raw: socket.socket = field(init=False)

    def open(self, end: socket.socket) -> None:
        self.raw = end
        self.channel = Channel(end, lambda *what: self.heard.append(what), self._lose)

    def _lose(self) -> None:
        self.lost += 1


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    both = End(), End()
    for end, raw in zip(both, pair, strict=True):
        end.open(raw)
    yield both
    for end in both:
        end.channel.close()
        for _, client in end.heard:
            if client is not None:
                client.close()


async def until(promise: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not promise():  # noqa: ASYNC110  # what is awaited has no event
            await asyncio.sleep(0.01)


async def test_every_kind_of_message_arrives_as_it_was_sent(ends: tuple[End, End]) -> None:
    here, there = ends
    for message in SOME:
        here.channel.tell(message)
    await until(lambda: len(there.heard) == len(SOME))
    assert tuple(message for message, _ in there.heard) == SOME


async def test_a_clients_socket_comes_with_its_message_and_is_closed_where_it_was(
    ends: tuple[End, End],
) -> None:
    here, there = ends
    inside, outside = socket.socketpair()
    with outside:
        here.channel.tell(messages.Client(1, 0, "192.0.2.7"), inside)
        await until(lambda: bool(there.heard))
        assert inside.fileno() == -1
        got = there.heard[0][1]
        assert got is not None
        assert not os.get_inheritable(got.fileno())
        got.send(b"220")
        assert outside.recv(9) == b"220"
        got.close()
        assert outside.recv(9) == b""  # nobody else holds it


async def test_questions_are_answered_each_to_its_asker(ends: tuple[End, End]) -> None:
    here, there = ends
    asked = [
        asyncio.create_task(here.channel.ask(lambda n, a=a: messages.Offer(n, a, 0.0)))
        for a in range(3)
    ]
    await until(lambda: len(there.heard) == 3)
    for message, _ in reversed(there.heard):
        assert isinstance(message, messages.Offer)
        there.channel.tell(messages.Sent(message.number, message.account, 0))
    answers = await asyncio.gather(*asked)
    assert [a.last_minute for a in answers if isinstance(a, messages.Sent)] == [0, 1, 2]


async def test_what_a_busy_worker_does_not_take_yet_is_kept_and_comes_in_order() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = End()
    here.open(ours)
    outside = []
    for number in range(1000):
        inside, out = socket.socketpair() if number % 20 == 0 else (None, None)
        here.channel.tell(messages.Client(number, 0, "x" * 500), inside)
        outside += [out] if out else []
    there = End()
    there.open(theirs)
    await until(lambda: len(there.heard) == 1000)
    sessions = [m.session for m, _ in there.heard if isinstance(m, messages.Client)]
    assert sessions == list(range(1000))
    assert sum(client is not None for _, client in there.heard) == 50
    for end in (here, there):
        end.channel.close()
    for client in [*outside, *(c for _, c in there.heard if c)]:
        client.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"{}",
        b"[]",
        b"not JSON",
        b'["Nothing"]',
        b'["Left", "7"]',
        b'["Left", 7, 8]',
        b'["Left", true]',
        b'["Seen", 0, {}]',
        b'["Left", 7' + b" " * 200_000 + b"]",
    ],
)
async def test_what_is_no_message_ends_the_channel(octets: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = End()
    here.open(ours)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with theirs:
        theirs.send(octets)
        await until(lambda: here.lost == 1)
    assert here.heard == []


async def test_the_end_of_the_other_side_is_told_once_after_its_last_words(
    ends: tuple[End, End],
) -> None:
    here, there = ends
    asking = asyncio.create_task(here.channel.ask(messages.Reload))
    here.channel.tell(messages.Ping())  # unread when the other side goes
    there.raw.send(messages.octets(messages.Left(3)))
    there.channel.close()
    await until(lambda: here.lost == 1)
    assert [message for message, _ in here.heard] == [messages.Left(3)]
    with pytest.raises(asyncio.CancelledError):
        await asking
    inside, outside = socket.socketpair()
    with outside:
        here.channel.tell(messages.Client(1, 0, "192.0.2.7"), inside)
        assert outside.recv(1) == b""
    assert here.lost == 1


def test_no_password_is_in_what_may_be_logged() -> None:
    assert "geheim" not in repr(messages.CheckPassword(1, "water", "geheim", "192.0.2.7", "imap"))
