"""No task of the daemon can end without the daemon's ending too, and saying which it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway import daemon
from gateway.daemon import PostOffice
from gateway.errors import TaskEnded


@pytest.fixture
def office() -> Any:
    made: Any = PostOffice.__new__(PostOffice)  # only what watches its tasks
    made._tasks, made.stopping, made.broken = [], asyncio.Event(), ""
    return made


async def fails() -> None:
    raise RuntimeError("a fault of the program")


async def returns() -> None:
    return


@pytest.mark.parametrize("work", [fails, returns])
async def test_a_task_that_ends_is_told_and_stops_the_office(office: Any, work: Any) -> None:
    office._spawn("sweeper", work())
    async with asyncio.timeout(10):
        await office.stopping.wait()
    assert "the sweeper has ended" in await office._tasks_health()


async def test_a_task_that_is_cancelled_at_the_end_is_no_news(office: Any) -> None:
    office._spawn("sweeper", asyncio.sleep(60))
    office._tasks[0].cancel()
    await asyncio.wait(office._tasks)
    await asyncio.sleep(0)
    assert not office.stopping.is_set()
    assert await office._tasks_health() == ""


async def test_a_daemon_whose_task_has_ended_ends_with_an_error(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(_given: object) -> None:
        office._spawn("sealer", fails())

    async def stop() -> None:
        return

    office.start, office.stop, office.reload = start, stop, lambda: None
    office.doors = []
    office.console = type("Console", (), {"port": 0})
    monkeypatch.setattr(daemon, "PostOffice", lambda *_: office)
    monkeypatch.setattr(daemon, "welcome", lambda *_: "")
    with pytest.raises(TaskEnded, match="sealer"):
        await daemon._serve(office, office)
