"""A power cut that takes the daemon and its PostgreSQL breaks no promise.

Both are recorded in one log, so that the order of blob, commit and 250 is the true one across the
two processes; after each cut the server recovers by itself before the office is asked.
"""

from __future__ import annotations

import copy
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store.engine import make_engine
from tests import databases, postgres
from tests import office as offices
from tests.crash import aftermath, recording, workload
from tests.crash.disk import Bench, Disk
from tests.crash.promises import broken
from tests.crash.recording import Kind, Recorder
from tests.crash.workload import Clients, Story

pytestmark = [
    pytest.mark.one_database("it has a server of its own", kind=databases.POSTGRESQL),
    pytest.mark.timeout(600),
]
SEED = 15
_SETTINGS = {"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off"}


class Recovered(postgres.Cluster):
    """A server on files that are there already."""

    def _init(self, durable: bool) -> None:  # noqa: ARG002
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)


@dataclass(frozen=True)
class Recorded:
    """Server and office in one root, before and while they were recorded."""

    disk: Disk
    story: Story
    root: Path


@pytest.fixture(scope="module")
def recorded(
    program: Callable[[str], str],
    office_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Recorded]:
    try:
        postgres.programs()
    except postgres.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    root = Path(tempfile.mkdtemp(prefix="yz")).resolve()
    try:
        root.chmod(0o755)  # the server's user passes through
        yield _record(root, recording.build(program("gcc"), root), office_template)
    finally:
        shutil.rmtree(root)


def _record(root: Path, library: Path, template: Path) -> Recorded:
    (root / "pg").mkdir()
    (root / "log").mkdir()
    cluster = postgres.Cluster(root / "pg", durable=True, **_SETTINGS)
    cluster.start()
    url = cluster.url(cluster.create(name="office"))
    databases.transfer(f"sqlite:///{template / 'state' / 'yizhan.db'}", url)
    office = offices.copy_office(template, root / "o", database=url)
    cluster.stop()

    recorder = Recorder(library, root / "log" / "log", root / "log" / "orders")
    library.chmod(0o755)
    (root / "log").chmod(0o777)
    for path in (recorder.log, recorder.log.with_name("log.turn")):
        path.touch()
        path.chmod(0o666)
    disk = Disk(root)
    recorder.log.write_bytes(b"")
    environment = recorder.environment(
        root / "pg" / "data", office.folder / "state", office.folder / "sms"
    )
    some = workload.letters_of_all_kinds(16, SEED)
    with _environment(environment):
        cluster.start()
    try:
        office.start(**environment)
        Clients(office, recorder.mark).send(some)
        _checkpoint(url)
        Clients(office, recorder.mark).send(some[:1], clients=1)
        time.sleep(1)
        assert office.stop() == 0
    finally:
        cluster.stop()
    return Recorded(disk, Story.of(recorder.events(), some), root)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _checkpoint(url: str) -> None:
    engine = make_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
    engine.dispose()


def _cut(
    recorded: Recorded,
    chances: Callable[[int], tuple[float, ...]],
    ignored: Callable[[str], bool] = lambda _path: False,
) -> Iterator[tuple[int, Path]]:
    """The number of each moment, and the configuration of the office whose server runs again."""
    disk = copy.deepcopy(recorded.disk)
    disk._ignored = ignored
    with tempfile.TemporaryDirectory(prefix="yz") as folder:
        place = Path(folder).resolve()
        place.chmod(0o755)
        bench = Bench(place)
        for event in recorded.story.events:
            disk.apply(event)
            if event.kind is Kind.MARK:
                continue
            for turn, share in enumerate(chances(event.number)):
                bench.lay(disk.after_cut(SEED + 31 * event.number + turn, share), anew=True)
                config = place / "o" / "yizhan.toml"
                moved = str(recorded.root / "pg").replace("/", "%2F")
                config.write_text(
                    config.read_text().replace(moved, str(place / "pg").replace("/", "%2F"))
                )
                server = Recovered(place / "pg", durable=True, **_SETTINGS)
                try:
                    server.start()
                    yield event.number, config
                finally:
                    server.stop()  # a crash would leave its shared memory behind


def _replies(recorded: Recorded, step: int) -> set[int]:
    every = sorted(one.replied for one in recorded.story.told.values())
    return {*every[::step], every[-1], recorded.story.last}


def test_the_log_has_all_that_server_and_daemon_wrote(recorded: Recorded) -> None:
    disk = copy.deepcopy(recorded.disk)
    for event in recorded.story.events:
        disk.apply(event)
    replayed = disk.now()
    data = recorded.root / "pg" / "data"
    there = {str(p.relative_to(recorded.root)): p for p in data.rglob("*") if p.is_file()}
    different = {n for n, p in there.items() if replayed.get(n) != p.read_bytes()}
    assert different == set()
    assert disk.mapped == {str(recorded.root / "o" / "state" / "yizhan.db-shm")} & disk.mapped


def test_a_power_cut_of_both_keeps_every_promise_and_makes_no_other(recorded: Recorded) -> None:
    moments = _replies(recorded, 6)
    for number, config in _cut(recorded, lambda n: (0, 0.5) if n in moments else ()):
        begun = list(recorded.story.begun(number))
        assert broken(config, begun, number) == [], f"cut after {number}"
        if number == recorded.story.last:
            assert aftermath.finish(config, begun, number) == []
            assert broken(config, begun, number, finished=True) == []
            assert aftermath.fsck(config) == ""


@pytest.mark.parametrize("site", ["/pg_wal/", "/blobs/"])
def test_without_its_fsyncs_a_promise_breaks(site: str, recorded: Recorded) -> None:
    """That the cut is a cut: with the log or the blobs not synced, what was promised is lost."""
    moment = sorted(one.replied for one in recorded.story.told.values())[3]
    cuts = _cut(recorded, lambda n: (0,) if n == moment else (), lambda path: site in f"{path}/")
    number, config = next(cuts)
    assert broken(config, recorded.story.begun(number), number) != []
    cuts.close()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_hundreds_of_power_cuts_of_both_keep_every_promise(recorded: Recorded) -> None:
    events = recorded.story.events
    lasting = {e.number for e in events if e.kind in (Kind.FSYNC_END, Kind.RENAME)}
    moments = lasting | _replies(recorded, 1)
    for number, config in _cut(recorded, lambda n: (0, 0.5, 0.9) if n in moments else ()):
        assert broken(config, recorded.story.begun(number), number) == [], f"cut after {number}"
