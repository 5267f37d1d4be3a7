"""The sealer and the sweeper: every record is covered, and nothing that somebody needs is swept."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from gateway.delivery.sweeper import FEW, Sweeper
from gateway.domain.clock import milliseconds
from gateway.domain.ids import new_id
from gateway.errors import StoreUnavailable
from gateway.evidence.log import newest, waiting
from gateway.exchange.tables import documents
from gateway.store import facts
from tests import letters
from tests.house import House


def notice(to: str = "water") -> bytes:
    return letters.plain("office", to, "和政办发〔2026〕5号 关于召开会议的通知")


async def test_every_record_is_covered_by_a_checkpoint_after_one_turn(house: House) -> None:
    for _ in range(3):
        await house.accept("office", notice(), "water")
    assert house.database.read_now(waiting) == 6
    await house.sealer.turn()
    assert house.database.read_now(waiting) == 0
    checkpoint = house.database.read_now(newest)
    assert checkpoint is not None
    assert checkpoint.size == 6


async def test_an_idle_sealer_signs_nothing(house: House) -> None:
    before = house.database.commits
    await house.sealer.turn()
    assert house.database.commits == before
    assert house.database.read_now(newest) is None


async def test_the_sealer_wakes_who_waits_for_it_and_outlives_a_bad_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = asyncio.Event()
    house.sealer._sealed = lambda _records: woken.set()
    turns: list[int] = []
    turn = house.sealer.turn

    async def fails_at_first() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise StoreUnavailable("locked")
        await turn()

    monkeypatch.setattr(house.sealer, "turn", fails_at_first)
    running = asyncio.create_task(house.sealer.run())
    await house.accept("office", notice(), "water")
    house.sealer.wake()
    async with asyncio.timeout(10):
        await woken.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.database.read_now(waiting) == 0


# The sweeper

NOTICE = notice()  # the same octets each time, as from a client that sends again


def age(house: House, seconds: float = 7200) -> None:
    """Make every file of the blobs that much older."""
    for path in (house.folder / "blobs").rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


def orphan(house: House, octets: bytes = b"no document keeps this", number: int = 0) -> str:
    """What a crash between a blob's rename and its commit leaves."""
    name = new_id(milliseconds(house.clock.now()), number.to_bytes(2, "big") + os.urandom(8))
    house.blobs.put(name, [octets])
    return name


def sweeper_of(house: House) -> Sweeper:
    return Sweeper(house.database, house.blobs, house.mailboxes, house.clock)


async def test_what_a_crash_left_goes_once_the_client_has_sent_the_same_again(
    house: House,
) -> None:
    left = orphan(house, NOTICE)
    other = orphan(house)
    age(house)
    sweeper = sweeper_of(house)
    assert await sweeper.turn() == 0  # nobody has sent it again: it stays, whatever it is
    assert house.kept() == sorted([left, other])
    known = await house.accept("office", NOTICE, "water")
    (house.folder / "note.txt").write_text("the operator's")
    age(house)
    assert await sweeper.turn() == 1
    assert house.kept() == sorted([known, other])
    assert sweeper.unclaimed == 1


async def test_unfinished_blobs_go_when_no_transaction_can_need_them(house: House) -> None:
    known = await house.accept("office", NOTICE, "water")
    folder = next(path for path in (house.folder / "blobs").glob("*/*/*"))
    (folder / f".{known}.tmp").write_bytes(b"unfinished")
    (folder / "note.txt").write_text("the operator's")
    age(house)
    young = new_id(milliseconds(house.clock.now()), os.urandom(10))
    (folder / f".{young}.tmp").write_bytes(b"on its way")
    assert await sweeper_of(house).turn() == 1
    assert house.kept() == sorted([known, "note.txt", f".{young}.tmp"])


async def test_a_blob_is_never_swept_while_its_transaction_could_still_come(house: House) -> None:
    known = await house.accept("office", NOTICE, "water")
    name = orphan(house, NOTICE)
    sweeper = sweeper_of(house)
    assert await sweeper.turn() == 0
    assert house.kept() == sorted([known, name])
    assert sweeper.unclaimed == 0


