"""The health page says ok, or in a sentence what is wrong, and always answers."""

from __future__ import annotations

import asyncio

import pytest

from gateway.console import health as module
from gateway.console.health import Health, always


async def test_an_office_without_trouble_is_ok() -> None:
    health = Health()
    health.add("database", always(lambda: ""))
    state = await health.state()
    assert (state.ok, state.word) == (True, "ok")


async def test_one_sentence_makes_it_degraded() -> None:
    health = Health()
    health.add("database", always(lambda: ""))
    health.add("reminders", always(lambda: "smsd takes nothing"))
    state = await health.state()
    assert (state.ok, state.word) == (False, "degraded")
    assert [(f.name, f.sentence) for f in state.findings if not f.ok] == [
        ("reminders", "smsd takes nothing")
    ]


async def test_a_probe_that_fails_or_hangs_is_a_finding_and_not_the_pages_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    def fail() -> str:
        raise OSError("/var/lib/yizhan: secret cause")

    monkeypatch.setattr(module, "PROBE_SECONDS", 0.02)
    health = Health()
    health.add("hangs", hang)
    health.add("fails", always(fail))
    state = await health.state()
    assert [f.sentence for f in state.findings] == [
        "does not answer",
        "could not be checked, see the log",
    ]
