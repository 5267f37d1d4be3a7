"""The console answers over a real socket in the daemon's loop, and never takes its signals."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import pytest

from gateway.config import Console as Settings
from gateway.console.console import Console
from gateway.console.health import Health, always
from gateway.console.metrics import Metrics
from gateway.errors import ConfigurationError


async def get(port: int, path: str, *headers: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, headers and body of one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


@pytest.fixture
def trouble() -> list[str]:
    return [""]


@pytest.fixture
async def console(trouble: list[str]) -> AsyncIterator[Console]:
    health = Health()
    health.add("database", always(lambda: ""))
    health.add("reminders", always(lambda: trouble[0]))
    opened = Console(Settings(port=0), health, Metrics("0.1.0"), name="和平区电子邮局")
    await opened.start()
    yield opened
    await opened.stop()


async def test_programs_get_json(console: Console, trouble: list[str]) -> None:
    status, head, body = await get(console.port, "/health", "Accept: */*")
    assert (status, json.loads(body)) == (
        200, {"status": "ok", "probes": {"database": "ok", "reminders": "ok"}},
    )  # fmt: skip
    assert "application/json" in head
    assert "server:" not in head


async def test_people_get_a_page_they_can_read(console: Console) -> None:
    accept = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
    for path in ("/", "/health"):
        status, head, body = await get(console.port, path, accept)
        assert (status, body) == (200, "和平区电子邮局: ok\n\ndatabase   ok\nreminders  ok\n")
        assert "text/plain; charset=utf-8" in head


async def test_trouble_is_503_with_its_sentence(console: Console, trouble: list[str]) -> None:
    _, _, metrics = await get(console.port, "/metrics")
    assert "\nyizhan_healthy 1.0\n" in metrics
    trouble[0] = "smsd takes nothing"
    status, _, body = await get(console.port, "/health")
    assert status == 503
    assert json.loads(body)["probes"]["reminders"] == "smsd takes nothing"
    _, _, metrics = await get(console.port, "/metrics")
    assert "\nyizhan_healthy 0.0\n" in metrics


async def test_metrics_are_served(console: Console) -> None:
    status, head, body = await get(console.port, "/metrics")
    assert status == 200
    assert "content-type: text/plain; version=" in head
    assert 'yizhan_build_info{version="0.1.0"} 1.0' in body


async def test_nothing_else_is_there_and_nothing_can_be_changed(console: Console) -> None:
    assert (await get(console.port, "/docs"))[0] == 404
    assert (await get(console.port, "/health", method="POST"))[0] == 405


async def test_a_port_in_use_is_a_configuration_error(console: Console) -> None:
    second = Console(Settings(port=console.port), Health(), Metrics("0.1.0"))
    with pytest.raises(ConfigurationError, match=rf"console\.port: .* port {console.port}"):
        await second.start()
    await second.stop()


async def test_signals_stay_the_daemons() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    console = Console(Settings(port=0), Health(), Metrics("0.1.0"))
    await console.start()
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before
    await console.stop()


async def test_stopping_does_not_wait_for_an_idle_client(console: Console) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", console.port)
    async with asyncio.timeout(5):
        await console.stop()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
