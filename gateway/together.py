"""Who asks in one turn of the event loop is served in one go: one reading, one thread for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Together(Generic[A, B]):
    """Calls `work` with all that was asked for meanwhile; what fails for one fails for one."""

    def __init__(self, work: Callable[[Sequence[A]], Awaitable[Sequence[B | Exception]]]) -> None:
        """`work` answers in the order of the questions, with the error where there is one."""
        self._work = work
        self._asked: list[tuple[A, asyncio.Future[B]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: A) -> B:
        """The answer. Raises what `work` gave as an error, or raised."""
        answer: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._asked.append((question, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._answer())
        return await answer

    async def _answer(self) -> None:
        asked, self._asked, self._task = self._asked, [], None
        try:
            found = await self._work([question for question, _ in asked])
        except BaseException as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(_own(error))
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), one in zip(asked, found, strict=True):
            if answer.done():
                continue  # who asked has gone
            if isinstance(one, Exception):
                answer.set_exception(one)
            else:
                answer.set_result(one)


def _own(error: BaseException) -> BaseException:
    """The error for one of those who asked; a cancelled task has none to tell."""
    if isinstance(error, asyncio.CancelledError):
        return RuntimeError("the work was cancelled")
    return error
