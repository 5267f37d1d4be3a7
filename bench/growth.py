"""What a document costs as the store grows: taken, sealed into the log, its receipt in the mailbox.

Fills stores by `bench.hoard` (or takes those that are there), then lets the real exchange take the
same documents into each, one after the other on one thread, and adds up the processor's time. The
first documents warm the caches; nothing is dropped from the page cache.

Run it as `python -m bench.growth --documents 1000 100000`. A million takes 40 GB and an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from bench import hoard
from tests import letters
from tests.house import House

_WARM = 50
_ROUNDS = 5
UNITS = ("water", "education", "finance", "health", "housing", "parks", "urban", "archives")


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over rounds, for one document."""

    documents: int  # in the store before
    taken: float  # milliseconds of the processor until 250
    finished: float  # and until the receipt is in the mailbox
    wall: float  # milliseconds of the clock until 250, one client alone
    octets: float  # of the store on the disk, for each document in it


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is not there, measure, and remove what was made."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--documents", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where the stores are kept; else removed")
    parser.add_argument("--each", type=int, default=100, help="documents in a round (100)")
    options = parser.parse_args(arguments)
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)  # a line for each document would bury the result
    folder = options.folder or Path(tempfile.mkdtemp(prefix="yzg"))
    try:
        for number in options.documents:
            if not (folder / str(number) / "yizhan.db").exists():
                hoard.make(folder / str(number), number, lambda done: _say(f"made {done}"))
        for cost in asyncio.run(measure(folder, options.documents, options.each)):
            print(
                f"{cost.documents:>9,} in the store: {cost.taken:.2f} ms until taken, "
                f"{cost.finished:.2f} ms until finished; 250 after {cost.wall:.1f} ms; "
                f"{cost.octets:,.0f} octets a document"
            )
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


async def measure(folder: Path, numbers: Sequence[int], each: int) -> list[Cost]:
    """Rounds of so many documents into each store, by turns: a machine that is slower for
    a while is slower for all of them."""
    sizes = {number: _size(folder / str(number)) for number in numbers}
    houses = {number: _open(folder / str(number), number) for number in numbers}
    rounds: dict[int, list[tuple[float, float, float]]] = {number: [] for number in numbers}
    try:
        for count in [_WARM, *[each] * _ROUNDS]:
            for number, house in houses.items():
                rounds[number].append(await _round(house, count))
                _say(f"{number:,} in the store, round {len(rounds[number]) - 1} of {_ROUNDS}")
    finally:
        for house in houses.values():
            await house.close()
    _say("")
    found = []
    for number, measured in rounds.items():
        columns = zip(*measured[1:], strict=True)  # the first warmed up
        taken, finished, wall = (1000 * statistics.median(column) for column in columns)
        found.append(Cost(number, taken, finished, wall, sizes[number] / number))
    return found


def _open(folder: Path, number: int) -> House:
    house = House(folder, f"sqlite:///{folder / 'yizhan.db'}", disabled_checks=["rate"])
    house.clock.advance(number * hoard.SPACING / 1000 + 86_400)  # ids come behind those there
    return house


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def _round(house: House, count: int) -> tuple[float, float, float]:
    """Seconds for a document: of the processor until taken and until finished, and of the clock."""
    cpu, begun = time.process_time(), time.perf_counter()
    for _ in range(count):
        number = time.time_ns()
        house.clock.advance(0.01)
        to = UNITS[number % len(UNITS)]
        await house.accept("office", letters.plain("office", to, f"关于第{number}号事项的函"), to)
    taken, wall = time.process_time() - cpu, time.perf_counter() - begun
    while await house.sealer.turn() or await house.worker.turn():
        pass
    return taken / count, (time.process_time() - cpu) / count, wall / count


def _say(line: str) -> None:
    sys.stderr.write(f"\r\033[K{line}")


if __name__ == "__main__":
    sys.exit(main())
