"""The spool driver hands each reminder to SMS Server Tools once, whatever crashes and whenever."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Reminders
from gateway.domain.document import Urgency
from gateway.domain.ids import new_id
from gateway.errors import ConfigurationError
from gateway.reminders.notifier import CannotHandOver, Fate, NeverDeliverable, Report
from gateway.reminders.notifiers import make_notifier
from gateway.reminders.notifiers.log import LogNotifier
from gateway.reminders.notifiers.spool import FOLDERS, STUCK_SECONDS, SpoolNotifier, prepare
from gateway.reminders.reminder import Reminder, ReminderState

CHECKOUT = Path(__file__).resolve().parents[3]
CHINESE = "【和平区】贵单位有一件特急公文待签收。"


def a_reminder(text: str = CHINESE, number: str = "8613800000001") -> Reminder:
    now = datetime.now(UTC)
    return Reminder(
        new_id(round(now.timestamp() * 1000), os.urandom(10)), "0" * 26, 1, 1, 1, "王芳", number,
        "zh-CN", Urgency.EXTRA, 0, text, ReminderState.HANDING_OVER, now, 1,
    )  # fmt: skip


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    prepare(tmp_path / "sms")
    return tmp_path / "sms"


def visible(spool: Path) -> list[Path]:
    """The files that smsd would see."""
    return [p for p in spool.rglob("*") if p.is_file() and not p.name.startswith(".")]


async def test_a_reminder_is_a_complete_file_under_its_id(spool: Path) -> None:
    one = a_reminder()
    answer = await SpoolNotifier(spool).send(one)
    assert (answer.reference, answer.repeated) == (one.id, False)
    assert visible(spool) == [spool / "outgoing" / one.id]
    head, _, body = (spool / "outgoing" / one.id).read_bytes().partition(b"\n\n")
    assert head == b"To: 8613800000001\nAlphabet: UCS2\nAutosplit: 3"
    assert body.decode("utf-16-be") == CHINESE


async def test_a_text_in_ascii_is_written_as_it_is(spool: Path) -> None:
    one = a_reminder("[Heping] An urgent document.", "10086")
    await SpoolNotifier(spool).send(one)
    assert (spool / "outgoing" / one.id).read_bytes() == (
        b"To: s10086\nAlphabet: UTF-8\nAutosplit: 3\n\n[Heping] An urgent document."
    )


async def test_smsd_of_another_user_in_the_group_can_take_the_file(spool: Path) -> None:
    one = a_reminder()
    before = os.umask(0o077)
    try:
        await SpoolNotifier(spool).send(one)
    finally:
        os.umask(before)
    assert stat.S_IMODE((spool / "outgoing" / one.id).stat().st_mode) == 0o660


@pytest.mark.parametrize("folder", ["outgoing", "checked", "GSM1", "sent", "failed"])
async def test_what_smsd_has_anywhere_is_never_written_again(spool: Path, folder: str) -> None:
    notifier, one = SpoolNotifier(spool), a_reminder()
    await notifier.send(one)
    (spool / folder).mkdir(exist_ok=True)
    (spool / "outgoing" / one.id).rename(spool / folder / one.id)
    before = (spool / folder / one.id).stat()
    again = await notifier.send(one)
    found = await notifier.find(one.id)
    assert again.repeated
    assert found == again
    assert visible(spool) == [spool / folder / one.id]
    assert (spool / folder / one.id).stat().st_mtime_ns == before.st_mtime_ns


async def test_a_received_sms_of_that_name_is_not_a_reminder(spool: Path) -> None:
    one = a_reminder()
    (spool / "incoming").mkdir()
    (spool / "incoming" / one.id).write_text("From: 1")
    assert await SpoolNotifier(spool).find(one.id) is None


async def test_a_crash_before_the_rename_leaves_nothing_that_smsd_sees(spool: Path) -> None:
    one = a_reminder()
    (spool / "outgoing" / f".{one.id}.tmp").write_bytes(b"To: 86138")  # half a file
    notifier = SpoolNotifier(spool)
    assert await notifier.find(one.id) is None
    assert not (await notifier.send(one)).repeated
    assert (spool / "outgoing" / one.id).read_bytes().endswith(CHINESE.encode("utf-16-be"))
    assert [p.name for p in (spool / "outgoing").iterdir() if p.name.endswith(".tmp")] == []


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.reminders.notifiers import spool
from tests_reminder import one

def die(*_): os.kill(os.getpid(), signal.SIGKILL)

point, directory = sys.argv[1], Path(sys.argv[2])
if point == "before-write": os.posix_fadvise = die
if point == "before-rename": Path.rename = die
if point == "before-sync": spool.sync_folder = die
asyncio.run(spool.SpoolNotifier(directory).send(one))
die()
"""


