"""A client of the mailboxes, as the hall of a door knows it."""

from __future__ import annotations

import asyncio

from gateway.errors import Reply
from mailboxes.connection import Connection
from mailboxes.imap.services import Services
from mailboxes.imap.session import Session


class ImapGuest(Connection):
    """One IMAP session and its connection."""

    def __init__(self, services: Services, peer: str) -> None:
        super().__init__()
        self._session = Session(services, self, peer)
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
