"""What the machine does to a running daemon: full and failing disks, no descriptors, no children,
clocks that jump. It says so to the client in words, stays up, and goes on by itself where it can.

The calls fail by the recorder's orders (tests/crash/recorder.c), so each fails exactly when told.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import smtplib
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain.ids import time_of
from tests import letters
from tests.crash.recording import Recorder
from tests.office import Office
from tests.unit.inspection import files

pytestmark = pytest.mark.one_database("the calls that fail are those of SQLite and of files")

_number = iter(range(10_000))


def letter(name: str = "", content: bytes = b"") -> bytes:
    """A document of its own, with a file."""
    number = next(_number)
    title = f"和政发〔2026〕{number}号 关于防汛的通知"
    octets = letters.plain("office", "water", title, f"第{number}号\n")
    return letters.with_attachment(octets, name, content) if name else octets


@pytest.fixture
def trouble(recorder: Recorder, make_office: Callable[..., Office]) -> Iterator[Trouble]:
    """A running office whose calls can be told to fail."""
    office = make_office()
    office.start(**recorder.environment(office.folder, record=False))
    yield Trouble(office, recorder)


class Trouble:
    """The office, and the hand that breaks things."""

    def __init__(self, office: Office, recorder: Recorder) -> None:
        self.office = office
        self.order = recorder.order

    def offer(self, octets: bytes = b"") -> tuple[int, str]:
        return self.office.send("office", octets or letter(), "water")

    def healthy(self) -> bool:
        return httpx.get(self.office.url("/health"), timeout=10).status_code == 200

    def says(self, probe: str) -> str:
        answer = httpx.get(self.office.url("/health"), timeout=10)
        assert answer.status_code == 503, answer.text
        return str(answer.json()["probes"][probe])

    def in_order_again(self) -> None:
        """Everything works as before, without a restart."""
        self.order()
        document = self.office.accept("office", letter(), "water")
        self.office.settled(document, seconds=60)
        assert self.healthy()

    def kept(self) -> int:
        return int(self.office.sql("SELECT count(*) FROM documents")[0])


def deferred(answer: tuple[int, str], status: str) -> bool:
    """A temporary refusal with a sentence, and nothing of the machine in it."""
    code, text = answer
    assert code in (451, 452), answer
    assert text.startswith(status), answer
    assert "please" in text or "try later" in text, answer
    assert not any(word in text.lower() for word in ("errno", "/", "sqlite", "disk i/o")), answer
    return True


@pytest.mark.parametrize(
    "where", ["/state/yizhan.db-wal", "/state/blobs/", "/state/"], ids=["database", "blobs", "all"]
)
def test_a_full_disk_defers_mail_and_is_forgotten_when_there_is_room(
    where: str, trouble: Trouble
) -> None:
    trouble.offer()
    before = trouble.kept()
    trouble.order(f"write {errno.ENOSPC} 0 -1 {where}")
    for octets in (letter(), letter("图.bin", os.urandom(400_000))):
        assert deferred(trouble.offer(octets), "4.3.1")
    assert trouble.kept() == before
    trouble.in_order_again()
    assert trouble.kept() == before + 1
    left = list((trouble.office.folder / "state" / "blobs").rglob("*.tmp"))
    assert left == [], "an unfinished blob fills the disk further"


def test_too_little_room_is_said_on_the_health_page_and_at_the_door(trouble: Trouble) -> None:
    trouble.order("space 50000000 0 0 /state")
    assert "only 50 MB are free" in trouble.says("disk")
    with trouble.office.client("office") as client:
        code, text = client.mail("office@heping.test", [])
        assert deferred((code, text.decode()), "4.3.1")
    trouble.in_order_again()


@pytest.mark.parametrize(
    ("where", "probe"), [("/state/yizhan.db-wal", "database"), ("/state/blobs/", "blobs")]
)
def test_after_a_failed_fsync_no_mail_is_taken_until_a_restart_and_the_page_says_so(
    where: str, probe: str, trouble: Trouble
) -> None:
    """The kernel may have dropped the pages, and would call the next fsync a success."""
    trouble.order(f"fsync {errno.EIO} 0 1 {where}")
    first = letter()
    assert deferred(trouble.offer(first), "4.3")
    for _ in range(2):
        assert deferred(trouble.offer(), "4.3")
    assert "no mail is taken" in trouble.says(probe)
    trouble.office.stop()
    trouble.office.start()
    document = trouble.office.accept("office", first, "water")
    trouble.office.settled(document, seconds=60)
    assert trouble.kept() == 1


def test_a_blob_that_cannot_be_read_makes_no_receipt_until_it_can(trouble: Trouble) -> None:
    """The receipt with the original in it waits; nothing wrong goes out."""
    trouble.office.run("account", "change", "office", "--receipts", "full")
    trouble.order(f"read {errno.EIO} 0 -1 /state/blobs/2")
    document = trouble.office.accept("office", letter(), "water")
    time.sleep(2)
    assert trouble.office.outbox(document) == ["receipt"]
    assert "回执" not in {f for f, m in trouble.office.mailbox("unit:office").items() if m}
    trouble.order()
    trouble.office.settled(document, seconds=40)
    assert len(trouble.office.mailbox("unit:office")["回执"]) == 1


def test_without_descriptors_clients_wait_or_are_sent_away_and_the_daemon_does_not_spin(
    trouble: Trouble,
) -> None:
    process = trouble.office.process
    assert process is not None
    used = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 3, 4096))
    crowd, answers = [], []
    for _ in range(12):
        try:
            crowd.append(smtplib.SMTP("127.0.0.1", trouble.office.submission_port, timeout=1))
        except (OSError, smtplib.SMTPException) as error:
            answers.append(error)
    assert answers, "there were descriptors enough"
    before = _cpu(process.pid)
    time.sleep(2)
    assert _cpu(process.pid) - before < 1, "it spins"
    for client in crowd:
        client.close()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    time.sleep(1.5)
    trouble.in_order_again()


def test_no_descriptor_for_the_blob_defers_the_mail(trouble: Trouble) -> None:
    trouble.order(f"open {errno.EMFILE} 0 -1 /state/blobs/")
    assert deferred(trouble.offer(), "4.3")
    trouble.in_order_again()


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOMEM])
def test_without_memory_for_a_child_mail_with_files_waits(error: int, trouble: Trouble) -> None:
    with_file = letter("通知.docx", files.docx("正文"))
    assert trouble.offer(with_file)[0] == 250
    trouble.order(f"fork {error} 0 -1 -")
    for child in _children(trouble.office):
        os.kill(child, signal.SIGKILL)
    assert deferred(trouble.offer(letter("甲.docx", files.docx("甲"))), "4.3.0")
    assert trouble.offer()[0] == 250, "plain mail needs no child"
    assert "no child can be started" in trouble.office.log
    trouble.order()
    assert trouble.offer(letter("乙.docx", files.docx("乙")))[0] == 250
    trouble.in_order_again()


def test_a_locked_database_is_said_on_the_health_page(trouble: Trouble) -> None:
    with sqlite3.connect(trouble.office.folder / "state" / "yizhan.db") as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in trouble.says("database")
        other.rollback()
    other.close()
    trouble.in_order_again()


def test_blobs_that_cannot_be_written_are_said_before_mail_comes(trouble: Trouble) -> None:
    folder = trouble.office.folder / "state" / "blobs"
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")
    assert "no mail can be stored" in trouble.says("blobs")
    assert deferred(trouble.offer(), "4.3")
    folder.unlink()
    folder.with_name("away").rename(folder)
    trouble.in_order_again()


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(hours=-1)], ids=str)
def test_a_clock_that_jumps_neither_repeats_nor_reorders_anything(
    jump: timedelta, trouble: Trouble
) -> None:
    office = trouble.office
    first = office.accept("office", letter(), "water")
    office.settled(first, seconds=60)
    phones = len(office.messages_to_phones())
    trouble.order(f"clock {int(jump.total_seconds())} 0 0 -")
    second = office.accept("office", letter(), "water")
    found = _settled(office, second)
    assert second > first
    said = datetime.fromisoformat(found["evidence"][0]["time"])
    assert abs(said - (datetime.now(UTC) + jump)) < timedelta(minutes=2), "evidence says the clock"
    trouble.order()
    third = office.accept("office", letter(), "water")
    _settled(office, third)
    assert third > second
    assert time_of(third) >= time_of(second)
    # Each document has the one reminder that is its own, and each one receipt.
    assert len(office.messages_to_phones()) <= phones + 2
    assert len(office.mailbox("unit:office")["回执"]) == 3
    lines = httpx.get(office.url("/metrics"), timeout=10).text.splitlines()
    negative = {line.split()[0] for line in lines if line.startswith("yizhan_") and " -" in line}
    assert negative == set()


def _settled(office: Office, document: str) -> Any:
    deadline = time.monotonic() + 30
    while "receipt" in office.outbox(document):
        assert time.monotonic() < deadline, "the receipt does not come"
        time.sleep(0.2)
    return office.document(document)


def _cpu(pid: int) -> float:
    """Seconds of processor that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(office: Office) -> list[int]:
    assert office.process is not None
    pid = office.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children")
    every = [found, *Path(f"/proc/{pid}/task").glob("*/children")]
    return sorted({int(one) for file in every for one in file.read_text().split()})


@pytest.mark.parametrize("where", ["/state/yizhan.db-wal", "/state/blobs/"])
def test_after_one_workers_failed_fsync_no_process_takes_mail_and_the_page_says_so(
    where: str, recorder: Recorder, make_office: Callable[..., Office]
) -> None:
    office = make_office(changes={"[state]": "[daemon]\nworkers = 3\n\n[state]"})
    office.start(**recorder.environment(office.folder, record=False))
    shared = Trouble(office, recorder)
    with office.client("office") as first, office.client("office") as second:
        code, text = office.offer(first, "office", letter(), "water")
        assert code == 250
        office.settled(text.split()[1], seconds=60)  # so that the daemon itself writes nothing
        shared.order(f"fsync {errno.EIO} 0 1 {where}")
        assert deferred(office.offer(first, "office", letter(), "water"), "4.3")
        shared.order()
        time.sleep(2.5)  # the news goes with the next ping's answer, and on with the ping after it
        for client in (first, second):
            assert deferred(office.offer(client, "office", letter(), "water"), "4.3")
        assert "no mail is taken" in shared.says("database")
    assert shared.kept() == 1
