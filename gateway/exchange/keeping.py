"""Keeps the originals of documents, as blobs, on their way in."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import BinaryIO, TypeVar

from gateway.domain.submission import Content
from gateway.errors import StoreError
from gateway.policy.pool import AT_ONCE
from gateway.store.begun import BegunFile, finish_all
from gateway.store.blobs import Blobs
from gateway.together import Together

T = TypeVar("T")

IN_MEMORY = 1_048_576  # octets: larger originals are read back from their blob


class Keeper:
    """Writes blobs so that nobody waits for more of the disk than an own original needs.

    A short one is written in the event loop, and those that come at the same time are synced
    together, by one thread; a longer one has a thread for itself.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="blob")
        self._together = Together(self._finish)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def keep(self, document_id: str, content: Content, prepare: Callable[[], T]) -> T:
        """Keep it; what `prepare` returns, which may read it back by `open`.

        Raises as `Blobs.put`, and what `prepare` raises; then nothing is kept.
        """
        short = content.size <= AT_ONCE
        begun = self._blobs.begin(document_id, content.chunks()) if short else None
        if begun is None:
            await self._run(partial(self._blobs.put, document_id, content.chunks()))
            return await self._or_forget(document_id, self.prepare(content, prepare))
        try:
            prepared = prepare()
        except BaseException:
            begun.abandon()
            raise
        await self._or_forget(document_id, self._together.ask(begun))
        return prepared

    async def _or_forget(self, document_id: str, work: Awaitable[T]) -> T:
        try:
            return await work
        except Exception:
            await self.forget(document_id)
            raise

    async def prepare(self, content: Content, prepare: Callable[[], T]) -> T:
        """The same for what is kept already."""
        return prepare() if content.size <= AT_ONCE else await self._run(prepare)

    async def forget(self, document_id: str) -> None:
        """Remove a blob that nothing refers to; if that cannot be done the sweeper finds it."""
        with suppress(OSError, StoreError):
            await self._run(partial(self._blobs.delete, document_id))

    def open(self, document_id: str, content: Content) -> BinaryIO:
        """The original as a file."""
        if content.size <= IN_MEMORY:
            return io.BytesIO(content.read())
        return self._blobs.open(document_id)

    async def _finish(self, begun: Sequence[BegunFile]) -> list[Exception | None]:
        return await self._run(partial(finish_all, begun))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
