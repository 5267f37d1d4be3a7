"""What a backup costs, beside what an administrator would do: `sqlite3 .backup` and `rsync`.

Fills a demo office with distinct sealed documents through its own door, then takes turns: theirs
and ours, full and incremental, with and without new documents in between; each is synced to disk at
its end, and each turn is done three times. Then it verifies and restores ours.

Run it as `python -m bench.backup [--documents 10000]`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pysequoia import Tsk

from bench.submit import make_mails, running_office, submit
from tests import office as offices

_TURNS = 3


@dataclass(slots=True)
class Bill:
    """Seconds of each kind of turn, the middle one of three."""

    documents: int
    database: int  # octets of the SQLite file
    blobs: int  # octets
    size_ours: int = 0  # octets on disk
    size_theirs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    load: float = 0.0

    def ratio(self, what: str) -> float:
        """Ours to theirs."""
        return self.seconds[f"ours, {what}"] / self.seconds[f"theirs, {what}"]


def ours(office: offices.Office, folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "gateway", "backup", str(folder), "--config", str(office.config)],
        check=True, stdout=subprocess.DEVNULL, cwd=offices.ROOT,
    )  # fmt: skip


def theirs(office: offices.Office, folder: Path) -> None:
    """Neither verified nor of one moment with the keys, but what there is without us."""
    folder.mkdir(exist_ok=True)
    database = folder / "yizhan.db"
    database.unlink(missing_ok=True)
    subprocess.run(
        ["sqlite3", str(office.folder / "state" / "yizhan.db"), f".backup {database}"], check=True
    )
    copy = ["rsync", "-a"] if shutil.which("rsync") else ["cp", "-a", "-u"]
    subprocess.run(
        [*copy, f"{office.folder / 'state' / 'blobs'}/.", str(folder / "blobs")], check=True
    )
    subprocess.run(["sync", "-f", str(folder)], check=True)


def timed(work: Callable[[int], None]) -> float:
    """The middle of three."""
    spent = []
    for turn in range(_TURNS):
        os.sync()
        begun = time.monotonic()
        work(turn)
        spent.append(time.monotonic() - begun)
    return statistics.median(spent)


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def measure(documents: int, new: int) -> Bill:
    with running_office() as office, tempfile.TemporaryDirectory(prefix="yzb") as place:
        disk = Path(place)
        key = Tsk.generate("Recovery <recovery@heping.test>")
        (office.folder / "recovery.asc").write_text(str(key.extract_certificate()))
        (disk / "secret.asc").write_bytes(bytes(key))
        with office.config.open("a", encoding="utf-8") as file:
            file.write('\n[recovery]\ncertificate = "recovery.asc"\n')
        fill(office, disk / "mails", documents)
        state = office.folder / "state"
        bill = Bill(
            documents, (state / "yizhan.db").stat().st_size, size_of(state / "blobs"),
            load=os.getloadavg()[0],
        )  # fmt: skip
        seconds = bill.seconds
        for name, copy in (("theirs", theirs), ("ours", ours)):
            seconds[f"{name}, full"] = timed(lambda n, c=copy, d=name: c(office, disk / f"{d}{n}"))  # type: ignore[misc]
            seconds[f"{name}, nothing new"] = timed(
                lambda _n, c=copy, d=name: c(office, disk / f"{d}0")
            )  # type: ignore[misc]
        bill.size_ours, bill.size_theirs = size_of(disk / "ours0"), size_of(disk / "theirs0")
        fill(office, disk / "more", new)
        for name, copy in (("theirs", theirs), ("ours", ours)):
            seconds[f"{name}, {new} new"] = timed(
                lambda n, c=copy, d=name: c(office, disk / f"{d}{n}")
            )  # type: ignore[misc]
        begun = time.monotonic()
        command = [sys.executable, "-m", "gateway", "backup", "verify", str(disk / "ours0")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=offices.ROOT)
        seconds["ours, verify"] = time.monotonic() - begun
        seconds.update(follow(office, disk / "ours0"))
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "gateway", "restore", str(disk / "ours0"), "--to",
             str(disk / "r"), "--recovery-key", str(disk / "secret.asc")],
            check=True, stdout=subprocess.DEVNULL, cwd=offices.ROOT,
        )  # fmt: skip
        seconds["ours, restore with fsck"] = time.monotonic() - begun
        return bill


def fill(office: offices.Office, folder: Path, count: int) -> None:
    mails = make_mails(office, folder, count, 16, urgent=False)
    result = submit(office, mails, 16, reuse=True, urgent=False)
    assert result.accepted == count, result.replies
    shutil.rmtree(folder)


def follow(office: offices.Office, folder: Path) -> dict[str, float]:
    """One turn of a continuous copy, in a process that stays."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "backup", str(folder), "--follow", "0.1", "--json",
         "--config", str(office.config)],
        stdout=subprocess.PIPE, text=True, cwd=offices.ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        spent = [json.loads(process.stdout.readline())["seconds"] for _ in range(6)]
        process.terminate()
    return {"ours, a turn of --follow": statistics.median(spent[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    bill = measure(chosen.documents, chosen.new)
    if chosen.json:
        print(json.dumps(asdict(bill), indent=2))
        return
    print(
        f"{bill.documents} documents: database {bill.database / 1e6:.0f} MB, blobs "
        f"{bill.blobs / 1e6:.0f} MB; on disk ours {bill.size_ours / 1e6:.0f} MB, theirs "
        f"{bill.size_theirs / 1e6:.0f} MB; load {bill.load:.1f}"
    )
    for what, spent in bill.seconds.items():
        print(f"{what:28} {spent:8.2f} s")
    for what in ("full", "nothing new", f"{chosen.new} new"):
        print(f"ratio, {what:21} {bill.ratio(what):8.2f}")


if __name__ == "__main__":
    main()
