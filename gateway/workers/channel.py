"""One end of the socket pair between the daemon and a worker: whole messages, in order.

A client's socket travels with its message (SCM_RIGHTS). Nothing here waits: what the other side
does not take yet is kept and sent later. What there is to keep is bounded by the places for
clients, each of whom asks one question at a time.
"""

from __future__ import annotations

import array
import asyncio
import errno
import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.workers.messages import Answer, BadMessage, Message, is_answer, octets, read

log = structlog.stdlib.get_logger("yizhan.workers")

LONGEST = 65_536 * 3  # octets of one message; a password in JSON is the longest
_AT_ONCE = 64  # messages that are read before others have their turn
_AGAIN_SECONDS = 0.05
_GONE = {errno.EPIPE, errno.ECONNRESET}
# Too many sockets are on their way (unix(7)), or there is no memory for one more message.
_CROWDED = {errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM}


class Line(Protocol):
    """What speaks with the other side; `FakeLine` in tests."""

    def tell(self, message: Message, client: socket.socket | None = None) -> None:
        """Send it, soon. A client's socket is closed here once it is on its way."""

    async def ask(self, make: Callable[[int], Message]) -> Answer:
        """Send the question with the number given, and wait for its answer."""


class FakeLine:
    """Keeps what it is told; answers questions by a function."""

    def __init__(self, answer: Callable[[Message], Answer] | None = None) -> None:
        self.told: list[Message] = []
        self._answer = answer
        self._numbers = itertools.count(1)

    def tell(self, message: Message, client: socket.socket | None = None) -> None:
        self.told.append(message)
        if client is not None:
            client.close()

    async def ask(self, make: Callable[[int], Message]) -> Answer:
        question = make(next(self._numbers))
        self.told.append(question)
        if self._answer is None:
            raise AssertionError(f"nobody answers {question}")
        return self._answer(question)


Hear = Callable[[Message, socket.socket | None], None]


class Channel:
    """An end in use by the event loop."""

    def __init__(self, end: socket.socket, hear: Hear, lost: Callable[[], None]) -> None:
        """`hear` is given each message that is no answer, with the socket that came with it;
        `lost` is called once, when the other side has gone or says what it may not."""
        end.setblocking(False)
        self._end = end
        self._hear = hear
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, socket.socket | None]] = deque()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count(1)
        self._room = bytearray(LONGEST)
        self._closed = False
        self._blocked = False  # the loop tells when the other side takes more
        self._loop.add_reader(end, self._read)

    def tell(self, message: Message, client: socket.socket | None = None) -> None:
        if self._closed:
            if client is not None:
                client.close()
            return
        self._waiting.append((octets(message), client))
        if len(self._waiting) == 1:
            self._flush()

    async def ask(self, make: Callable[[int], Message]) -> Answer:
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._asked[number] = answer
        try:
            self.tell(make(number))
            return await answer
        finally:
            del self._asked[number]

    def close(self) -> None:
        """Hang up; what was not sent is given up, and who waits for an answer is cancelled."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._end)
        self._drop()
        self._end.close()
        for answer in self._asked.values():
            answer.cancel()

    def _drop(self) -> None:
        """Give up what was not sent."""
        self._block(False)
        for _, client in self._waiting:
            if client is not None:
                client.close()
        self._waiting.clear()

    def _flush(self) -> None:
        """Send what waits, as far as the other side takes it."""
        while self._waiting and not self._closed:
            datagram, client = self._waiting[0]
            try:
                self._send(datagram, client)
            except BlockingIOError:
                self._block(True)
                return
            except OSError as error:
                if error.errno in _GONE:
                    self._drop()  # its last words may still wait to be read, and then its end
                    return
                if error.errno not in _CROWDED:
                    self._give_up()
                    return
                self._block(False)
                self._loop.call_later(_AGAIN_SECONDS, self._flush)
                return
            self._waiting.popleft()
            if client is not None:
                client.close()  # the message holds it now
        self._block(False)

    def _block(self, blocked: bool) -> None:
        if blocked and not self._blocked:
            self._loop.add_writer(self._end, self._flush)
        elif self._blocked and not blocked:
            self._loop.remove_writer(self._end)
        self._blocked = blocked

    def _send(self, datagram: bytes, client: socket.socket | None) -> None:
        if client is None:
            self._end.send(datagram)
        else:
            socket.send_fds(self._end, [datagram], [client.fileno()])

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            if self._closed:
                return
            try:
                size, rights, flags, _ = self._end.recvmsg_into(
                    [self._room], socket.CMSG_SPACE(array.array("i").itemsize),
                    socket.MSG_CMSG_CLOEXEC,
                )  # fmt: skip
            except BlockingIOError:
                return
            except OSError:
                continue  # ECONNRESET: it has gone and left our words unread; its last ones follow
            client = _client(rights)
            if not size or flags & socket.MSG_TRUNC:
                self._give_up()
                return
            try:
                self._take(read(self._room[:size]), client)
            except BadMessage as error:
                log.error("message-not-understood", cause=error.public)
                if client is not None:
                    client.close()
                self._give_up()

    def _take(self, message: Message, client: socket.socket | None) -> None:
        if not is_answer(message):
            self._hear(message, client)
            return
        if client is not None:
            client.close()
        asked = self._asked.get(message.number)  # type: ignore[attr-defined]  # all answers have it
        if asked is not None and not asked.done():
            asked.set_result(message)  # type: ignore[arg-type]

    def _give_up(self) -> None:
        if not self._closed:
            self.close()
            self._lost()


def _client(rights: list[tuple[int, int, bytes]]) -> socket.socket | None:
    """The socket that came with a message. There is room for one; more are cut off and closed."""
    for level, kind, data in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: numbers.itemsize])
            if numbers:
                return socket.socket(fileno=numbers[0])
    return None