@pytest.mark.parametrize("point", ["before-write", "before-rename", "before-sync", "after"])
async def test_a_killed_process_and_its_successor_send_one_message(
    spool: Path, tmp_path: Path, point: str
) -> None:
    one = a_reminder()
    (tmp_path / "tests_reminder.py").write_text(
        "from datetime import *\nfrom gateway.domain.document import Urgency\n"
        "from gateway.reminders.reminder import *\nimport datetime\n"
        f"one = {one!r}\n".replace("<Urgency.EXTRA: 'extra'>", "Urgency.EXTRA").replace(
            "<ReminderState.HANDING_OVER: 'handing-over'>", "ReminderState.HANDING_OVER"
        )
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, point, str(spool),
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{tmp_path}"},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == -9, said.decode()
    written = point in ("before-sync", "after")
    assert len(visible(spool)) == (1 if written else 0)
    if written:  # and smsd is quick
        (spool / "outgoing" / one.id).rename(spool / "checked" / one.id)
    assert (await SpoolNotifier(spool).send(one)).repeated is written
    assert len(visible(spool)) == 1


async def test_many_at_once_and_twice_are_each_one_file(spool: Path) -> None:
    first, second = SpoolNotifier(spool), SpoolNotifier(spool)
    many = [a_reminder() for _ in range(20)]
    answers = await asyncio.gather(*(n.send(one) for one in many for n in (first, second)))
    assert sum(answer.repeated for answer in answers) == 20
    assert len(visible(spool)) == 20


async def test_a_file_that_moves_during_the_search_is_still_found(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # smsd creates a file in the next folder before it removes it from the last (watched with
    # inotify, smsd 3.1.21); a search in another order could look behind it both times.
    notifier, one = SpoolNotifier(spool), a_reminder()
    await notifier.send(one)
    looked: list[str] = []
    real = os.stat

    def looks(name: str, **options: Any) -> os.stat_result:
        found = real(name, **options)
        path = Path(name)
        if path.name == one.id:
            looked.append(path.parent.name)
            if path.parent.name != "failed":
                place = FOLDERS.index(path.parent.name)
                path.rename(spool / FOLDERS[place + 1] / one.id)
                raise FileNotFoundError(name)  # it had not been seen yet when it moved
        return found

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", looks)
        assert await notifier.find(one.id) is not None
    assert looked == list(FOLDERS)


async def test_a_folder_that_cannot_be_searched_is_an_error_and_nothing_is_written_twice(
    spool: Path,
) -> None:
    notifier, one = SpoolNotifier(spool), a_reminder()
    (spool / "sent").rmdir()
    (spool / "sent").write_bytes(b"no folder")  # as little to be searched as one without rights
    for attempt in (notifier.send(one), notifier.find(one.id), notifier.reports([one.id])):
        with pytest.raises(CannotHandOver):
            await attempt
    assert list((spool / "outgoing").glob("[!.]*")) == []
    assert "sent" in await notifier.health()


async def test_what_was_given_up_never_appears_later(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier, one = SpoolNotifier(spool), a_reminder()
    synced, go_on = threading.Event(), threading.Event()
    real = os.fsync

    def hangs(descriptor: int) -> None:
        synced.set()
        go_on.wait()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", hangs)
    monkeypatch.setattr(SpoolNotifier, "patience", 0.05)
    send = asyncio.create_task(notifier.send(one))
    await asyncio.to_thread(synced.wait)
    await asyncio.sleep(0.06)
    go_on.set()
    with pytest.raises(CannotHandOver, match="slow"):
        await send
    assert visible(spool) == []
    assert await notifier.find(one.id) is None
    assert list((spool / "outgoing").glob(".*.tmp")) == []


async def test_after_a_failed_fsync_nothing_is_believed_until_a_restart(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier, one = SpoolNotifier(spool), a_reminder()
    real = os.fsync

    def fails(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(CannotHandOver):
            await notifier.send(one)
    for attempt in (notifier.send(one), notifier.find(one.id), notifier.send(a_reminder())):
        with pytest.raises(CannotHandOver, match="restart"):
            await attempt
    assert "restart" in await notifier.health()


async def test_a_message_that_smsd_takes_during_the_health_check_is_no_trouble(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = SpoolNotifier(spool)
    await notifier.send(a_reminder())
    real = os.scandir

    @contextlib.contextmanager
    def then_gone(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        with real(folder) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_file():
                Path(entry.path).unlink()
        yield found

    monkeypatch.setattr(os, "scandir", then_gone)
    assert await notifier.health() == ""


async def test_sent_and_failed_are_read_back(spool: Path) -> None:
    notifier = SpoolNotifier(spool)
    sent, failed, waiting, late = (a_reminder() for _ in range(4))
    (spool / "sent" / sent.id).write_bytes(b"To: 1\nSent: 26-11-21 21:18:42\n\nx")
    (spool / "failed" / failed.id).write_bytes(
        b"To: 1\nModem: GSM1\nFail_reason: +CMS ERROR: 38\x07 (network)\nFailed: 26-11-21\n"
        b"PDU: 00\n\nFail_reason: not a header"
    )
    (spool / "checked" / waiting.id).write_bytes(b"To: 1\n\nx")
    (spool / "failed" / late.id).write_bytes(b"To: 1\n")  # smsd still copies it
    (spool / "failed" / f"{late.id}.LOCK").write_bytes(b"1")
    assert await notifier.reports([sent.id, failed.id, waiting.id, late.id, "../x"]) == [
        Report(sent.id, Fate.SENT),
        Report(failed.id, Fate.FAILED, "+CMS ERROR: 38 (network)"),
    ]


@pytest.mark.parametrize("number", ["", "86138\nTo: 10086", "+86", "８６１３８"])
async def test_what_is_no_number_never_reaches_a_header(spool: Path, number: str) -> None:
    with pytest.raises(NeverDeliverable):
        await SpoolNotifier(spool).send(a_reminder(number=number))
    assert visible(spool) == []


async def test_a_spool_that_went_away_is_a_temporary_failure(spool: Path) -> None:
    notifier = SpoolNotifier(spool)
    shutil.rmtree(spool)
    for attempt in (notifier.send(a_reminder()), notifier.find(a_reminder().id)):
        with pytest.raises(CannotHandOver):
            await attempt
    assert "missing" in await notifier.health()


@pytest.mark.parametrize("missing", FOLDERS)
async def test_a_spool_without_one_of_its_folders_is_a_configuration_error(
    spool: Path, missing: str
) -> None:
    (spool / missing).rmdir()
    with pytest.raises(ConfigurationError, match=missing):
        await SpoolNotifier(spool).start()


async def test_the_health_page_learns_that_smsd_takes_nothing(spool: Path) -> None:
    notifier, one = SpoolNotifier(spool), a_reminder()
    await notifier.start()
    await notifier.send(one)
    assert await notifier.health() == ""
    old = time.time() - STUCK_SECONDS - 1
    os.utime(spool / "outgoing" / one.id, (old, old))
    assert "smsd" in await notifier.health()


def test_the_settings_choose_the_driver(spool: Path) -> None:
    assert isinstance(make_notifier(Reminders()), LogNotifier)
    assert isinstance(make_notifier(Reminders(notifier="spool", spool=spool)), SpoolNotifier)
    with pytest.raises(ConfigurationError, match=r"reminders\.spool"):
        make_notifier(Reminders(notifier="spool"))
    with pytest.raises(ConfigurationError, match="pigeon"):
        make_notifier(Reminders(notifier="pigeon"))
