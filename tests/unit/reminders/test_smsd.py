"""The spool driver and the real smsd of SMS Server Tools understand each other.

Collected where smsd is installed (Debian package `smstools`), see conftest.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.reminders.notifier import Fate, Report
from gateway.reminders.notifiers.spool import SpoolNotifier, prepare

from .modem import Modem
from .test_spool import CHINESE, a_reminder

SETTINGS = """devices = GSM1
{folders}
logfile = {home}/smsd.log
infofile = {home}/smsd.working
pidfile = {home}/smsd.pid
delaytime = 1
delaytime_mainprocess = 1
errorsleeptime = 1
[GSM1]
device = {device}
incoming = no
send_retries = 0
"""

Run = Callable[[Modem], AbstractAsyncContextManager[SpoolNotifier]]


@pytest.fixture
def smsd(tmp_path: Path) -> Run:
    spool = tmp_path / "sms"
    prepare(spool)
    (spool / "incoming").mkdir()
    folders = "\n".join(f"{folder.name} = {folder}" for folder in sorted(spool.iterdir()))

    @asynccontextmanager
    async def run(modem: Modem) -> AsyncIterator[SpoolNotifier]:
        settings = tmp_path / "smsd.conf"
        settings.write_text(SETTINGS.format(folders=folders, home=tmp_path, device=modem.device))
        process = await asyncio.create_subprocess_exec(
            "/usr/sbin/smsd", f"-c{settings}", "-t",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield SpoolNotifier(spool)
        finally:
            process.terminate()
            await process.wait()
            modem.close()

    return run


async def reports(notifier: SpoolNotifier, ids: Sequence[str]) -> Sequence[Report]:
    """Poll as the worker does, until all are reported."""
    async with asyncio.timeout(40):
        while len(found := await notifier.reports(ids)) < len(ids):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return found


async def test_smsd_sends_each_message_once_and_as_it_was_written(smsd: Run) -> None:
    chinese, english = a_reminder(), a_reminder("[Heping] An urgent document.", "10086")
    modem = Modem()
    async with smsd(modem) as notifier:
        for _ in range(20):  # a worker that crashes before each commit, while smsd moves the files
            await notifier.send(chinese)
            await notifier.send(english)
            await asyncio.sleep(0.1)
        assert await reports(notifier, [chinese.id, english.id]) == [
            Report(chinese.id, Fate.SENT),
            Report(english.id, Fate.SENT),
        ]
        assert (await notifier.send(chinese)).repeated
        await asyncio.sleep(1.5)
    assert len(modem.sent) == 2
    pdu = next(
        one for one in modem.sent if CHINESE.encode("utf-16-be").hex().upper().encode() in one
    )
    assert b"0D91683108000000F1" in pdu  # 13 digits, international: 8613800000001


async def test_what_smsd_cannot_send_comes_back_as_a_failure_with_its_reason(smsd: Run) -> None:
    one = a_reminder()
    async with smsd(Modem(refuse=True)) as notifier:
        await notifier.send(one)
        (report,) = await reports(notifier, [one.id])
    assert report.fate is Fate.FAILED
    assert "38" in report.detail
