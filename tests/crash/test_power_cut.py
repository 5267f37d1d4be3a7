"""A power cut at any moment breaks no promise, and each fsync of the code is needed for that.

A daemon is recorded while clients send; then, moment by moment, the disk is made as a power cut
would have left it (tests/crash/disk.py), and the office on it is opened and asked for all that its
clients had been promised by then.
"""

from __future__ import annotations

import copy
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import office as offices
from tests.crash import aftermath, workload
from tests.crash.disk import Bench, Disk
from tests.crash.promises import broken
from tests.crash.recording import Kind, Recorder
from tests.crash.workload import Clients, Story

SEED = 20261122

# Every fsync of a running daemon, by the end of its path: the table in docs/durability.md.
SITES = {
    "content of a blob": r"/blobs/\d{4}/\d\d/\d\d/\.[^/]+\.tmp",
    "identity of the blobs": r"/blobs/\.identity\.tmp",
    "folder of a day's blobs": r"/blobs/\d{4}/\d\d/\d\d",
    "folder of a month's blobs": r"/blobs/\d{4}/\d\d",
    "folder of a year's blobs": r"/blobs/\d{4}",
    "folder of all blobs": r"/blobs",
    "the write-ahead log": r"/state/yizhan\.db-wal",
    "the database at a checkpoint": r"/state/yizhan\.db",
    "the state directory": r"/state",
    "content of a reminder": r"/sms/outgoing/\.[^/]+\.tmp",
    "folder of reminders": r"/sms/outgoing",
}


@dataclass(frozen=True)
class Recorded:
    """An office, what it did and what it promised."""

    disk: Disk  # before the first record
    story: Story
    config: Path

    def cuts(
        self,
        bench: Bench,
        chances: Callable[[int], Sequence[float]],
        ignored: Callable[[str], bool] = lambda _path: False,
        *,
        apart: bool = False,
    ) -> Iterator[tuple[int, Path]]:
        """Each moment for which `chances` names shares of unsynced writes to keep: its number,
        and the configuration file of the office as the cut has left it."""
        disk = copy.deepcopy(self.disk)
        disk._ignored = ignored
        for event in self.story.events:
            disk.apply(event)
            if event.kind is Kind.MARK:
                continue
            for turn, share in enumerate(chances(event.number)):
                tree = disk.after_cut(SEED + 31 * event.number + turn, share)
                if apart:  # an agent of gpg may still run in the last one
                    bench = Bench(bench.folder.parent / f"{bench.folder.name}{turn}")
                    bench.folder.mkdir()
                bench.lay(tree)
                yield event.number, bench.folder / self.config.name


def record(
    recorder: Recorder, template: Path, folder: Path, some: Sequence[workload.Letter]
) -> tuple[Recorded, offices.Office]:
    """Run a daemon under the recorder, from its start to its stop."""
    office = offices.copy_office(template, folder)
    disk = Disk(office.folder)
    office.start(**recorder.environment(office.folder / "state", office.folder / "sms"))
    clients = Clients(office, recorder.mark)
    clients.send(some)
    clients.send(some[:2], clients=1)  # a resend
    _wait_for_receipts(office)
    assert office.stop() == 0
    return Recorded(disk, Story.of(recorder.events(), some), office.config), office


def _wait_for_receipts(office: offices.Office) -> None:
    deadline = time.monotonic() + 20
    while office.sql("SELECT id FROM outbox WHERE kind != 'summary'"):
        assert time.monotonic() < deadline, "the outbox is never empty"
        time.sleep(0.1)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """In memory where there is some to spare: nothing here needs a disk to be slow."""
    memory = Path("/dev/shm")  # noqa: S108
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 500_000_000
    with tempfile.TemporaryDirectory(prefix="yz", dir=memory if roomy else None) as folder:
        place = Path(folder) / "o"
        place.mkdir()
        yield Bench(place)


