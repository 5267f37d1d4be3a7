"""How many acceptances a second reach the disk, by number of writers and of clients.

The units of work are real ones, prepared by the exchange; the server is a throw-away PostgreSQL
with fsync and synchronous_commit on, or SQLite as the daemon uses it. Each client waits for its own
commit before it offers the next. Every round has a fresh database; the median of the rounds counts.
SQLite has one writer, which commits all that wait at once.

    python -m bench.commits [--units 400] [--rounds 3] [--clients 10 40] [--same] [--sqlite]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from gateway.policy.rate import Rates
from gateway.store.database import Database
from tests import letters, postgres
from tests.house import House, make_database

CLIENTS = (1, 4, 10, 40)
WRITERS = (1, 2, 4, 8, 16)
UNITS = ("water", "education", "finance", "health", "housing", "parks", "urban", "archives")
Unit = Callable[[Any], Any]


class Captured(Exception):
    """The unit of work was taken instead of run."""


async def prepare(folder: Path, count: int, *, same: bool) -> list[Unit]:
    """Acceptances of so many documents, ready to be written into any demo database."""
    url = f"sqlite:///{folder}/prepare.db"
    make_database(url)
    house = House(folder, url)
    units: list[Unit] = []

    async def take(work: Unit, _kind: str = "", *, long: bool = False) -> None:  # noqa: ARG001
        units.append(work)
        raise Captured

    house.database.write = take  # type: ignore[method-assign]
    for number in range(count):
        if number % 50 == 0:  # one account may not send more in a minute
            house.exchange.judges.rates = Rates()
        to = UNITS[0] if same else UNITS[number % len(UNITS)]
        octets = letters.plain("office", to, f"关于第{number}号事项的函", text=f"{number} " * 500)
        with suppress(Captured):
            await house.accept("office", octets, to)
    await house.close()
    return units


async def measure(database: Database, units: list[Unit], clients: int) -> tuple[float, float]:
    """Units a second, and the 99th percentile of a client's wait in milliseconds."""
    waiting, waits = iter(units), list[float]()

    async def client() -> None:
        for unit in waiting:
            begun = time.perf_counter()
            await database.write(unit)
            waits.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    rate = len(units) / (time.perf_counter() - begun)
    return rate, statistics.quantiles(waits, n=100)[98] * 1000


async def once(url: str, units: list[Unit], writers: int, clients: int) -> tuple[float, float]:
    """One round on a database with the demo directory."""
    database = Database(url, writers=writers)
    database.start()
    for unit in units[:20]:
        await database.write(unit)
    found = await measure(database, units[20:], clients)
    database.stop()
    return found


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--same", action="store_true", help="all to one recipient")
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    cases = [(w, c) for w in (WRITERS[:1] if given.sqlite else WRITERS) for c in given.clients]
    found: dict[tuple[int, int], list[tuple[float, float]]] = {case: [] for case in cases}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yzb")))
        units = asyncio.run(prepare(folder, given.units, same=given.same))
        server = None
        if not given.sqlite:
            server = stack.enter_context(postgres.running(durable=True, shared_buffers="128MB"))
            make_database(server.url(server.create(name="demo")))
        for _ in range(given.rounds):
            for number, (writers, clients) in enumerate(cases):
                if server is None:
                    url = f"sqlite:///{folder}/{number}.db"
                    Path(folder / f"{number}.db").unlink(missing_ok=True)
                    make_database(url)
                else:
                    url = server.url(server.create(template="demo"))
                found[writers, clients].append(asyncio.run(once(url, units, writers, clients)))
    print("| writers | clients | units a second | p99 ms |")
    for (writers, clients), rounds in found.items():
        rate, late = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {writers} | {clients} | {rate:.0f} | {late:.1f} |")


if __name__ == "__main__":
    main()
