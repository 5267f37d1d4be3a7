"""The sealer and the sweeper: every record is covered, and nothing that somebody needs is swept."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.sweeper import Sweeper
from gateway.domain.clock import milliseconds
from gateway.domain.ids import new_id
from gateway.errors import StoreUnavailable
from gateway.evidence.log import newest, waiting
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
    house.sealer._sealed = woken.set
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


def age(house: House, seconds: float = 7200) -> None:
    """Make every file of the blobs that much older."""
    for path in (house.folder / "blobs").rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


def orphan(house: House) -> str:
    name = new_id(milliseconds(house.clock.now()), os.urandom(10))
    house.blobs.put(name, [b"no row refers to this"])
    return name


async def test_only_old_blobs_that_no_document_knows_are_swept(house: House) -> None:
    known = await house.accept("office", notice(), "water")
    orphan(house)
    folder = next(path for path in (house.folder / "blobs").glob("*/*/*"))
    (folder / f".{known}.tmp").write_bytes(b"unfinished")
    (folder / "note.txt").write_text("the operator's")
    age(house)
    young = orphan(house)
    assert await Sweeper(house.database, house.blobs, house.mailboxes, house.clock).turn() == 2
    assert house.kept() == sorted([known, young, "note.txt"])


async def test_a_blob_is_never_swept_while_its_transaction_could_still_come(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    name = orphan(house)
    assert await sweeper.turn() == 0
    assert house.kept() == [name]


async def test_the_first_turn_looks_everywhere_and_later_ones_at_the_newest_days(
    house: House,
) -> None:
    sweeper = Sweeper(house.database, house.blobs, house.mailboxes, house.clock)
    for _ in range(5):
        orphan(house)
        house.later(days=1)
    age(house)
    assert await sweeper.turn() == 5
    for _ in range(5):
        house.later(days=1)
        orphan(house)
    age(house)
    assert await sweeper.turn() == 3


async def test_many_blobs_are_asked_for_in_portions(house: House) -> None:
    known = await house.accept("office", notice(), "water")
    folder = next(path for path in (house.folder / "blobs").glob("*/*/*"))
    for number in range(1200):
        name = new_id(milliseconds(house.clock.now()), number.to_bytes(10, "big"))
        (folder / name).touch()
    age(house)
    assert await Sweeper(house.database, house.blobs, house.mailboxes, house.clock).turn() == 1200
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
