"""What `yizhan status` counts is what is so, and costs the same however much is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from gateway.exchange.tables import deliveries, documents
from gateway.survey.figures import count_queue, count_today, count_unsigned
from gateway.survey.search import find_matches
from gateway.survey.status import start_of_day
from tests import letters
from tests.house import House

# All that grow with the documents; the others grow with the office, or hold only what waits.
BIG = (
    "documents", "deliveries", "envelope_recipients", "document_texts", "refusals", "reminders",
    "evidence_records", "log_entries", "log_nodes", "seal_uses", "mailbox_contents",
    "mailbox_messages",
)  # fmt: skip
NUMBERED = "【加急】和政办发〔2026〕45号 关于做好防汛工作的通知"


def looks(house: House, *questions: Callable[[Connection], object]) -> list[str]:
    """The plan of each statement that the questions ask."""
    asked: list[tuple[str, Any]] = []

    @contextmanager
    def listening(engine: Engine) -> Iterator[None]:
        def note(_c: Any, _k: Any, statement: str, values: Any, _x: Any, _m: Any) -> None:
            asked.append((statement, values))

        event.listen(engine, "before_cursor_execute", note)
        yield
        event.remove(engine, "before_cursor_execute", note)

    with listening(house.database.engine):
        for question in questions:
            house.database.read_now(question)

    def explain(connection: Connection) -> list[str]:
        return [
            row[3]
            for statement, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]

    return house.database.read_now(explain)


async def test_what_is_open_is_counted_until_it_is_signed_for(house: House) -> None:
    await house.accept("water", letters.plain("water", "office", "回复"), "office")
    document = await house.accept(
        "office", letters.plain("office", "water education", NUMBERED), "water", "education"
    )
    found = house.database.read_now(lambda c: count_unsigned(c, house.clock.now()))
    assert (found.deliveries, found.documents, found.overdue) == (2, 1, 0), "mail is not signed for"
    assert found.oldest is not None
    assert (found.oldest.id, found.oldest.number) == (document, "和政办发〔2026〕45号")
    assert found.oldest.owners == ("unit:education", "unit:water")

    await house.sign(document, "water")
    house.later(hours=5)
    found = house.database.read_now(lambda c: count_unsigned(c, house.clock.now()))
    assert (found.deliveries, found.overdue, found.overdue_at) == (1, 1, {"education": 1})
    assert found.oldest is not None and found.oldest.owners == ("unit:education",)

    await house.sign(document, "education")
    assert house.database.read_now(lambda c: count_unsigned(c, house.clock.now())).deliveries == 0


async def test_the_oldest_document_is_the_one_that_came_first(house: House) -> None:
    first = await house.accept("office", letters.plain("office", "water", NUMBERED), "water")
    house.later(minutes=1)
    urgent = NUMBERED.replace("加急", "特急").replace("45", "46")
    await house.accept("office", letters.plain("office", "water", urgent), "water")
    found = house.database.read_now(lambda c: count_unsigned(c, house.clock.now()))
    assert found.deliveries == 2
    assert found.oldest is not None and found.oldest.id == first


async def test_a_day_is_counted_by_class_and_yesterday_is_not_in_it(house: House) -> None:
    await house.accept("office", letters.plain("office", "water", NUMBERED), "water")
    house.later(hours=24)
    await house.accept("water", letters.plain("water", "office", "回复"), "office")
    today = start_of_day(house.clock.now())
    found = house.database.read_now(lambda c: count_today(c, today))
    assert (found["document"], found["mail"], found["refused"]) == (0, 1, 0)


async def test_what_waits_to_go_out_is_counted(house: House) -> None:
    await house.accept("office", letters.plain("office", "water", NUMBERED), "water")
    now = house.clock.now()
    found = house.database.read_now(lambda c: count_queue(c, now, start_of_day(now)))
    assert (found.letters, found.planned, found.records) == (1, 2, 2)
    await house.work()
    found = house.database.read_now(lambda c: count_queue(c, now, start_of_day(now)))
    assert (found.letters, found.planned, found.records) == (0, 2, 0)


@pytest.mark.one_database("the plans of SQLite")
async def test_no_question_of_the_operator_reads_a_big_table_from_end_to_end(house: House) -> None:
    document = await house.accept("office", letters.plain("office", "water", NUMBERED), "water")
    house.later(hours=30)
    now = house.clock.now()
    plans = looks(
        house,
        lambda c: count_unsigned(c, now),
        lambda c: count_queue(c, now, start_of_day(now)),
        lambda c: count_today(c, start_of_day(now)),
        *(lambda c, w=word: find_matches(c, w) for word in (document, document[:9], "#1", "<a@b>")),
        lambda c: find_matches(c, "和政办发〔2026〕45号"),
    )
    assert len(plans) > 10
    scanned = [
        plan
        for plan in plans
        if plan.startswith("SCAN") and plan.split()[1] in BIG and "ix_deliveries_open" not in plan
    ]
    assert scanned == [], plans


def test_the_index_of_what_is_open_holds_nothing_else() -> None:
    [index] = [one for one in deliveries.indexes if one.name == "ix_deliveries_open"]
    for dialect in ("sqlite", "postgresql"):
        where = str(index.dialect_options[dialect]["where"])
        assert where == "state = 'consigned' AND deadline IS NOT NULL"
    assert documents.c.deadline.nullable
