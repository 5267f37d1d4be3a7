"""Two nodes at the same outbox, reminders and log: each thing is done by one of them, and once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select

from gateway.delivery.outbox import BATCH, OutboxWorker
from gateway.evidence.log import Log
from gateway.evidence.tables import log_entries
from gateway.exchange.outbox import Kind, hasten, leave
from gateway.exchange.tables import outbox
from gateway.reminders import book
from gateway.reminders.tables import reminders
from gateway.store.database import Database
from tests import letters
from tests.databases import POSTGRESQL
from tests.house import House

pytestmark = pytest.mark.one_database("nodes share PostgreSQL", kind=POSTGRESQL)


@pytest.fixture
def other(house: House) -> Iterator[Database]:
    """The database as another node has it."""
    database = Database(house.url, readers=1, writers=2)
    database.start()
    yield database
    database.stop()


@contextmanager
def unfinished(database: Database) -> Iterator[Connection]:
    """A transaction of another node that commits at the end of the block."""
    with database.engine.connect() as connection, connection.begin():
        yield connection


def notice(number: int = 0) -> bytes:
    return letters.plain("office", "water", f"【特急】和政办发〔2026〕{number}号 关于防汛的通知")


async def test_what_one_node_is_taking_from_the_outbox_the_other_passes_over(
    house: House, other: Database
) -> None:
    for number in range(BATCH + 10):
        name = f"d{number}"
        house.database.write_now(lambda c, n=name: leave(c, Kind.SUMMARY, n, {}, house.clock.now()))
    first, second = (OutboxWorker(one, {}, house.clock) for one in (house.database, other))
    with unfinished(other) as connection:
        theirs = second._lease(connection)
        async with asyncio.timeout(5):  # it does not wait
            ours = await house.database.write(first._lease)
    assert len(theirs) == BATCH
    assert len(ours) == 10
    assert not {piece.id for piece in ours} & {piece.id for piece in theirs}


async def test_what_one_node_is_taking_of_the_reminders_the_other_passes_over(
    make_house: Any,
) -> None:
    house: House = make_house()
    other = Database(house.url, readers=1)
    now = house.clock.now()
    _plan(house, 10)
    with unfinished(other) as connection:
        theirs = book.lease(connection, now, seconds=10, limit=6)
        async with asyncio.timeout(5):
            ours = await house.database.write(lambda c: book.lease(c, now, seconds=10, limit=6))
    assert (len(theirs), len(ours)) == (6, 4)
    assert not {one.id for one in ours} & {one.id for one in theirs}
    other.stop()


def _plan(house: House, count: int) -> None:
    row = {
        "document_id": "0" * 26, "unit_id": 1, "name": "王芳", "number": "13800000001",
        "language": "zh-CN", "urgency": "extra", "step": 1, "text": "x", "state": "queued",
        "due_at": 0, "attempts": 0, "notifier": "", "reference": "", "last_error": "",
    }  # fmt: skip
    rows = [{**row, "id": f"{number:026}", "delivery_id": number} for number in range(count)]
    house.database.write_now(lambda c: c.execute(reminders.insert(), rows).rowcount)


async def test_a_summary_is_not_lost_when_it_is_asked_for_while_one_goes_out(
    house: House, other: Database
) -> None:
    """The verb found the piece that the worker was about to remove, and hastened nothing."""
    now = house.clock.now()
    house.database.write_now(lambda c: leave(c, Kind.SUMMARY, "a", {}, now))
    with unfinished(other) as connection:
        connection.execute(delete(outbox))
        asked = asyncio.create_task(
            house.database.write(lambda c: hasten(c, Kind.SUMMARY, "a", now))
        )
        await asyncio.sleep(0.3)
        assert not asked.done()
    await asked
    assert [piece.document_id for piece in house.pieces()] == ["a"]


async def test_two_sealers_at_once_give_each_record_one_number(
    house: House, other: Database
) -> None:
    log: Log = house.sealer._log
    for number in range(6):
        await house.accept("office", notice(number), "water")
    begun = threading.Barrier(2)

    def seal(connection: Connection) -> object:
        if not begun.broken:
            begun.wait(5)
        return log.seal(connection, house.clock.now(), limit=5)

    for _ in range(3):
        await asyncio.gather(house.database.write(seal), other.write(seal))
    numbers = house.database.read_now(lambda c: list(c.scalars(select(log_entries.c.number))))
    assert sorted(numbers) == list(range(len(numbers)))


async def test_an_unfinished_receipt_of_a_node_that_died_is_taken_over(house: House) -> None:
    await house.accept("office", notice(), "water")
    await house.sealer.turn()
    dead = OutboxWorker(house.database, {}, house.clock, node="first")
    assert await house.database.write(dead._lease)
    assert not await house.worker.turn()
    house.later(seconds=11)
    assert await house.worker.turn()
    assert len(house.mail("unit:office", "receipt")) == 1
