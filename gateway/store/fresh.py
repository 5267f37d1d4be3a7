"""Many who ask for the newest value at one time share one reading of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """Gives what a reading shows that began after it was asked for.

    So nobody gets what was true before he asked, and a hundred who ask while one reading runs cost
    one more reading, not a hundred.
    """

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The newest value. Raises what reading raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._next.add_done_callback(_hear)
        # Who goes away must not take the reading from the others.
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        async with self._turn:
            self._next = None  # who asks from here on needs a later reading
            return await self._read()


def _hear(task: asyncio.Task[T]) -> None:
    """All who asked may have gone; then nobody else fetches the error."""
    if not task.cancelled():
        task.exception()
