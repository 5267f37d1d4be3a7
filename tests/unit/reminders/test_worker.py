"""The worker hands over once, never after a sign-for, and leaves evidence of whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.config import Reminders
from gateway.directory.snapshot import Directory
from gateway.domain.clock import FakeClock
from gateway.domain.event import Event, Reason
from gateway.reminders import book
from gateway.reminders.ladder import Ladder
from gateway.reminders.notifier import (
    CannotHandOver,
    FakeNotifier,
    Fate,
    HandedOver,
    NeverDeliverable,
    Notifier,
    Report,
)
from gateway.reminders.notifiers.log import LogNotifier
from gateway.reminders.notifiers.spool import SpoolNotifier, prepare
from gateway.reminders.reminder import TRANSITIONS, Reminder, ReminderOutcome, ReminderState
from gateway.reminders.worker import ReminderWorker
from gateway.store.database import Database

from .conftest import FINANCE, MUTE, NOON, ROOM, WATER, Make

Arrive = Callable[..., None]


@dataclass
class Desk:
    """A worker over a real database, with what it recorded."""

    database: Database
    notifier: Notifier
    clock: FakeClock
    ladder: Ladder
    outcomes: list[ReminderOutcome] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)
    fault: Exception | None = None

    def __post_init__(self) -> None:
        self.worker = ReminderWorker(
            self.database, self.notifier, self.record, self.clock,
            Reminders(attempts=3, poll_seconds=0.01), observe=self.observed.append,
        )  # fmt: skip

    def record(self, _connection: Connection, outcomes: Sequence[ReminderOutcome]) -> None:
        if self.fault is not None:
            raise self.fault
        self.outcomes.extend(outcomes)

    def reminders(self) -> list[Reminder]:
        return self.database.read_now(lambda c: book.of_document(c, "0" * 26))

    def states(self) -> list[ReminderState]:
        return [one.state for one in self.reminders()]

    def sign(self, *delivery_ids: int) -> None:
        now = self.clock.now()
        self.database.write_now(lambda c: self.ladder.settled(c, delivery_ids, now))


@pytest.fixture
def fake() -> FakeNotifier:
    return FakeNotifier()


@pytest.fixture
def desk(database: Database, ladder: Ladder, fake: FakeNotifier) -> Desk:
    return Desk(database, fake, FakeClock(NOON), ladder)


@pytest.fixture
def arrive(database: Database, ladder: Ladder, directory: Directory, delivered: Make) -> Arrive:
    def arrive(*unit_ids: int) -> None:
        deliveries = [delivered(n, unit) for n, unit in enumerate(unit_ids, 1)]
        database.write_now(lambda c: ladder.delivered(c, deliveries, directory, NOON))

    return arrive


async def test_each_due_reminder_is_handed_over_and_becomes_evidence(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER, FINANCE)
    assert await desk.worker.work() == 2
    assert await desk.worker.work() == 0
    assert sorted(one.number for one in fake.sent.values()) == ["8613800000001", "8613800000003"]
    assert desk.states() == [ReminderState.HANDED_OVER] * 2
    outcome = next(one for one in desk.outcomes if one.unit_id == WATER)
    assert outcome.event is Event.CONSIGNMENT_NOTIFICATION
    assert (outcome.name, outcome.number, outcome.notifier) == ("王芳", "8613****0001", "fake")
    assert outcome.reason is None
    assert outcome.at == NOON
    assert desk.observed == ["handed-over"] * 2


async def test_what_is_not_due_waits(
    desk: Desk, fake: FakeNotifier, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    one = delivered(1, FINANCE)
    desk.clock.advance(-3600)
    desk.database.write_now(lambda c: ladder.delivered(c, [one], directory, NOON))
    assert await desk.worker.work() == 0
    desk.clock.advance(3600)
    assert await desk.worker.work() == 1


async def test_a_document_signed_for_gets_no_reminder(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    desk.sign(1)
    assert await desk.worker.work() == 0
    assert (fake.calls, desk.outcomes) == ([], [])


async def test_a_sign_for_between_lease_and_hand_over_stops_it(
    desk: Desk, fake: FakeNotifier, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(WATER)
    real = book.states_of

    def signs_first(connection: Connection, ids: Sequence[str]) -> dict[str, ReminderState]:
        desk.sign(1)
        return real(connection, ids)

    # The read's snapshot begins at its first statement, so the sign-for is committed before it.
    monkeypatch.setattr(book, "states_of", signs_first)
    await desk.worker.work()
    assert fake.calls == []
    assert desk.states() == [ReminderState.CANCELLED]
    assert desk.observed == ["cancelled"]


@pytest.mark.parametrize("carrier_has_it", [True, False])
async def test_a_crash_then_a_sign_for_then_a_restart_tells_the_truth(
    desk: Desk, fake: FakeNotifier, arrive: Arrive, carrier_has_it: bool
) -> None:
    arrive(WATER)
    desk.database.write_now(lambda c: book.lease(c, NOON, seconds=10, limit=9))  # then: kill -9
    if carrier_has_it:
        (one,) = desk.reminders()
        fake.sent[one.id] = one
    desk.sign(1)
    desk.clock.advance(11)
    await desk.worker.work()
    assert fake.calls == []
    expected = ReminderState.HANDED_OVER if carrier_has_it else ReminderState.CANCELLED
    assert desk.states() == [expected]
    assert len(desk.outcomes) == (1 if carrier_has_it else 0)


async def test_a_crash_between_hand_over_and_commit_sends_nothing_twice(
    database: Database, ladder: Ladder, arrive: Arrive, tmp_path: Path
) -> None:
    prepare(tmp_path / "sms")
    first = Desk(database, SpoolNotifier(tmp_path / "sms"), FakeClock(NOON), ladder)
    first.fault = RuntimeError("kill -9 would come here")
    arrive(WATER, FINANCE, ROOM)
    with pytest.raises(RuntimeError):
        await first.worker.work()
    assert first.states() == [ReminderState.HANDING_OVER] * 3
    outgoing = tmp_path / "sms" / "outgoing"
    files = sorted(p for p in outgoing.iterdir() if not p.name.startswith("."))
    assert len(files) == 3
    files[0].rename(tmp_path / "sms" / "checked" / files[0].name)
    files[1].rename(tmp_path / "sms" / "sent" / files[1].name)

    second = Desk(database, SpoolNotifier(tmp_path / "sms"), FakeClock(NOON), ladder)
    assert await second.worker.work() == 0  # the first may still be alive: its lease counts
    second.clock.advance(60)
    assert await second.worker.work() == 3
    assert len(second.outcomes) == 3
    left = [p for p in outgoing.iterdir() if not p.name.startswith(".")]
    assert left == [files[2]]
    assert sorted(second.states()) == sorted(
        [ReminderState.HANDED_OVER, ReminderState.HANDED_OVER, ReminderState.SENT]
    )


async def test_two_workers_share_the_work(
    desk: Desk, fake: FakeNotifier, arrive: Arrive, database: Database, ladder: Ladder
) -> None:
    arrive(*[WATER] * 100)
    other = Desk(database, fake, desk.clock, ladder)
    taken = await asyncio.gather(desk.worker.work(), other.worker.work())
    assert sum(taken) == 100
    assert len(fake.calls) == len(set(fake.calls)) == 100
    assert len(desk.outcomes) + len(other.outcomes) == 100


async def test_a_carrier_that_fails_is_tried_again_later_and_later(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    fake.errors = [CannotHandOver("busy"), RuntimeError("a fault in a driver")]
    assert await desk.worker.work() == 1
    assert await desk.worker.work() == 0
    desk.clock.advance(5)
    assert await desk.worker.work() == 1
    desk.clock.advance(14)
    assert await desk.worker.work() == 0
    desk.clock.advance(1)
    assert await desk.worker.work() == 1
    assert desk.states() == [ReminderState.HANDED_OVER]
    assert desk.observed == ["retried", "retried", "handed-over"]
    assert len(desk.outcomes) == 1


async def test_after_the_last_try_the_failure_is_evidence(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    fake.errors = [CannotHandOver("busy", cause="secret path") for _ in range(3)]
    for _ in range(3):
        await desk.worker.work()
        desk.clock.advance(700)
    (outcome,) = desk.outcomes
    assert outcome.event is Event.CONSIGNMENT_NOTIFICATION_FAILURE
    assert (outcome.reason, outcome.detail) == (Reason.TECHNICAL_MALFUNCTION, "busy")
    assert desk.states() == [ReminderState.FAILED]


async def test_a_last_try_that_arrived_after_all_is_not_called_failed(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    (one,) = desk.reminders()
    fake.errors = [CannotHandOver("busy") for _ in range(3)]
    for _ in range(2):
        await desk.worker.work()
        desk.clock.advance(700)
    fake.sent[one.id] = one
    await desk.worker.work()
    assert desk.states() == [ReminderState.HANDED_OVER]
    assert desk.outcomes[0].event is Event.CONSIGNMENT_NOTIFICATION


async def test_a_slow_carrier_is_not_waited_for(
    desk: Desk, fake: FakeNotifier, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_one: Reminder) -> HandedOver:
        await asyncio.Event().wait()
        raise AssertionError

    fake.patience = 0.01
    monkeypatch.setattr(FakeNotifier, "send", lambda _self, one: never(one))
    arrive(WATER)
    await desk.worker.work()
    assert desk.states() == [ReminderState.QUEUED]
    assert desk.observed == ["retried"]


async def test_what_was_tried_once_is_asked_for_before_it_is_cancelled(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    (one,) = desk.reminders()
    fake.errors = [CannotHandOver("did it arrive?")]
    await desk.worker.work()
    fake.sent[one.id] = one  # it did
    desk.sign(1)
    await desk.worker.work()
    assert desk.states() == [ReminderState.HANDED_OVER]


async def test_a_number_that_the_carrier_refuses_fails_at_once(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    fake.errors = [NeverDeliverable("no such number")]
    await desk.worker.work()
    assert desk.outcomes[0].reason is Reason.RECIPIENT_UNREACHABLE
    assert desk.states() == [ReminderState.FAILED]


async def test_a_unit_that_nobody_can_be_told_in_is_evidence_too(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(MUTE)
    await desk.worker.work()
    assert fake.calls == []
    (outcome,) = desk.outcomes
    assert outcome.event is Event.CONSIGNMENT_NOTIFICATION_FAILURE
    assert outcome.reason is Reason.RECIPIENT_UNREACHABLE
    assert "mobile number" in outcome.detail


async def test_reports_are_kept_once_and_failures_become_evidence(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER, FINANCE)
    await desk.worker.work()
    first, second = desk.reminders()
    fake.fates = {
        first.id: Report(first.id, Fate.SENT),
        second.id: Report(second.id, Fate.FAILED, "+CMS ERROR: 38"),
    }
    await desk.worker.work()
    await desk.worker.work()
    assert desk.states() == [ReminderState.SENT, ReminderState.FAILED]
    assert [one.event for one in desk.outcomes] == [
        Event.CONSIGNMENT_NOTIFICATION, Event.CONSIGNMENT_NOTIFICATION,
        Event.CONSIGNMENT_NOTIFICATION_FAILURE,
    ]  # fmt: skip
    assert desk.outcomes[2].detail == "+CMS ERROR: 38"
    # The carrier is asked for the newest first, and one may have been handed over a moment later.
    assert sorted(desk.observed) == ["failed", "handed-over", "handed-over", "sent"]


async def test_evidence_and_state_are_one_transaction(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    desk.fault = RuntimeError("the notary cannot")
    with pytest.raises(RuntimeError):
        await desk.worker.work()
    assert desk.states() == [ReminderState.HANDING_OVER]
    desk.fault = None
    desk.clock.advance(60)
    await desk.worker.work()
    assert desk.states() == [ReminderState.HANDED_OVER]
    assert len(fake.sent) == 1


async def test_one_that_cannot_be_entered_keeps_no_other_waiting(
    desk: Desk, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = desk.record

    def refuses_the_second(connection: Connection, outcomes: Sequence[ReminderOutcome]) -> None:
        if any(one.delivery_id == 2 for one in outcomes):
            raise LookupError("the delivery is not there any more")
        real(connection, outcomes)

    monkeypatch.setattr(desk.worker, "_record", refuses_the_second)
    arrive(WATER, FINANCE, ROOM)
    with pytest.raises(LookupError):
        await desk.worker.work()
    handed, leased = ReminderState.HANDED_OVER, ReminderState.HANDING_OVER
    assert desk.states() == [handed, leased, handed]
    assert sorted(one.delivery_id for one in desk.outcomes) == [1, 3]


async def test_the_loop_survives_errors_and_wakes_at_once(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    desk.fault = RuntimeError("the notary cannot")
    running = asyncio.create_task(desk.worker.run())
    try:
        async with asyncio.timeout(5):
            while not await desk.worker.health():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            desk.fault = None
            desk.clock.advance(60)
            desk.worker.wake()
            while not desk.outcomes or await desk.worker.health():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert desk.states() == [ReminderState.HANDED_OVER]


async def test_a_carrier_that_falls_silent_shows_on_the_health_page(
    desk: Desk, fake: FakeNotifier, arrive: Arrive
) -> None:
    arrive(WATER)
    await desk.worker.work()
    assert await desk.worker.health() == ""
    desk.clock.advance(3601)
    assert "said nothing" in await desk.worker.health()
    fake.trouble = "no network"
    assert await desk.worker.health() == "no network"


async def test_the_log_driver_tells_neither_text_nor_number(
    database: Database, ladder: Ladder, arrive: Arrive, capsys: pytest.CaptureFixture[str]
) -> None:
    arrive(WATER)
    desk = Desk(database, LogNotifier(), FakeClock(NOON), ladder)
    await desk.worker.work()
    said = capsys.readouterr()
    assert "8613****0001" in said.out + said.err
    for secret in ("13800000001", "特急", "王芳"):
        assert secret not in said.out + said.err
    assert desk.states() == [ReminderState.HANDED_OVER]


def test_every_state_has_its_row_in_the_table_of_transitions() -> None:
    assert set(TRANSITIONS) == set(ReminderState)
    for final in (ReminderState.SENT, ReminderState.FAILED, ReminderState.CANCELLED):
        assert not TRANSITIONS[final]
