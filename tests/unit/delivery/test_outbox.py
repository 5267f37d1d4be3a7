"""The outbox worker: each piece exactly once, whatever fails, dies or changes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway.delivery.outbox import LEASE_SECONDS, Finish, NotYet, OutboxWorker, Piece
from gateway.errors import StoreUnavailable
from gateway.exchange import outbox as verbs
from gateway.exchange.outbox import Kind
from gateway.exchange.tables import document_texts, documents, outbox
from tests.house import House


class Handler:
    """Writes one row for each piece it finishes; a test may make it wait or fail."""

    def __init__(self) -> None:
        self.seen: list[Piece] = []
        self.fail: Exception | None = None
        self.during: Callable[[], Any] | None = None
        self.nothing = False

    async def handle(self, piece: Piece) -> Finish | None:
        self.seen.append(piece)
        if self.during is not None:
            during, self.during = self.during, None
            await during()
        if self.fail is not None:
            raise self.fail
        if self.nothing:
            return None

        def finish(connection: Connection) -> None:
            count = len(connection.execute(select(document_texts)).all())
            connection.execute(
                insert(document_texts).values(
                    document_id="d", place=piece.document_id, ordinal=count, text=str(piece.id)
                )
            )

        return finish


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def worker(house: House, handler: Handler) -> OutboxWorker:
    blank = {column.name: "" for column in documents.c if not column.nullable}
    house.database.write_now(
        lambda c: c.execute(
            insert(documents).values(
                **blank | {"id": "d", "received_at": 0, "account_id": 1, "unit_id": 1, "size": 0,
                           "digest": b"", "recipients_digest": b""}
            )
        ).rowcount
    )  # fmt: skip
    return OutboxWorker(house.database, {Kind.SUMMARY: handler.handle}, house.clock, 0.01)


def leave(house: House, name: str = "a", minutes: float = 0) -> None:
    house.database.write_now(
        lambda c: verbs.leave(c, Kind.SUMMARY, name, {"n": 1}, later(house, minutes))
    )


def later(house: House, minutes: float) -> datetime:
    return house.clock.now() + timedelta(minutes=minutes)


async def emptied(house: House) -> None:
    for _ in range(1000):
        if not house.pieces():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the outbox is not empty")


def finished(house: House) -> list[str]:
    query = select(document_texts.c.place).order_by(document_texts.c.ordinal)
    return house.database.read_now(lambda c: list(c.scalars(query)))


async def test_what_is_due_is_finished_and_removed_in_one_transaction(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house, "a")
    leave(house, "b", minutes=5)
    assert await worker.turn()
    assert finished(house) == ["a"]
    assert [row.document_id for row in house.pieces()] == ["b"]
    assert handler.seen[0].payload == {"n": 1}
    assert not await worker.turn()
    house.later(minutes=5)
    assert await worker.turn()
    assert finished(house) == ["a", "b"]


async def test_an_idle_worker_writes_nothing(house: House, worker: OutboxWorker) -> None:
    leave(house, "a", minutes=5)
    before = house.database.commits
    assert not await worker.turn()
    assert house.database.commits == before


async def test_a_piece_for_which_there_is_nothing_to_do_is_gone(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)
    handler.nothing = True
    assert await worker.turn()
    assert (house.pieces(), finished(house)) == ([], [])


async def test_what_fails_stays_waits_longer_each_time_and_says_why(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)
    handler.fail = RuntimeError("no paper")
    waits = []
    for attempt in range(1, 15):
        assert not await worker.turn()
        [piece] = house.pieces()
        assert (piece.attempts, piece.last_error) == (attempt, "RuntimeError: no paper")
        wait = piece.due_at / 1000 - house.clock.now().timestamp()
        waits.append(round(wait))
        house.later(seconds=wait)
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == 3600
    handler.fail = None
    assert await worker.turn()
    assert (house.pieces(), finished(house)) == ([], ["a"])


async def test_a_piece_that_fails_does_not_hold_up_the_others(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    for number in range(40):  # more than one batch
        leave(house, str(number))
    worker._handlers = {Kind.SUMMARY: _fails_on(handler, "7")}
    while await worker.turn():
        pass
    assert sorted(finished(house)) == sorted(str(n) for n in range(40) if n != 7)
    assert [row.document_id for row in house.pieces()] == ["7"]


def _fails_on(handler: Handler, name: str) -> Any:
    async def handle(piece: Piece) -> Finish | None:
        if piece.document_id == name:
            raise LookupError("not this one")
        return await handler.handle(piece)

    return handle


async def test_what_must_wait_for_something_else_does_not_count_as_failed(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)
    handler.fail = NotYet()
    for _ in range(5):
        assert not await worker.turn()
        house.later(seconds=0.2)
    [piece] = house.pieces()
    assert (piece.attempts, piece.last_error) == (0, "")
    handler.fail = None
    assert await worker.turn()
    assert finished(house) == ["a"]


async def test_a_leased_piece_is_taken_by_nobody_else_until_its_lease_ends(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    other = Handler()
    second = OutboxWorker(house.database, {Kind.SUMMARY: other.handle}, house.clock)
    leave(house)

    async def meanwhile() -> None:
        assert not await second.turn()

    handler.during = meanwhile
    assert await worker.turn()
    assert other.seen == []
    assert finished(house) == ["a"]


async def test_a_worker_slower_than_its_lease_does_not_finish_a_second_time(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    other = Handler()
    second = OutboxWorker(house.database, {Kind.SUMMARY: other.handle}, house.clock)
    leave(house)

    async def meanwhile() -> None:
        house.later(seconds=LEASE_SECONDS + 1)
        assert await second.turn()

    handler.during = meanwhile
    await worker.turn()
    assert len(other.seen) == len(handler.seen) == 1
    assert finished(house) == ["a"]


async def test_what_was_hastened_while_it_was_worked_on_is_done_again(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)

    async def meanwhile() -> None:
        await house.database.write(lambda c: verbs.hasten(c, Kind.SUMMARY, "a", house.clock.now()))

    handler.during = meanwhile
    await worker.turn()
    assert finished(house) == []  # what the first had prepared is no longer so
    assert await worker.turn()
    assert finished(house) == ["a"]
    assert len(handler.seen) == 2


async def test_a_finish_that_fails_takes_the_removal_back(
    house: House, worker: OutboxWorker
) -> None:
    leave(house)

    async def handle(_piece: Piece) -> Finish:
        def finish(connection: Connection) -> None:
            connection.execute(
                insert(document_texts).values(document_id="d", place="x", ordinal=0, text="")
            )
            raise RuntimeError("in the middle")

        return finish

    worker._handlers = {Kind.SUMMARY: handle}
    assert not await worker.turn()
    assert finished(house) == []
    [piece] = house.pieces()
    assert "in the middle" in piece.last_error


async def test_after_a_crash_between_lease_and_finish_the_next_start_does_it_at_once(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)
    await house.database.write(worker._lease)  # and then the process died
    assert not await worker.turn()
    running = asyncio.create_task(
        OutboxWorker(house.database, {Kind.SUMMARY: handler.handle}, house.clock, 0.01).run()
    )
    await emptied(house)
    running.cancel()
    assert finished(house) == ["a"]


async def test_a_worker_outlives_a_database_that_fails_and_is_woken_for_what_comes(
    house: House, worker: OutboxWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    turn = worker.turn

    async def fails_at_first() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise StoreUnavailable("locked")
        return await turn()

    monkeypatch.setattr(worker, "turn", fails_at_first)
    running = asyncio.create_task(worker.run())
    leave(house)
    worker.wake()
    await emptied(house)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert finished(house) == ["a"]


async def test_pieces_are_taken_in_the_order_in_which_they_are_due(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    for name, minutes in (("c", 3), ("a", 1), ("b", 2)):
        leave(house, name, minutes)
    house.later(minutes=5)
    await worker.turn()
    assert [piece.document_id for piece in handler.seen] == ["a", "b", "c"]


async def test_hastening_keeps_one_piece_of_that_kind_and_document(house: House) -> None:
    for name, minutes in (("a", 10), ("a", 60), ("b", 10)):
        leave(house, name, minutes)
    house.database.write_now(lambda c: verbs.leave(c, Kind.RECEIPT, "a", {}, later(house, 5)))
    house.database.write_now(lambda c: verbs.hasten(c, Kind.SUMMARY, "a", house.clock.now()))
    now = house.clock.now().timestamp() * 1000
    assert [(row.kind, row.document_id, row.due_at <= now) for row in house.pieces()] == [
        ("summary", "a", True), ("summary", "b", False), ("receipt", "a", False),
    ]  # fmt: skip


async def test_where_none_waits_hastening_leaves_one(house: House) -> None:
    house.database.write_now(lambda c: verbs.hasten(c, Kind.SUMMARY, "a", house.clock.now()))
    assert [(row.kind, row.document_id) for row in house.pieces()] == [("summary", "a")]


async def test_health_speaks_of_what_has_failed_for_long(
    house: House, worker: OutboxWorker, handler: Handler
) -> None:
    leave(house)
    handler.fail = RuntimeError("no paper")
    await worker.turn()
    await worker._measure()
    assert await worker.health() == ""  # a bad moment is no news
    house.later(minutes=10)
    worker._measured = 0
    await worker._measure()
    assert "1 piece has failed" in await worker.health()
    house.database.write_now(lambda c: c.execute(update(outbox).values(due_at=0)).rowcount)
    handler.fail = None
    await worker.turn()
    worker._measured = 0
    await worker._measure()
    assert await worker.health() == ""
