"""Nothing that a message holds may hurt or hold up the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pysequoia import Cert, Tsk, encrypt

from gateway import config
from gateway.domain.document import Opening
from gateway.domain.submission import Content
from gateway.errors import Deferred
from gateway.policy import child, pool
from gateway.policy.child import BadFrame, pack, unpack
from gateway.policy.examine import examine
from gateway.policy.extract import extract
from gateway.policy.inspection import Inspection, Reading
from gateway.policy.pool import Inspector
from gateway.seals.book import Seal, SealBook
from gateway.seals.opener import FakeOpener, Opener
from gateway.store.spool import Spool
from tests.unit.inspection import files
from tests.unit.inspection.files import message

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]

# A child whose reader of files does what a hostile file might bring a real one to.
_SABOTAGED = """
import os, sys, time
from gateway.policy import child, pool
real = child.extract
def extract(name, declared, octets, budget):
    if name == "kill.zip":
        os.abort()
    if name == "hang.zip":
        time.sleep(60)
    if name == "eat.zip":
        return real(name, declared, bytes(1 << 34), budget)
    return real(name, declared, octets, budget)
child.extract = extract
child.main()
"""


@pytest.fixture
def content(tmp_path: Path) -> Iterator[Callable[[bytes], Content]]:
    made: list[Spool] = []

    def of(octets: bytes) -> Content:
        spool = Spool(tmp_path, 65_536)
        for start in range(0, len(octets), 50_000):
            spool.write(octets[start : start + 50_000])
        spool.finish()
        made.append(spool)
        return spool

    yield of
    for spool in made:
        spool.close()


@asynccontextmanager
async def inspector(*, sabotaged: bool = False, **settings: float) -> AsyncIterator[Inspector]:
    policy = config.Policy.model_validate({"extraction_children": 1, **settings})
    command = [sys.executable, "-c", _SABOTAGED, str(policy.extraction_memory)]
    made = Inspector(
        policy, config.Seals(), "mail.heping.test", command=command if sabotaged else None
    )
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def look(
    made: Inspector, content: Content, *, opener: Opener | None = None, book: SealBook | None = None
) -> Inspection:
    return await made.inspect(
        content, unit_id=1, book=book or SealBook(()), opener=opener, at=NOW, mt_priority=None
    )


DOCX = message("正文", ("a.docx", files.docx("机密★1年", "正文")))
BIG = message("正文", ("a.bin", os.urandom(6_000_000)), ("a.docx", files.docx("机密★1年")))
PLAIN = message("机密\n正文", ("a.png", b"\x89PNG\r\n\x1a\n"))


async def test_the_child_finds_what_the_process_itself_would_find(
    content: Callable[[bytes], Content],
) -> None:
    from gateway.policy.archives import Budget

    async with inspector() as made:
        for octets in (PLAIN, DOCX, BIG):
            expected = examine(
                octets, unit_id=1, book=SealBook(()), at=NOW, clock_skew=900, opener=None,
                office_host="mail.heping.test", mt_priority=None,
                read_attachment=lambda name, kind, file: extract(name, kind, file, Budget()),
            )  # fmt: skip
            assert await look(made, content(octets)) == expected
        assert made.replaced == 0


async def test_plain_mail_needs_no_child(content: Callable[[bytes], Content]) -> None:
    async with inspector() as made:
        (running,) = made._all
        running.end()
        found = await look(made, content(PLAIN))
        assert [marking.place for marking in found.markings] == ["body"]
        assert made.replaced == 0


@pytest.mark.parametrize(("name", "deferred"), [("kill.zip", 0), ("hang.zip", 2)])
async def test_a_file_that_kills_or_outlasts_the_child_is_named_so_and_not_tried_again(
    content: Callable[[bytes], Content], name: str, deferred: int
) -> None:
    """One that outlasts it is deferred at first: perhaps the machine was only busy."""
    octets = message("机密\n正文", (name, files.zipped({"a.txt": "x"})))
    async with inspector(sabotaged=True, extraction_seconds=0.1) as made:
        for _ in range(deferred):
            with pytest.raises(Deferred, match="not done in 2 seconds"):
                await look(made, content(octets))
        found = await look(made, content(octets))
        assert [file.reading for file in found.attachments] == [Reading.TIMEOUT]
        assert [file.members for file in found.attachments] == [("a.txt",)]
        assert [marking.level for marking in found.markings] == ["secret"]
        assert made.replaced == deferred + 1
        again = await look(made, content(octets))
        assert again == found
        assert made.replaced == deferred + 1
        other = await look(made, content(DOCX))
        assert [file.reading for file in other.attachments] == [Reading.READ]


async def test_a_file_that_eats_memory_is_unreadable_and_the_child_lives(
    content: Callable[[bytes], Content],
) -> None:
    octets = message("正文", ("big.zip", files.zipped({"zeros": bytes(60_000_000)}, packed=True)))
    async with inspector(extraction_memory=200_000_000) as made:
        found = await look(made, content(octets))
        assert found.attachments[0].reading in (Reading.BOMB, Reading.UNREADABLE)
        assert made.replaced == 0
    async with inspector(sabotaged=True) as made:
        found = await look(made, content(message("x", ("eat.zip", files.zipped({"a": "x"})))))
        assert found.attachments[0].reading is Reading.TIMEOUT


async def test_a_child_that_died_between_two_messages_costs_nothing(
    content: Callable[[bytes], Content],
) -> None:
    async with inspector() as made:
        (running,) = made._all
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        found = await look(made, content(DOCX))
        assert [file.reading for file in found.attachments] == [Reading.READ]


async def test_without_a_child_that_starts_mail_waits(content: Callable[[bytes], Content]) -> None:
    made = Inspector(
        config.Policy(extraction_children=1), config.Seals(), "mail.heping.test",
        command=["/bin/false"],
    )  # fmt: skip
    with pytest.raises(Deferred):
        await made.start()
    await made.close()


async def test_a_client_that_leaves_does_not_leave_a_child_in_the_middle(
    content: Callable[[bytes], Content],
) -> None:
    async with inspector() as made:
        task = asyncio.create_task(look(made, content(BIG)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found = await look(made, content(DOCX))
        assert [file.reading for file in found.attachments] == [Reading.READ]
        assert made.replaced == 0


@pytest.mark.parametrize("padding", [0, 1_500_000])
async def test_encrypted_mail_is_opened_here_and_examined_like_any_other(
    content: Callable[[bytes], Content], padding: int
) -> None:
    secret = Tsk.generate("Office <postmaster@heping.test>")
    public = Cert.from_bytes(bytes(secret.extract_certificate()))
    inner = message("正文", ("机密.docx", files.docx("x")), ("x.bin", os.urandom(padding)))
    octets = _encrypted(encrypt(inner, [public]))
    async with inspector() as made:
        found = await look(made, content(octets), opener=FakeOpener(bytes(secret)))
        assert found.opening is Opening.OPENED
        assert [marking.place for marking in found.markings] == ["attachment-name"]
        assert [file.name for file in found.attachments] == ["机密.docx", "x.bin"]
        assert [part.media_type for part in found.parts] == [
            "application/pgp-encrypted", "application/octet-stream",
        ]  # fmt: skip
        assert not any("正文" in text.text for text in found.texts)
        closed = await look(made, content(octets))
        assert closed.opening is Opening.NOT_CHECKED
        assert closed.markings == ()
        assert made.replaced == 0


def _encrypted(armoured: bytes) -> bytes:
    return (
        b"From: water@heping.test\r\nTo: office@heping.test\r\nSubject: ...\r\n"
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
        b" boundary=e1\r\n\r\n--e1\r\nContent-Type: application/pgp-encrypted\r\n\r\n"
        b"Version: 1\r\n\r\n--e1\r\nContent-Type: application/octet-stream\r\n\r\n"
        + armoured.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        + b"\r\n--e1--\r\n"
    )


async def test_many_large_messages_cost_little_memory(
    content: Callable[[bytes], Content],
) -> None:
    octets = message("正文", ("a.jpg", b"\xff\xd8\xff" + os.urandom(18_000_000)))
    assert len(octets) > 24_000_000

    def total(pids: list[int]) -> int:
        return sum(_memory(pid) for pid in pids)

    async with inspector(extraction_children=2) as made:
        offered = [content(octets) for _ in range(6)]
        pids = [os.getpid(), *(running.process.pid for running in made._all)]
        idle, peak, done = total(pids), 0, asyncio.Event()

        async def watch() -> None:
            nonlocal peak
            while not done.is_set():
                peak = max(peak, total(pids))
                await asyncio.sleep(0.005)

        watcher = asyncio.create_task(watch())
        found = await asyncio.gather(*(look(made, one) for one in offered))
        done.set()
        await watcher
        assert {len(one.attachments) for one in found} == {1}
        assert (peak - idle) < 110_000_000


def _memory(pid: int) -> int:
    """Resident octets of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_values_cross_unharmed_and_lies_are_noticed() -> None:
    found = examine(
        DOCX, unit_id=1, book=SealBook(()), at=NOW, clock_skew=900, opener=None,
        office_host="x", mt_priority=None, read_attachment=child.skip_reading,
    )  # fmt: skip
    broken = replace(found, subject="\udcff\ud83d")
    assert unpack(Inspection, pack(broken)) == broken
    book = SealBook((Seal(1, 2, "AB", b"\0\xff", NOW, None, NOW),), b"x")
    assert unpack(SealBook, pack(book)) == book
    for lie in (b"[]", b"{}", b"null", b"[1]", pack(book), b"\xff", b"[" * 100_000):
        with pytest.raises(BadFrame):
            unpack(Inspection, lie)


