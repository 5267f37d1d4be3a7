"""A client of the mailboxes, as the hall of a door knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.errors import Reply
from mailboxes.connection import Connection


class Session(Protocol):
    """What is said with a client; the sessions of IMAP and of POP3 are such."""

    async def run(self) -> None:
        """Serve the client until it leaves, or is sent away."""

    def leave(self, sentence: str) -> None:
        """End the session with that: now if it waits for a command, else after this one."""


class MailGuest(Connection):
    """One session and its connection."""

    def __init__(self, begin: Callable[[Connection], Session]) -> None:
        super().__init__()
        self._session = begin(self)
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = asyncio.get_running_loop().create_task(self._session.run())

    def leave(self, reply: Reply) -> None:
        """End the session with those words: now if it waits for a command, else after this one."""
        self._session.leave(reply.text)

    async def finished(self) -> None:
        """Wait until the session has ended and its work is done."""
        if self._task is not None:
            await asyncio.wait({self._task})