async def test_beside_an_older_database_no_blob_is_removed_and_the_health_page_says_so(
    house: House,
) -> None:
    """The blobs are of today, the database is of last week: what it lacks was promised."""
    old = [orphan(house, NOTICE + b"%d" % n, n) for n in range(FEW + 20)]
    house.later(days=1)
    known = await house.accept("office", NOTICE, "water")  # life goes on with the old database
    age(house)
    for _ in range(3):  # restarts, too
        sweeper = sweeper_of(house)
        assert await sweeper.health() == ""
        assert await sweeper.turn() == 0
        assert await sweeper.turn() == 0
        sentence = await sweeper.health()
        assert f"{FEW + 20} blobs belong to no document" in sentence
        assert min(old) in sentence
        assert max(old) in sentence
        house.later(days=40)
    assert house.kept() == sorted([*old, known])


async def test_after_a_restore_nothing_is_removed_until_the_operator_releases_it(
    house: House,
) -> None:
    known = await house.accept("office", NOTICE, "water")
    twice = orphan(house, NOTICE)
    folder = next(path for path in (house.folder / "blobs").glob("*/*/*"))
    (folder / f".{known}.tmp").write_bytes(b"unfinished")
    age(house)
    now = house.clock.now()
    house.database.write_now(lambda c: facts.remember(c, facts.Fact.HELD, {}, now))
    sweeper = sweeper_of(house)
    assert await sweeper.turn() == 0
    assert house.kept() == sorted([known, twice, f".{known}.tmp"])
    house.database.write_now(lambda c: facts.forget(c, facts.Fact.HELD))
    assert await sweeper.turn() == 2
    assert house.kept() == [known]


async def test_the_last_copy_of_octets_is_kept_although_a_document_should_have_them(
    house: House,
) -> None:
    known = await house.accept("office", NOTICE, "water")
    twin = orphan(house, NOTICE)
    age(house)
    path = next((house.folder / "blobs").rglob(known))
    path.write_bytes(b"damaged")
    age(house)
    assert await sweeper_of(house).turn() == 0
    assert twin in house.kept()


async def test_a_blob_that_a_repair_has_given_a_document_is_not_taken_for_its_own_twin(
    house: House,
) -> None:
    name = orphan(house, NOTICE)
    age(house)
    sweeper = sweeper_of(house)
    assert await sweeper.turn() == 0
    assert sweeper.unclaimed == 1
    known = await house.accept("office", NOTICE, "water")

    def repair(connection: Connection) -> None:
        row = connection.execute(select(documents)).mappings().one()
        connection.execute(insert(documents).values({**row, "id": name}))

    house.database.write_now(repair)
    assert await sweeper.turn() == 0
    assert house.kept() == sorted([name, known])
    assert sweeper.unclaimed == 0


async def test_the_first_turn_looks_everywhere_and_later_ones_at_the_newest_days(
    house: House,
) -> None:
    await house.accept("office", NOTICE, "water")
    sweeper = sweeper_of(house)
    for _ in range(5):
        orphan(house, NOTICE)
        house.later(days=1)
    age(house)
    assert await sweeper.turn() == 5
    for _ in range(5):
        house.later(days=1)
        orphan(house, NOTICE)
    age(house)
    assert await sweeper.turn() == 4  # of today and the three days before


async def test_many_blobs_are_asked_for_in_portions(house: House) -> None:
    known = await house.accept("office", NOTICE, "water")
    folder = next(path for path in (house.folder / "blobs").glob("*/*/*"))
    for number in range(1200):
        name = new_id(milliseconds(house.clock.now()), number.to_bytes(10, "big"))
        (folder / name).write_bytes(NOTICE)
    age(house)
    assert await sweeper_of(house).turn() == 1200
    assert house.kept() == [known]


async def test_a_sweeper_that_fails_tries_again_at_its_next_hour(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    turns: list[Any] = []
    done = asyncio.Event()

    async def turn() -> int:
        turns.append(house.clock.now())
        if len(turns) == 1:
            raise PermissionError(str(Path("/x")))
        done.set()
        return 0

    monkeypatch.setattr(sweeper, "turn", turn)
    running = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(10):
        await done.wait()
    running.cancel()
    assert (turns[1] - turns[0]).total_seconds() == 3600
