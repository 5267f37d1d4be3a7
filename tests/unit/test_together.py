"""Questions of one turn are answered in one go, and each bears its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.together import Together


class Oracle:
    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.fail: Exception | None = None

    async def answer(self, questions: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(questions))
        await asyncio.sleep(0)
        if self.fail is not None:
            raise self.fail
        return [ValueError(f"{q} is odd") if q % 2 else q * 10 for q in questions]


async def test_those_who_ask_at_one_time_are_answered_in_one_go() -> None:
    oracle = Oracle()
    together: Together[int, int] = Together(oracle.answer)
    assert await asyncio.gather(*(together.ask(n) for n in (2, 4, 6))) == [20, 40, 60]
    assert await together.ask(8) == 80
    assert oracle.calls == [[2, 4, 6], [8]]


async def test_what_fails_for_one_fails_for_one() -> None:
    together: Together[int, int] = Together(Oracle().answer)
    found = await asyncio.gather(*(together.ask(n) for n in (2, 3)), return_exceptions=True)
    assert found[0] == 20
    assert isinstance(found[1], ValueError)


async def test_what_fails_for_all_is_told_to_all_and_the_next_is_asked_again() -> None:
    oracle = Oracle()
    together: Together[int, int] = Together(oracle.answer)
    oracle.fail = OSError("away")
    found = await asyncio.gather(*(together.ask(n) for n in (2, 4)), return_exceptions=True)
    assert all(isinstance(one, OSError) for one in found)
    oracle.fail = None
    assert await together.ask(2) == 20


async def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    together: Together[int, int] = Together(Oracle().answer)
    gone = asyncio.create_task(together.ask(2))
    stays = asyncio.create_task(together.ask(4))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 40
    with pytest.raises(asyncio.CancelledError):
        await gone
