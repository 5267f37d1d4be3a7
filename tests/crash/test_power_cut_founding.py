"""A power cut while an office is made leaves none or a whole one, and `init` goes on from there."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import config_file
from gateway.founding import Plan, found
from gateway.store import identity
from gateway.store.database import Database
from tests.crash.disk import Bench, Disk
from tests.crash.recording import Event, Kind, Recorder
from tests.office import ROOT

SEED = 7


@dataclass(frozen=True)
class Founded:
    """The disk before `init`, what it did, and the folder as it left it."""

    disk: Disk
    events: list[Event]
    folder: Path

    def replay(
        self, ignored: Callable[[str], bool] = lambda _path: False
    ) -> Iterator[tuple[Event, Disk]]:
        disk = copy.deepcopy(self.disk)
        disk._ignored = ignored
        for event in self.events:
            disk.apply(event)
            yield event, disk


@pytest.fixture(scope="module")
def founded(recorder_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Founded]:
    logs = tmp_path_factory.mktemp("logs")
    with tempfile.TemporaryDirectory(prefix="yz") as short:
        folder = Path(short).resolve() / "o"
        folder.mkdir()
        recorder = Recorder(recorder_library, logs / "log", logs / "orders")
        disk = Disk(folder)
        made = subprocess.run(
            [sys.executable, "-m", "gateway", "init", "--folder", folder / "etc",
             "--state", folder / "state", "--domain", "heping.test", "--name", "和平区", "--yes",
             "--unit-name", "办公室"],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, **recorder.environment(folder)},
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        yield Founded(disk, recorder.events(), folder)


def _tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_dir() or path.is_file()
    }


def test_when_init_says_ready_all_that_it_made_is_on_disk(founded: Founded) -> None:
    *_, (_event, disk) = founded.replay()
    assert disk.after_cut(SEED, 0) == _tree(founded.folder)


def test_each_fsync_of_founding_is_needed(founded: Founded) -> None:
    """Without any one of them something of the office is not on disk when `init` says ready."""
    whole = _tree(founded.folder)
    paths = {e.path for e in founded.events if e.kind is Kind.FSYNC_END and not e.unnamed}
    assert len(paths) > 15
    needless = set()
    for path in paths:
        *_, (_event, disk) = founded.replay(lambda one, path=path: one == path)  # type: ignore[misc]
        name = str(Path(path).relative_to(founded.folder))
        empty = name in whole and not any(other.startswith(f"{name}/") for other in whole)
        if disk.after_cut(SEED, 0) == whole and not (empty and whole[name] is None):
            needless.add(name)
    # The mark and the log of the database are gone at the end: what they are needed for is tested
    # by cuts in between. The escrow is synced by its own writer, and once more with the tree.
    assert needless <= {
        "state/unfinished", "state/yizhan.db-wal", "state/yizhan.db-journal",
        "state/storage-key.escrow", "state/.storage-key.escrow.tmp",
    }  # fmt: skip


def test_a_power_cut_leaves_no_office_or_a_whole_one_and_init_goes_on(founded: Founded) -> None:
    chance = random.Random(SEED)
    events = [e for e in founded.events if e.kind is not Kind.MARK]
    lasting = [e.number for e in events if e.kind in (Kind.FSYNC_END, Kind.RENAME)]
    moments = set(chance.sample(lasting, 20)) | {events[-1].number}
    again = set(chance.sample(sorted(moments), 4))
    offices = 0
    with tempfile.TemporaryDirectory(prefix="yz") as short:
        bench = Bench(Path(short))
        for event, disk in founded.replay():
            if event.number not in moments:
                continue
            for turn, share in enumerate((0, 0.5, 0.9)):
                bench.lay(disk.after_cut(SEED + 3 * event.number + turn, share), anew=True)
                file = bench.folder / "etc" / "yizhan.toml"
                if file.exists():
                    offices += 1
                    _require_whole(file)
                elif event.number in again and turn == 1:
                    _move(founded.folder, bench.folder)
                    _require_whole(_found(bench.folder))
    assert offices


def _move(old: Path, new: Path) -> None:
    """The mark names the folder of its try, which for the bench is another one."""
    mark = new / "state" / "unfinished"
    if mark.exists() and mark.read_text() == str(old / "etc"):
        mark.write_text(str(new / "etc"))


def _found(folder: Path) -> Path:
    plan = Plan(folder / "etc", folder / "state", "heping.test", "和平区")
    return found(plan, datetime.now(UTC), lambda _sentence: None)


def _require_whole(file: Path) -> None:
    config = config_file.load(file)
    database = Database(config.state.database_url, readers=1)
    try:
        identity.verify(database, config.state.directory)
    finally:
        database.stop()
    from gateway.composition import load_key
    from gateway.seals.signer import load_office_signer

    load_key(config)
    load_office_signer(config.seals, config.state.directory)
    assert config.tls.certificate.read_bytes()
    assert config.tls.key.read_bytes()


def test_a_try_elsewhere_touches_no_file_that_an_earlier_one_did_not_make(tmp_path: Path) -> None:
    """The state directory was left half-made by another try; these certificates are the user's."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "unfinished").write_text(str(tmp_path / "elsewhere"))
    (tmp_path / "etc").mkdir()
    own = tmp_path / "etc" / "tls.key"
    own.write_text("the user's own")
    with pytest.raises(Exception, match=r"tls\.key: there is such a file already"):
        _found(tmp_path)
    assert own.read_text() == "the user's own"
