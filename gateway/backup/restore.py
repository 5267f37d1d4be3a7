"""Brings an office back from a backup, into an empty place, and leaves it held.

Everything is checked before the first octet is written. The identity of the store is written last:
until then no daemon starts there, so a restore that was killed leaves nothing that looks whole.
What the database gets is one transaction: rows, new UIDVALIDITYs, the hold, and the evidence.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select, update

from gateway import config_file
from gateway.backup import belongings, loading
from gateway.backup.copies import read_day
from gateway.backup.inspect import inspect as look_through
from gateway.backup.manifest import Manifest, read
from gateway.backup.relocation import load, relocate
from gateway.backup.shelf import READ, Copy, Shelf
from gateway.composition import load_key
from gateway.config import Config
from gateway.domain.event import Event, Reason
from gateway.errors import CommandError, YizhanError
from gateway.evidence.notary import Notary
from gateway.evidence.record import Actor, ContentDigest, Statement
from gateway.exchange.mailroom import tables as mailboxes
from gateway.exchange.tables import outbox
from gateway.reminders.notifiers import spool
from gateway.seals.tables import seals
from gateway.store import identity, migrate
from gateway.store.blobs import Driver
from gateway.store.database import Database
from gateway.store.drivers import open_kept
from gateway.store.facts import Fact, forget, remember
from gateway.store.tables import store_identity
from mailboxes.durable import sync_folder
from mailboxes.renewal import renew_uidvalidity

Told = Callable[[str, int, int], None]
_THREADS = 8


def _nobody(_what: str, _count: int, _octets: int) -> None:
    """Tells nobody."""


@dataclass(slots=True)
class Restore:
    """One restore. Set it up, `check`, then `run`."""

    shelf: Shelf
    actor: str
    now: datetime
    generation: str = ""  # empty: the newest
    to: Path | None = None
    database: str = ""  # with `to`: URL of another database than SQLite
    config_path: Path | None = None
    keep_blobs: bool = False
    despite_damage: bool = False
    office_key: bytes = b""
    told: Told = _nobody
    manifest: Manifest = field(init=False)
    settings: dict[str, bytes] = field(init=False, default_factory=dict)
    problems: list[str] = field(init=False, default_factory=list)
    lost: set[str] = field(init=False, default_factory=set)

    def check(self) -> None:
        """Read and check the backup. Raises CommandError that names every damaged file."""
        names = self.shelf.generations()
        self.shelf.require()
        if not names:
            raise CommandError(f"{self.shelf.directory}: no backup was finished here yet")
        self.generation = self.generation or names[-1]
        found = look_through(
            self.shelf, self.generation, office_key=self.office_key, told=self.told
        )
        blobs = str(self.shelf.directory / "blobs")
        grave = [fault for fault in found.faults if not fault.startswith(blobs)]
        if grave or (found.faults and not self.despite_damage):
            raise CommandError(
                "\n".join(found.faults)
                + f"\nthe backup {self.generation} is damaged, nothing was restored; take another "
                "one (`yizhan backup list`)"
                + ("" if grave else ", or bring back what is whole with --despite-damage")
            )
        self.problems += found.faults
        self.lost = {fault.partition(":")[0] for fault in found.faults}
        self.manifest = read(self.shelf, self.generation, office_key=self.office_key)
        if self.manifest.schema not in migrate.known():
            raise CommandError(
                f"the backup has schema {self.manifest.schema}, which is newer than this program; "
                f"install version {self.manifest.version} or newer"
            )
        if self.now <= datetime.fromisoformat(self.manifest.at):
            raise CommandError(
                f"the clock says {self.now:%Y-%m-%d %H:%M:%S} UTC, but the backup was made at "
                f"{self.manifest.at}: set the clock first, new UIDVALIDITYs come from it"
            )
        self.settings = belongings.read(self.shelf.get(self.manifest.settings))

    def needs_key(self) -> bool:
        """Whether the recovery key is needed."""
        return self.manifest.keys is not None

    def state_directory(self, keys: bytes) -> Path:
        """Where the state will lie. Raises CommandError if the configuration cannot be read."""
        secrets = belongings.read(keys) if keys else {}
        return self._configure({**self.settings, **secrets})[1].state.directory

    def run(self, keys: bytes) -> Path:
        """Write everything; `keys` is the opened parcel. The path of the configuration file.

        Raises CommandError if the place is not empty or something cannot be written.
        """
        secrets = belongings.read(keys) if keys else {}
        mask = os.umask(0o077)
        try:
            return self._run({**self.settings, **secrets})
        except OSError as error:
            raise CommandError(
                f"the restore has ended half way: {error.filename or ''}: {error.strerror}; empty "
                "the place and begin again"
            ) from error
        finally:
            os.umask(mask)

    def _run(self, files: dict[str, bytes]) -> Path:
        path, config, text = self._configure(files)
        if config.office.domain != self.manifest.domain:
            raise CommandError(
                f"{path}: office.domain is {config.office.domain}, but the backup is of "
                f"{self.manifest.domain}"
            )
        self._require_empty(config)
        written = []
        if text is not None:
            belongings.put_file(path, text)
            written.append(path)
        more, problems = belongings.put_settings(files, config)
        self.problems += problems
        try:
            kept = self._require_blobs(config)  # in a bucket they need a key, which is there now
        except YizhanError:
            for file in (*written, *more):
                file.unlink()
            raise
        config.state.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        belongings.put_state(files, config.state.directory)
        if config.reminders.spool is not None and not config.reminders.spool.exists():
            spool.prepare(config.reminders.spool)
        database = Database(config.state.database_url, readers=1)
        try:
            self._put_database(config, database)
            self._put_blobs(kept)
            certificates = database.read_now(lambda c: list(c.scalars(select(seals.c.certificate))))
            self.problems += belongings.put_keyrings(files, config, certificates)
            migrate.upgrade(database.engine)
        finally:
            database.stop()
        kept.write_identity(self.manifest.identity)
        belongings.put_file(
            config.state.directory / identity.FILE, f"{self.manifest.identity}\n".encode()
        )
        sync_folder(config.state.directory)
        return path

    def _configure(self, files: dict[str, bytes]) -> tuple[Path, Config, bytes | None]:
        """Where the configuration file lies, what it says, and its octets if it is not there."""
        octets = files.get("config")
        if self.to is not None:
            if octets is None:
                raise CommandError(
                    "the configuration file is not in the backup (a password stands in it); write "
                    "one by hand and name it with --config"
                )
            folder = self.to.absolute()
            if folder.exists() and any(folder.iterdir()):
                raise CommandError(f"{folder}: a restore begins in an empty folder")
            text = relocate(octets.decode("utf-8"), folder, self.database)
            return folder / "yizhan.toml", load(text, folder), text.encode()
        path = config_file.find(self.config_path).absolute()
        if path.exists():
            return path, config_file.load(path), None
        if octets is None:
            raise CommandError(f"{path}: is not there, and not in the backup; write it by hand")
        return path, load(octets.decode("utf-8"), path.parent), octets

    def _require_empty(self, config: Config) -> None:
        state = config.state.directory
        blobs = config.blobs_directory
        if state.exists():
            there = [p.name for p in state.iterdir() if p != blobs]
            if there:
                raise CommandError(
                    f"{state}: a restore begins in an empty place, but {', '.join(there)} is there"
                )

    def _require_blobs(self, config: Config) -> Driver:
        kept = open_kept(config)
        owner = kept.read_identity()
        if owner and owner != self.manifest.identity:
            raise CommandError(
                f"the blobs that are there belong to another store ({owner}), not to this backup's "
                f"({self.manifest.identity})"
            )
        if not self.keep_blobs and next(kept.list(), None) is not None:
            raise CommandError(
                "there are blobs already where the configuration says; if they have survived the "
                "loss, say --keep-blobs: they stay, and what is missing is added"
            )
        return kept

    def _put_blobs(self, kept: Driver) -> None:
        there = {one.name: one.size for one in kept.list() if one.whole} if self.keep_blobs else {}
        count = octets = 0
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="copy") as pool:
            for day in self.manifest.days:
                copies = [
                    copy
                    for copy in read_day(self.shelf, day).values()
                    if str(self.shelf.blob_path(copy.file)) not in self.lost
                    and copy.name not in there
                ]
                for size in pool.map(lambda copy: _put_blob(self.shelf, kept, copy), copies):
                    count += 1
                    octets += size
                    self.told("blobs", count, octets)

    def _put_database(self, config: Config, database: Database) -> None:
        url = database.engine.url
        if url.get_backend_name() == "sqlite" and url.database:
            # What SQLite puts beside it has its mode.
            os.close(os.open(url.database, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        else:
            database.read_now(_require_no_office)
        migrate.upgrade(database.engine, self.manifest.schema)
        key = load_key(config)
        count = 0

        def told(number: int) -> None:
            nonlocal count
            count += number
            self.told("rows", count, 0)

        def fill(connection: Connection) -> None:
            loading.load(connection, self.shelf, dict(self.manifest.tables), told)
            loading.set_sequences(connection, dict(self.manifest.sequences))
            if connection.dialect.name == "sqlite":
                wrong = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if wrong is not None:
                    raise CommandError("the backup's rows do not fit together", cause=str(wrong))
            renew_uidvalidity(connection, mailboxes, self.now)
            # Leases are of processes that died with the machine.
            connection.execute(update(outbox).values(lease_until=0))
            forget(connection, Fact.BACKUP)
            remember(connection, Fact.HELD, self._hold(), self.now)
            self._record(connection, Notary(key, config.office.domain))

        database.write_now(fill)

    def _hold(self) -> dict[str, Any]:
        return {
            "backup": self.manifest.id,
            "backup_at": self.manifest.at,
            "log_size": self.manifest.log_size,
            "actor": self.actor,
        }

    def _record(self, connection: Connection, notary: Notary) -> None:
        """The restore is evidence: which backup, by whom, and where the log goes on from.

        Receipts that were mailed after the backup show a larger tree, which this log will not
        contain: an auditor finds the reason here.
        """
        octets = self.shelf.generation_path(self.manifest.id).read_bytes()
        digest = ContentDigest(hashlib.sha256(octets).hexdigest(), len(octets))
        detail = (
            f"restored from backup {self.manifest.id} of {self.manifest.at}; its log had "
            f"{self.manifest.log_size} entries, root {self.manifest.log_root or '(none)'}; what "
            "came after that is not in this log"
        )
        statement = Statement(
            event=Event.STORE_RESTORED,
            at=self.now,
            reasons=((Reason.TECHNICAL_MALFUNCTION, detail),),
            submission_time=datetime.fromisoformat(self.manifest.at),
            content=digest,
            actor=Actor(account=f"operator:{self.actor}", login="operator"),
        )
        notary.record(connection, self.manifest.identity, [statement], self.now)


def _put_blob(shelf: Shelf, kept: Driver, copy: Copy) -> int:
    with shelf.blob_path(copy.file).open("rb") as file:
        kept.put(copy.name, iter(lambda: file.read(READ), b""))
    return copy.size


def _require_no_office(connection: Connection) -> None:
    if not inspect(connection).has_table(store_identity.name):
        return
    if connection.execute(select(store_identity.c.identity)).first() is not None:
        raise CommandError(
            "the database holds an office already; a restore begins in an empty database"
        )
