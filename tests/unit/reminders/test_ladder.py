"""Each delivery that must be signed for has its reminder, in the same transaction."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from gateway.directory.snapshot import Directory
from gateway.domain.document import MessageClass, Urgency
from gateway.exchange import hooks
from gateway.reminders import book
from gateway.reminders.choices import Choices, Text
from gateway.reminders.ladder import Ladder
from gateway.reminders.reminder import Reminder, ReminderState
from gateway.store.database import Database

from .conftest import FINANCE, MUTE, NOON, ROOM, WATER, Make

NIGHT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)  # 23:30 in the office


def plan(
    database: Database, ladder: Ladder, directory: Directory, *deliveries: hooks.Delivered,
    now: datetime = NOON,
) -> list[Reminder]:  # fmt: skip
    database.write_now(lambda c: ladder.delivered(c, deliveries, directory, now))
    return database.read_now(lambda c: book.of_document(c, "0" * 26))


def test_the_ladder_fits_the_hook_of_the_verbs(ladder: Ladder) -> None:
    hook: hooks.Ladder = ladder
    assert hook is ladder


def test_the_clerk_on_duty_gets_one_reminder_in_the_units_language(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    one, two = plan(database, ladder, directory, delivered(1, WATER), delivered(2, FINANCE))
    assert (one.name, one.number, one.language) == ("王芳", "8613800000001", "zh-CN")
    assert one.text == "【和平区电子邮局】贵单位有一件特急公文待签收，请立即登录收发件箱办理。"
    assert (two.name, two.number, two.language) == ("Zhao Lei", "8613800000003", "en")
    assert two.text == (
        "[Heping Post Office] Your unit has received a most urgent document that must be signed "
        "for. Please open your mailbox now."
    )
    assert one.state is two.state is ReminderState.QUEUED
    assert one.due_at == two.due_at == NOON


def test_a_persons_own_language_goes_before_the_units(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    assert plan(database, ladder, directory, delivered(1, ROOM))[0].language == "en"


def test_a_text_fits_in_one_sms_and_tells_neither_title_nor_number_nor_sender(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    kinds = itertools.product(
        (WATER, FINANCE), [c for c in MessageClass if c.signed_for], list(Urgency)
    )
    deliveries = [delivered(n, *kind) for n, kind in enumerate(kinds)]
    for one in plan(database, ladder, directory, *deliveries):
        assert len(one.text) <= (160 if one.text.isascii() else 70)
        assert "\n" not in one.text
        for secret in ("防汛", "〔2026〕", "区政府办", "Government"):
            assert secret not in one.text


def test_what_the_office_allows_is_named(
    database: Database, ladder: Ladder, shipped: Choices, directory: Directory, delivered: Make
) -> None:
    frank = shipped.model_copy(update={"text": Text(title=True, number=True, sender=True)})
    ladder.adopt(frank)
    one, two = plan(database, ladder, directory, delivered(1, WATER), delivered(2, FINANCE))
    assert "来文单位：区政府办。文号：和政办发〔2026〕5号。题名：关于防汛" in one.text
    assert "From: District Government Office." in two.text


def test_plain_mail_reminds_nobody(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    mail = delivered(1, WATER, MessageClass.MAIL)
    assert plan(database, ladder, directory, mail) == []


def test_a_unit_without_a_mobile_number_gets_a_reminder_that_can_only_fail(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    (one,) = plan(database, ladder, directory, delivered(1, MUTE))
    assert (one.number, one.person_id) == ("", None)


def test_at_night_only_the_most_urgent_wakes_a_unit_without_a_duty_room(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    kinds = [
        (WATER, Urgency.EXTRA), (WATER, Urgency.URGENT), (WATER, Urgency.NORMAL),
        (FINANCE, Urgency.EXTRA), (FINANCE, Urgency.URGENT),
    ]  # fmt: skip
    planned = plan(
        database, ladder, directory,
        *(delivered(n, unit, urgency=urgency) for n, (unit, urgency) in enumerate(kinds)),
        now=NIGHT,
    )  # fmt: skip
    morning = NIGHT + timedelta(hours=7, minutes=30)
    due = {one.delivery_id: one.due_at for one in planned}
    assert [due[n] for n in range(5)] == [NIGHT, NIGHT, morning, NIGHT, morning]


def test_a_sign_for_cancels_what_is_queued_and_nothing_else(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    plan(database, ladder, directory, delivered(1, WATER), delivered(2, FINANCE))
    database.write_now(lambda c: ladder.settled(c, [1], NOON))
    states = {
        one.delivery_id: one.state
        for one in database.read_now(lambda c: book.of_document(c, "0" * 26))
    }
    assert states == {1: ReminderState.CANCELLED, 2: ReminderState.QUEUED}


def test_a_thousand_units_are_planned_and_settled_in_few_statements(
    database: Database, ladder: Ladder, directory: Directory, delivered: Make
) -> None:
    planned = plan(database, ladder, directory, *(delivered(n, WATER) for n in range(1000)))
    assert len({one.id for one in planned}) == 1000
    database.write_now(lambda c: ladder.settled(c, range(1000), NOON))
    counts = database.read_now(book.count)
    assert counts[ReminderState.CANCELLED] == 1000