async def test_a_short_mail_is_examined_within_milliseconds(
    content: Callable[[bytes], Content],
) -> None:
    async with inspector() as made:
        short, attached = content(PLAIN), content(DOCX)
        for one in (short, attached):
            await look(made, one)
        before = time.perf_counter()
        for _ in range(20):
            await look(made, short)
            await look(made, attached)
        assert (time.perf_counter() - before) / 40 < 0.25


async def test_children_that_have_nothing_to_do_end_and_come_again(
    content: Callable[[bytes], Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.2)
    async with inspector(extraction_children=2) as made:
        for _ in range(2):
            processes = [child.process for child in made._all]
            for _ in range(400):
                if not made._all and all(one.poll() is not None for one in processes):
                    break
                await asyncio.sleep(0.05)
            assert not made._all
            found = await look(made, content(DOCX))
            assert [file.reading for file in found.attachments] == [Reading.READ]
            assert len(made._all) == 1
        assert made.replaced == 0


class _Watched(FakeOpener):
    """An opener that says in which thread it was used."""

    def __init__(self, secret: bytes, seen: list[threading.Thread]) -> None:
        super().__init__(secret)
        self._seen = seen

    def open(self, ciphertext: bytes) -> bytes:
        self._seen.append(threading.current_thread())
        return super().open(ciphertext)


async def test_a_short_message_is_examined_in_the_event_loop_but_opened_in_a_thread(
    content: Callable[[bytes], Content], monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[threading.Thread] = []
    real = pool.examine

    def watched(*given: Any, **more: Any) -> Inspection:
        examined.append(threading.current_thread())
        return real(*given, **more)

    monkeypatch.setattr(pool, "examine", watched)
    here = threading.current_thread()
    opened: list[threading.Thread] = []
    secret = Tsk.generate("Office <postmaster@heping.test>")
    public = Cert.from_bytes(bytes(secret.extract_certificate()))
    inner = message("机密\n正文")
    async with inspector() as made:
        long = message("机密\n" + "正文" * pool.AT_ONCE)
        for octets in (inner, long):
            assert (await look(made, content(octets))).markings
        assert [thread is here for thread in examined] == [True, False]
        del examined[:]
        opener = _Watched(bytes(secret), opened)
        found = await look(made, content(_encrypted(encrypt(inner, [public]))), opener=opener)
        assert found.opening is Opening.OPENED
        assert found.markings
        assert [thread is here for thread in examined + opened] == [False, False]
