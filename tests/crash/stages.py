"""What makes a daemon reach each named point, one stage after the other on one office."""

from __future__ import annotations

import itertools
import signal
import smtplib
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import insert, select

from gateway.exchange.mailroom import tables as mailbox_tables
from gateway.store.database import Database
from tests import letters
from tests.crash.forked import Forked
from tests.crash.workload import Letter, Told
from tests.office import Office

_READY_SECONDS = 120.0
_DEAD_SECONDS = 90.0


@dataclass
class Stages:
    """One office, killed at point after point, and what its clients were told."""

    office: Office
    told: list[Told] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def die_at(self, point: str) -> None:
        """Start the daemon with that point armed, and do what leads there."""
        if point.startswith("sweep."):
            self._leave_an_orphan()
        if self._start(point):
            self._lead_to(point)
        process = self.office.process
        assert process is not None
        try:
            status = process.wait(_DEAD_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{point} was not reached:\n{self.office.log[-3000:]}") from None
        assert status == -signal.SIGKILL, f"{point}: {status}:\n{self.office.log[-3000:]}"
        self.office.process = None
        self._show_the_spool()

    def _start(self, point: str) -> bool:
        """Whether its doors opened; it may die before."""
        office = self.office
        office.process = Forked(office.config, office.folder / "daemon.log", point)
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if office.process.poll() is not None:
                return False
            with suppress(httpx.HTTPError):
                httpx.get(office.url("/health"), timeout=10)
                return True
            time.sleep(0.05)
        raise AssertionError(f"not ready:\n{office.log[-3000:]}")

    def _lead_to(self, point: str) -> None:
        assert self.office.process is not None
        if point in ("draining", "drained"):
            self.send()
            self.office.process.send_signal(signal.SIGTERM)
        elif point.startswith("refusal."):
            self.send(refused=True)
        elif point.startswith("reminder-put-back."):
            self._outgoing.rename(self._hidden)
            self.send()
        elif point.startswith("reminder-report."):
            if not self.office.messages_to_phones():
                self.send()
            deadline = time.monotonic() + _READY_SECONDS
            while not (handed := self.office.messages_to_phones()):
                assert time.monotonic() < deadline, self.office.log[-3000:]
                time.sleep(0.05)
            for path in handed:
                path.rename(self.office.folder / "sms" / "sent" / path.name)
        elif point.startswith("outbox-put-back."):
            # A receipt that comes up before its records are sealed waits a moment.
            while self.office.process.poll() is None:
                self.send()
        elif not point.startswith(("outbox-reclaim.", "sweep.")):
            self.send(large=point.startswith("spool"))

    def send(self, *, refused: bool = False, large: bool = False) -> None:
        """One new letter, urgent so that it has a reminder; whatever becomes of it."""
        number = next(self._numbers)
        title = (
            "机密★1年 关于检查的函"
            if refused
            else f"【特急】和政发〔2026〕{number}号 关于防汛的通知"
        )
        octets = letters.plain("office", "water finance", title, f"第{number}号\n")
        if large:
            octets = letters.with_attachment(octets, "图.bin", bytes(range(256)) * 1200)
        letter = Letter(f"stage {number}", "office", ("water", "finance"), octets, refused=refused)
        self.told.append(Told(letter, begun=0))
        self.offer(self.told[-1])

    def offer(self, one: Told) -> None:
        """Send a letter, or send it again, and keep what the client heard."""
        letter = one.letter
        try:
            with self.office.client(letter.sender) as client:
                code, text = self.office.offer(
                    client, letter.sender, letter.octets, *letter.recipients
                )
        except (OSError, smtplib.SMTPException):
            return
        assert code in (250, 550), (code, text)
        document = text.split()[1] if code == 250 else ""
        if one.replied:
            assert (code, document) == (one.code, one.document), "a resend was answered otherwise"
        one.replied, one.code, one.document = 1, code, document

    def finish(self) -> None:
        """Start without a point, send everything again, and let all work be done."""
        self.office.start()
        for one in self.told:
            self.offer(one)
            assert one.replied, f"{one.letter.key} has no reply"
        for one in self.told:
            if one.document:
                self.office.settled(one.document, seconds=60)
        self.office.stop()

    @property
    def _outgoing(self) -> Path:
        return self.office.folder / "sms" / "outgoing"

    @property
    def _hidden(self) -> Path:
        return self._outgoing.with_name(".away")

    def _show_the_spool(self) -> None:
        if self._hidden.exists():
            self._hidden.rename(self._outgoing)

    def _leave_an_orphan(self) -> None:
        """A content that no message shows, as a replaced summary leaves one, and a newer one: the
        newest is never swept."""
        contents = mailbox_tables.contents
        database = Database(self.office.database_url, readers=1)
        try:
            row = database.read_now(lambda c: c.execute(select(contents)).first())
            assert row is not None
            values = {**row._mapping, "kind": "summary"}
            del values["id"]
            database.write_now(lambda c: c.execute(insert(contents), [values, values]))
        finally:
            database.stop()


def in_order(points: Sequence[str]) -> list[str]:
    """The points so that each is prepared by the one before: reclaiming needs a lease left."""
    late = [point for point in points if point.startswith("outbox-reclaim.")]
    found = []
    for point in points:
        if not point.startswith("outbox-reclaim."):
            found.append(point)
            if late and point in ("receipt-rendered", "outbox-lease.after-commit"):
                found.append(late.pop(0))
    return found + [one for left in late for one in ("receipt-rendered", left)]
