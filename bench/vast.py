"""The mailbox service over a very large store: does what a client asks depend on what it does not?

The same questions in a folder of 1,000 mails of a small store, in one of a vast store, and in a
folder of 100,000 of the vast store. What returns the same should take about the same in all three,
what returns a hundred times as much about a hundred times as long.

The vast store has 100,000 mails of 3.7 KB, indexed, in one folder, and shows them in the folders of
all other units until there are 1,000,000, as notices to many units stand there.

Run it as `python -m bench.vast`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import TypeVar

from sqlalchemy import Connection, insert, select, update

from bench import gauge, submit
from bench.mailbox import THUNDERBIRD, Client, Place, mails
from gateway.exchange.mailroom import open_index, tables
from gateway.exchange.texts import TextReader
from gateway.store.engine import make_engine
from mailboxes.content import Content
from mailboxes.entries import prepare
from mailboxes.rows import FolderSpec
from mailboxes.store import MailboxStore
from tests.office import Office

T = TypeVar("T")

OWNER = "unit:water"
SMALL = 1_000
_PORTION = 1_000
_ROUNDS = 7


def fill(office: Office, folder: int, store: int) -> None:
    """The folders `small` and, with so many mails, `large` of one unit; in the others' folders the
    same mails, until there are so many in all."""
    engine = make_engine(office.database_url).execution_options(yizhan_write=True)
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA synchronous=OFF")  # type: ignore[union-attr]
        shelves = MailboxStore(tables, _no_blob)
        now = datetime.now(UTC)
        number = max(folder, SMALL)
        contents: list[int] = []
        for some in _portions(mails(number)):
            made = [
                shelves.add_content(connection, Content.of_octets(one, key="m", kind="filed"), now)
                for one in some
            ]
            _index(connection, made)
            connection.commit()
            contents += made
            _tell(f"{len(contents)} of {number} mails")
        _show(connection, shelves, OWNER, "small", contents[-SMALL:], now)
        if folder > SMALL:
            _show(connection, shelves, OWNER, "large", contents, now)
        others = [one for one in shelves.owners(connection) if one != OWNER]
        left = store - SMALL - folder
        for place, owner in enumerate(cycle(others)):
            if left <= 0:
                break
            some = contents[: min(left, len(contents), 10_000)]
            _show(connection, shelves, owner, f"old {place}", some, now)
            left -= len(some)
            _tell(f"{max(left, 0)} messages are left")
        connection.commit()
    engine.dispose()


def _index(connection: Connection, contents: Sequence[int]) -> None:
    entries = TextReader(tables, _no_blob).read(connection, contents)
    open_index().add(connection, [prepare(one) for one in entries])


def _show(
    connection: Connection, shelves: MailboxStore, owner: str, name: str, contents: Sequence[int],
    now: datetime,
) -> None:  # fmt: skip
    """A new folder with those contents, each with a date of its own."""
    shelves.ensure_mailbox(connection, owner, [FolderSpec(name, subscribed=True)], now)
    folder = shelves.folder_id(connection, owner, name)
    arrived = int(now.timestamp() * 1000)
    for some in _portions(enumerate(contents, 1)):
        connection.execute(
            insert(tables.messages),
            [
                {"folder_id": folder, "content_id": one, "uid": uid, "modseq": 2, "flags": "",
                 "seen": False, "arrived": arrived + uid}
                for uid, one in some
            ],
        )  # fmt: skip
    size = connection.scalar(select(tables.contents.c.size).where(tables.contents.c.id == 1)) or 0
    count = len(contents)
    connection.execute(
        update(tables.folders)
        .where(tables.folders.c.id == folder)
        .values(uidnext=count + 1, modseq=2, messages=count, octets=count * size)
    )
    connection.commit()


def ask(place: Place, folder: str, number: int) -> dict[str, float]:
    """Seconds for each question."""
    figures: dict[str, float] = {}
    client = Client(place)
    client.ask(f"CREATE copies-of-{folder}")

    def once(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        figures[name] = time.perf_counter() - started

    def often(name: str, work: Callable[[], object]) -> None:
        taken = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        figures[name] = statistics.median(taken)

    once("SELECT, first", lambda: client.ask(f"SELECT {folder}"))
    often("SELECT, again", lambda: client.ask(f"SELECT {folder}"))
    often("FETCH 1:* (FLAGS UID): all", lambda: client.ask("FETCH 1:* (FLAGS UID)"))
    newest = f"{number - 99}:{number}"
    once("100 headers, first", lambda: client.ask(f"UID FETCH {newest} {THUNDERBIRD}"))
    bodies = f"FETCH {number - 19}:{number} (UID BODY.PEEK[])"
    once("20 bodies, first", lambda: client.ask(bodies))
    often("STATUS", lambda: client.ask(f"STATUS {folder} (MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ)"))
    often("LIST", lambda: client.ask('LIST "" *'))
    often("NOOP", lambda: client.ask("NOOP"))
    often("APPEND and EXISTS", lambda: client.append(mails(1), folder))
    often("FETCH of what is new", lambda: client.ask(f"UID FETCH {number + 1}:* (FLAGS ENVELOPE)"))
    ways = cycle("+-")
    often("STORE of 100", lambda: client.ask(f"STORE 1:100 {next(ways)}FLAGS (\\Flagged)"))
    often("COPY of 10", lambda: client.ask(f"COPY 1:10 copies-of-{folder}"))
    often("FETCH CHANGEDSINCE", lambda: client.ask("FETCH 1:* (FLAGS) (CHANGEDSINCE 8)"))
    often("SEARCH UNSEEN: all", lambda: client.ask("SEARCH UNSEEN"))
    often("SEARCH TEXT, some", lambda: client.ask("SEARCH TEXT needle7"))
    often("SEARCH SUBJECT, one", lambda: client.ask(f"SEARCH SUBJECT {number - 5}"))
    once("SORT by date: all, first", lambda: client.ask("SORT (REVERSE DATE) UTF-8 ALL"))
    often("SORT by date: all, again", lambda: client.ask("SORT (REVERSE DATE) UTF-8 ALL"))
    client.close()
    return figures


@contextmanager
def served(folder: int, store: int) -> Iterator[Place]:
    """An office with such a store, open for clients."""
    with submit.founded() as office:
        fill(office, folder, store)
        with office.running():
            assert office.process is not None
            yield Place(
                "yizhan", office.imaps_port, "water", office.accounts["water"]["password"],
                office.trust, office.process.pid, True,
            )  # fmt: skip


def main() -> None:
    """Fill, ask, print the table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--folder", type=int, default=100_000, help="mails in the large folder")
    options.add_argument("--store", type=int, default=1_000_000, help="messages in all")
    chosen = options.parse_args()
    with served(SMALL, 0) as place:
        alone = ask(place, "small", SMALL)
    with served(chosen.folder, chosen.store) as place:
        small = ask(place, "small", SMALL)
        large = ask(place, "large", chosen.folder)
        memory = sum(gauge.pss(one) for one in gauge.tree(place.pid))
    print(
        f"| question | {SMALL} in a folder | the same among {chosen.store} | {chosen.folder} in a "
        "folder, among as many |\n| --- | --- | --- | --- |"
    )
    for name, seconds in alone.items():
        print(f"| {name} | {seconds:.4f} | {small[name]:.4f} | {large[name]:.4f} |")
    print(f"\nall processes have {memory / 1e6:.0f} MB then", file=sys.stderr)


def _portions(things: Iterable[T]) -> Iterator[list[T]]:
    left = iter(things)
    while some := list(islice(left, _PORTION)):
        yield some


def _no_blob(name: str) -> object:
    raise FileNotFoundError(name)


def _tell(text: str) -> None:
    sys.stderr.write(f"\r{text}\x1b[K")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
