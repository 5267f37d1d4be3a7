"""The crew is filled up again, also when a worker could not be started at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.workers import crew as module
from gateway.workers import messages
from gateway.workers.crew import Crew
from gateway.workers.member import Member

SETTINGS: Any = SimpleNamespace(
    daemon=SimpleNamespace(workers=3), children=1, model_dump_json=lambda: "{}"
)


class Line:
    """A channel that notes what the daemon says."""

    def __init__(self) -> None:
        self.said: list[messages.Message] = []

    def tell(self, message: messages.Message) -> None:
        self.said.append(message)


class Hiring:
    """Starts workers that are nothing but a line, or cannot."""

    def __init__(self) -> None:
        self.fault: OSError | None = None
        self.lines: list[Line] = []
        self.lost: list[Callable[[], None]] = []

    def enlist(self, number: int, _hear: object, lost: Callable[[], None]) -> Member:
        if self.fault is not None:
            raise self.fault
        line: Any = Line()
        self.lines.append(line)
        self.lost.append(lost)
        process: Any = SimpleNamespace(pid=number, wait=lambda _seconds=None: 9)
        return Member(number, process, line, ready=True)


async def test_a_worker_that_cannot_be_replaced_at_once_is_replaced_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hiring = Hiring()
    monkeypatch.setattr(module, "enlist", hiring.enlist)
    monkeypatch.setattr(module, "PING_SECONDS", 0.01)
    crew = Crew(SETTINGS)
    committed: list[None] = []
    desk: Any = SimpleNamespace(committed=lambda: committed.append(None))
    database: Any = SimpleNamespace(failed="")
    await crew.start(desk, database, pytest.fail, b"secret key")
    assert await crew.health() == ""

    hiring.fault = OSError(24, "Too many open files")
    hiring.lost[0]()
    assert "could not be started" in await crew.health()
    running = asyncio.create_task(crew.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    assert len(hiring.lines) == 2

    hiring.fault = None
    async with asyncio.timeout(5):
        while len(hiring.lines) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await crew.health() == ""
    [go] = hiring.lines[2].said[:1]
    assert isinstance(go, messages.Go)
    assert go.key == "c2VjcmV0IGtleQ=="
    assert crew.replaced == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_only_workers_that_are_ready_are_asked_to_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hiring = Hiring()
    monkeypatch.setattr(module, "enlist", hiring.enlist)
    crew = Crew(SETTINGS)
    crew._members[1].ready = False
    crew.share()
    assert [line.said for line in hiring.lines] == [[messages.Share()], []]
