"""How long `yizhan fsck` takes over a large store, beside what must be read at the very least.

Makes a sound store (`bench.hoard`), then measures: SQLite's own integrity check of the database,
sha256sum over the same blobs, the signatures of the records alone, and fsck with one process and
with one for each processor. With --cold the page cache is dropped before each (root only).

Run it as `python -m bench.fsck --documents 20000`; a million with --documents 1000000 takes some
40 GB of disk and some minutes to make.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench import hoard
from gateway.config import Config
from gateway.evidence.record import SIGNED_PREFIX
from gateway.fsck.check import Progress, check
from gateway.fsck.crew import Alone, Crew, Processes
from gateway.fsck.scope import Scope
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from tests.house import DOMAIN

_MIB = 1 << 20


def main() -> None:
    """Make, measure, remove."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yizhan-hoard")
    parser.add_argument("--keep", action="store_true", help="leave the store, or take one left")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each run")
    parser.add_argument("--only-all", action="store_true", help="not with one process alone")
    given = parser.parse_args()
    folder: Path = given.folder
    if not (given.keep and (folder / "yizhan.db").exists()):
        shutil.rmtree(folder, ignore_errors=True)
        begun = time.monotonic()
        hoard.make(folder, given.documents, lambda done: _line(f"made {done}"))
        _line("")
        print(f"made {given.documents} documents in {time.monotonic() - begun:.0f} s")
    _sizes(folder)
    try:
        for name, run in _runs(folder, alone=not given.only_all):
            if given.cold:
                os.sync()
                Path("/proc/sys/vm/drop_caches").write_text("3")
            begun, worked = time.monotonic(), _processor_seconds()
            told = run()
            seconds, work = time.monotonic() - begun, _processor_seconds() - worked
            rate = given.documents / seconds
            print(
                f"{name:32} {seconds:8.1f} s, {work:8.1f} s of processors, "
                f"{rate:8.0f} documents/s; {told}",
                flush=True,
            )
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _processor_seconds() -> float:
    """Of this process and of its children that have ended: what a busy machine changes less."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _runs(folder: Path, *, alone: bool) -> list[tuple[str, Callable[[], str]]]:
    config = _config(folder)
    number = os.cpu_count() or 1
    runs: list[tuple[str, Callable[[], str]]] = [
        ("floor: PRAGMA integrity_check", lambda: _integrity(folder)),
        ("floor: sha256sum of the blobs", lambda: _sums(folder)),
        ("floor: verify every signature", lambda: _signatures(folder)),
    ]
    if alone:
        runs.append(("fsck, 1 process", lambda: _fsck(folder, config, 1, Scope())))
    runs += [
        (f"fsck, {number} processes", lambda: _fsck(folder, config, number, Scope())),
        (f"fsck --quick, {number} processes",
         lambda: _fsck(folder, config, number, Scope(quick=True))),
        (f"fsck --views, {number} processes",
         lambda: _fsck(folder, config, number, Scope(views=True))),
    ]  # fmt: skip
    return runs


def _fsck(folder: Path, config: Config, number: int, scope: Scope) -> str:
    database = Database(config.state.database_url, readers=1)
    crew: Crew = Alone(database, FileBlobs(folder / "blobs"), DOMAIN)
    if number > 1:
        crew = Processes(config, number)
    report = check(database, crew, scope, tell=_tell)
    _line("")
    database.stop()
    assert report.clean, [fault.sentence for fault in report.faults[:5]]
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / _MIB
    return (
        f"{report.counts['records']} records, at most {ours:.0f} MB here, {theirs:.0f} MB a child"
    )


def _integrity(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "yizhan.db")) as plain:
        [(said,)] = plain.execute("PRAGMA integrity_check").fetchall()
    return str(said)


def _signatures(folder: Path) -> str:
    """Only the signatures over the records, one after the other, by the same library."""
    with closing(sqlite3.connect(folder / "yizhan.db")) as plain:
        [(key,)] = plain.execute("SELECT public FROM evidence_keys").fetchall()
        public, number = Ed25519PublicKey.from_public_bytes(key), 0
        for octets, signature in plain.execute("SELECT octets, signature FROM evidence_records"):
            public.verify(signature, SIGNED_PREFIX + octets)
            number += 1
    return f"{number} records, one process"


def _sums(folder: Path) -> str:
    command = "find blobs -type f -print0 | xargs -0 -n 500 sha256sum | wc -l"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    return f"{done.stdout.strip()} files"


def _sizes(folder: Path) -> None:
    database = sum(path.stat().st_size for path in folder.glob("yizhan.db*"))
    blobs = subprocess.run(
        ["du", "-sb", str(folder / "blobs")], capture_output=True, text=True, check=True
    )
    print(f"database {database // _MIB} MB, blobs {int(blobs.stdout.split()[0]) // _MIB} MB")


def _config(folder: Path) -> Config:
    return Config.model_validate(
        {
            "office": {"domain": DOMAIN, "name": "和平区政府电子邮局"},
            "state": {"directory": folder},
            "tls": {"certificate": folder / "tls.crt", "key": folder / "tls.key"},
            "submission": {"listeners": [{"port": 2587}]},
        }
    )


def _tell(progress: Progress) -> None:
    _line(
        f"{progress.done} of {progress.total}, {progress.rate:.0f}/s, {progress.left:.0f} s to go"
    )


def _line(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:60}")


if __name__ == "__main__":
    main()
