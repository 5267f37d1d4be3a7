"""What cannot be done holds up nothing else, is never lost, and the health page speaks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.delivery.backlog import STUBBORN
from gateway.delivery.outbox import Finish, OutboxWorker, Piece
from gateway.delivery.sweeper import Sweeper
from gateway.errors import StoreUnavailable
from gateway.exchange.outbox import Kind, leave
from gateway.exchange.tables import outbox
from tests import letters
from tests.house import House


async def nothing(_piece: Piece) -> Finish | None:
    return None


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(2000):
        if await true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.parametrize(("kind", "payload"), [("fax", "{}"), ("summary", "no JSON")])
async def test_a_piece_that_nobody_understands_stays_and_is_reported_and_the_others_go_on(
    house: House, kind: str, payload: str
) -> None:
    async def reads(piece: Piece) -> Finish | None:
        assert isinstance(piece.payload, dict)
        return None

    worker = OutboxWorker(house.database, {Kind.SUMMARY: reads}, house.clock, 0.01)
    values = {"kind": kind, "document_id": "strange", "payload": payload, "due_at": 0}
    house.database.write_now(lambda c: c.execute(insert(outbox).values(values)).rowcount)
    house.database.write_now(lambda c: leave(c, Kind.SUMMARY, "good", {}, house.clock.now()))
    assert await worker.turn()
    assert [(piece.kind, piece.document_id) for piece in house.pieces()] == [(kind, "strange")]
    house.later(seconds=STUBBORN.total_seconds() + 1)
    await worker._measure()
    assert "1 piece has failed" in await worker.health()


@pytest.mark.parametrize("part", ["worker", "sealer"])
async def test_health_says_that_nothing_goes_out_until_it_does_again(
    house: House, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    stalled: Any = house.sealer if part == "sealer" else house.worker
    turn, broken = stalled.turn, True

    async def fails() -> bool:
        if broken:
            raise StoreUnavailable("the disk has gone")
        return bool(await turn())

    async def ill() -> bool:
        return "no receipt goes out" in await stalled.health()

    async def well() -> bool:
        return not await stalled.health()

    monkeypatch.setattr(stalled, "turn", fails)
    running = asyncio.create_task(stalled.run())
    await until(ill)
    broken = False
    stalled.wake()
    await until(well)
    running.cancel()


async def test_a_lease_of_another_process_is_not_finished_by_ours(house: House) -> None:
    house.database.write_now(lambda c: leave(c, Kind.SUMMARY, "a", {}, house.clock.now()))

    async def overtaken(_piece: Piece) -> Finish | None:
        await house.database.write(lambda c: c.execute(update(outbox).values(lessee="b")).rowcount)
        return None

    await OutboxWorker(house.database, {Kind.SUMMARY: overtaken}, house.clock).turn()
    assert [piece.lessee for piece in house.pieces()] == ["b"]


async def test_leases_are_taken_back_at_the_start_of_the_same_node_only(house: House) -> None:
    house.database.write_now(lambda c: leave(c, Kind.SUMMARY, "a", {}, house.clock.now()))

    def started(node: str) -> OutboxWorker:
        handlers = {Kind.SUMMARY: nothing}
        return OutboxWorker(house.database, handlers, house.clock, node=node)

    await house.database.write(started("first")._lease)
    [leased] = house.pieces()
    for other in ("second", "", "%", "fir"):
        await started(other)._reclaim()
    assert house.pieces() == [leased]
    await started("first")._reclaim()
    assert [piece.lease_until for piece in house.pieces()] == [0]


async def test_contents_that_no_message_shows_any_more_are_swept(house: House) -> None:
    mail = letters.plain("office", "water", "和政办发〔2026〕5号 关于召开会议的通知")
    await house.accept("office", mail, "water")
    await house.work(minutes=10)
    for message in house.database.read_now(_summaries(house)):
        house.database.write_now(
            lambda c, m=message: house.mailboxes.expunge(
                c, house.mailboxes.message(c, m).folder_id, [m], now=house.clock.now()
            )
        )
    await house.accept("office", letters.plain("office", "water", "函"), "water")
    first = _contents(house)  # the newest of which is never swept
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    running = asyncio.create_task(sweeper.run())

    async def swept() -> bool:
        return _contents(house) == first - 1

    await until(swept)
    running.cancel()


def _contents(house: House) -> int:
    table = house.mailboxes._tables.contents
    return house.database.read_now(lambda c: len(c.execute(select(table.c.id)).all()))


def _summaries(house: House) -> Callable[[Any], list[int]]:
    messages, contents = house.mailboxes._tables.messages, house.mailboxes._tables.contents
    query = select(messages.c.id).join(contents, contents.c.id == messages.c.content_id)
    return lambda c: list(c.scalars(query.where(contents.c.kind == "summary")))