@pytest.fixture(scope="module")
def recorded(
    recorder_library: Path, office_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(recorder_library, folder / "log", folder / "orders")
    some = workload.letters_of_all_kinds(24, SEED)
    made, office = record(recorder, office_template, folder / "o", some)

    # Everything below rests on this: the log has all that was done, in its order.
    disk = copy.deepcopy(made.disk)
    for event in made.story.events:
        disk.apply(event)
    assert _differences(disk, office.folder) == ["daemon.log"]
    assert {Path(path).name for path in disk.mapped} == {"yizhan.db-shm"}
    told = made.story.told.values()
    assert sum(one.code == 250 for one in told) > 15
    assert sum(one.code == 550 for one in told) > 1
    return made


def _differences(disk: Disk, folder: Path) -> list[str]:
    """Names whose content is not the same; only names that readers can see."""
    there = {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_dir() or path.is_file()
    }
    replayed = disk.now()
    names = there.keys() | replayed.keys()
    missing = b"(there is none)"
    return sorted(n for n in names if there.get(n, missing) != replayed.get(n, missing))


def site_of(path: str) -> str:
    """The site of an fsync. Raises LookupError for one that nobody has listed."""
    for name, pattern in SITES.items():
        if re.search(pattern + "$", path):
            return name
    raise LookupError(path)


def test_every_fsync_is_listed_and_every_one_listed_happens(recorded: Recorded) -> None:
    """A new fsync, or one that nobody does any more, is noticed here."""
    synced = {e.path for e in recorded.story.events if e.kind is Kind.FSYNC_END and not e.unnamed}
    assert {site_of(path) for path in synced} == set(SITES)


def _moments(story: Story, count: int) -> set[int]:
    """Each reply, and some of what changes on the disk, most of it where something lasts."""
    chance = random.Random(SEED)
    replies = {one.replied for one in story.told.values()}
    lasting = [e.number for e in story.events if e.kind in (Kind.FSYNC_END, Kind.RENAME)]
    others = [e.number for e in story.events if e.kind in (Kind.WRITE, Kind.CREATE, Kind.UNLINK)]
    return {*replies, *chance.sample(lasting, min(count, len(lasting))),
            *chance.sample(others, count // 4)}  # fmt: skip


def _check(recorded: Recorded, bench: Bench, moments: set[int], *shares: float) -> int:
    cuts = 0

    def chances(number: int) -> Sequence[float]:
        return shares if number in moments else ()

    for number, config in recorded.cuts(bench, chances):
        assert broken(config, recorded.story.begun(number), number) == [], f"cut after {number}"
        cuts += 1
    return cuts


def test_a_power_cut_keeps_every_promise_and_makes_no_other(
    recorded: Recorded, bench: Bench
) -> None:
    moments = _moments(recorded.story, 60)
    assert _check(recorded, bench, moments, 0, 0.5) >= 150


@pytest.mark.parametrize("site", SITES)
def test_without_this_fsync_a_promise_breaks(site: str, recorded: Recorded, bench: Bench) -> None:
    """At most moments nothing is kept of what was not synced: chance could hide what is missing."""

    def ignored(path: str) -> bool:
        return site_of(path) == site

    events = recorded.story.events
    first = next(e.number for e in events if e.kind is Kind.FSYNC_END and ignored(e.path))
    moments = _moments(recorded.story, 400)

    def chances(number: int) -> Sequence[float]:
        if number in range(first, first + 20):
            return (0, 0.5, 0.5, 0.5, 0.5)
        return (0,) if number > first and number in moments else ()

    found = (
        faults
        for number, config in recorded.cuts(bench, chances, ignored)
        if (faults := broken(config, recorded.story.begun(number), number))
    )
    assert next(found, None), "no promise needs it"


def test_after_a_power_cut_the_office_does_what_is_left_and_knows_resends(
    recorded: Recorded, bench: Bench
) -> None:
    story = recorded.story
    replies = sorted(one.replied for one in story.told.values())
    chosen = {*replies[2::7], replies[-1], story.last}

    def chances(number: int) -> Sequence[float]:
        return (0.5,) if number in chosen else ()

    for number, config in recorded.cuts(bench, chances, apart=True):
        begun = list(story.begun(number))
        assert aftermath.finish(config, begun, number) == []
        assert broken(config, begun, number, finished=True) == []
        assert aftermath.fsck(config) == ""


@pytest.mark.soak
def test_thousands_of_power_cuts_keep_every_promise(recorded: Recorded, bench: Bench) -> None:
    every = {event.number for event in recorded.story.events}
    assert _check(recorded, bench, every, 0, 0.2, 0.5, 0.9, 1) > 5000
