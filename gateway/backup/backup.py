"""Makes one generation of a backup from a running office, incremental and checked.

The order is the promise: first one snapshot of the database, then the blobs that it names. A blob
is on disk before its row is and is not removed, so each one that the snapshot names is there. The
daemon is not asked and not disturbed: readers block no writer.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway import __version__
from gateway.backup import belongings, loading, rows
from gateway.backup.copies import Copier, Wanted, wanted
from gateway.backup.manifest import Manifest, read, seal
from gateway.backup.prune import prune
from gateway.backup.shelf import Mark, Piece, Shelf
from gateway.config import Config
from gateway.directory import changes
from gateway.domain.clock import Clock, milliseconds, rfc3339
from gateway.domain.ids import new_id
from gateway.errors import CommandError
from gateway.evidence import log
from gateway.evidence.keys import certificates, load_evidence_key
from gateway.seals.recovery import encrypt_to_recovery
from gateway.store import identity, migrate
from gateway.store.database import Database
from gateway.store.drivers import open_blobs, open_kept
from gateway.store.facts import Fact, recall, remember
from gateway.store.fault import reach

_FOLDERS = 10  # of which the database remembers its last backup

Told = Callable[[str, int, int], None]
"""Progress: a word for what is being done, how many so far, how many octets so far."""


def _nobody(_what: str, _count: int, _octets: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Made:
    """What one backup did."""

    manifest: Manifest
    new_blobs: int
    new_octets: int
    removed: tuple[str, ...]  # generations


@dataclass(slots=True)
class Backup:
    """Backups of one office into one folder; whoever makes many keeps the object."""

    config: Config
    path: Path  # of the configuration file
    database: Database
    clock: Clock
    actor: str
    shelf: Shelf
    keep: int = 30
    with_keys: bool = True
    full: bool = False
    told: Told = _nobody
    _stamp: tuple[object, ...] = ()
    _repaired: int = 0  # as the snapshot of the last generation says
    _parcels: tuple[Piece, Piece | None, tuple[str, ...]] | None = field(default=None)

    def prepare(self) -> None:
        """See that a backup can be made here at all.

        Raises CommandError: a folder inside the state directory, of another office, or no recovery
        key; StoreUnusable for a store that is not the configured one.
        """
        where = self.shelf.directory.resolve()
        taken = (self.config.state.directory, self.config.blobs_directory)
        if any(where == one.resolve() or where.is_relative_to(one.resolve()) for one in taken):
            raise CommandError(
                f"{self.shelf.directory} lies inside the state directory: what destroys the one "
                "destroys the other; name a folder on another disk"
            )
        if self.with_keys:
            self._recovery_certificates()
        store = identity.verify(self.database, self.config.state.directory)
        try:
            self.shelf.claim(Mark(store, self.config.office.domain))
        except OSError as error:
            raise _cannot_write(self.shelf, error) from error

    def make(self) -> Made:
        """Make one generation. Raises CommandError; every earlier generation stays as it was."""
        try:
            with self.shelf.locked():
                made = self._make()
        except OSError as error:
            raise _cannot_write(self.shelf, error) from error
        now, manifest = self.clock.now(), made.manifest
        folder = str(self.shelf.directory.resolve())
        value = {
            "generation": manifest.id,
            "directory": folder,
            "documents": manifest.documents,
            "blobs": manifest.blobs,
            "octets": manifest.octets,
            "new_blobs": made.new_blobs,
            "without_keys": manifest.keys is None,
        }

        def note(connection: Connection) -> None:
            known = recall(connection, Fact.BACKUP)
            newest = {} if known is None else dict(known.value.get("newest", {}))
            newest.pop(folder, None)  # the youngest last: a disk that was given away goes
            newest[folder] = [manifest.id, self._repaired]
            last = dict(list(newest.items())[-_FOLDERS:])
            remember(connection, Fact.BACKUP, {**value, "newest": last}, now)

        self.database.write_now(note)
        return made

    def _make(self) -> Made:
        known = self.shelf.generations()
        before = self._before(known)
        settings, keys, without = self._pack()
        base, names = self.database.read_now(lambda c: self._read(c, before))
        reach("backup-rows")
        plain = open_blobs(self.config)
        storage_keys = tuple(plain.ring.ids)
        count = 0

        def told(blobs: int, octets: int) -> None:
            nonlocal count
            count += blobs
            base["octets"] += octets
            self.told("blobs", count, base["octets"])

        copier = Copier(
            self.shelf,
            open_kept(self.config),
            plain,
            look=self.full or before is None or before.storage_keys != storage_keys,
            told=told,
        )
        days = {} if before is None else {day.day: day for day in before.days}
        result = copier.run(names, days)
        reach("backup-blobs")
        base.pop("octets")
        manifest = Manifest(
            days=tuple(result.days),
            settings=settings,
            keys=keys,
            without=(*without, *base.pop("left")),
            damaged=tuple(result.damaged),
            storage_keys=storage_keys,
            **base,
        )
        octets = manifest.render()
        key = load_evidence_key(self.config.state.directory)
        words = self.database.read_now(certificates)
        self.shelf.publish(manifest.id, octets, seal(octets, key, words))
        reach("backup-published")
        removed = [] if self.keep < 0 else prune(self.shelf, self.keep)
        return Made(manifest, result.copied, result.octets, tuple(removed))

    def _before(self, known: Sequence[str]) -> Manifest | None:
        """The last generation, if it is whole: what it has is not copied again."""
        if not known:
            return None
        return read(self.shelf, known[-1])

    def _read(
        self, connection: Connection, before: Manifest | None
    ) -> tuple[dict[str, Any], list[Wanted]]:
        """All that one snapshot of the database says."""
        now = self.clock.now()
        self._repaired = _repairs(connection)
        trusted = before if not self.full and _is_ours(connection, before) else None
        count = 0

        def told(number: int) -> None:
            nonlocal count
            count += number
            self.told("rows", count, 0)

        tables = {
            table.name: rows.dump(
                connection,
                table,
                self.shelf,
                trusted.tables.get(table.name, ()) if trusted is not None else (),
                told,
            )
            for table in rows.kept_tables()
        }
        last = log.newest(connection)
        left = [f"the table {name} is none of ours" for name in rows.unknown(connection)]
        found = {
            "id": new_id(milliseconds(now), secrets.token_bytes(10)),
            "at": rfc3339(now),
            "identity": self.shelf.require().identity,
            "domain": self.config.office.domain,
            "office": self.config.office.name,
            "version": __version__,
            "schema": migrate.current(self.database.engine),
            "dialect": connection.dialect.name,
            "actor": self.actor,
            "log_size": 0 if last is None else last.size,
            "log_root": "" if last is None else base64.b64encode(last.root).decode(),
            "tables": tables,
            "sequences": loading.sequences(connection),
            "left": left,
            "octets": 0,
        }
        return found, list(wanted(connection))

    def _pack(self) -> tuple[Piece, Piece | None, tuple[str, ...]]:
        """Settings and keys as pieces; once while none of their files changes."""
        stamp = belongings.stamp(self.config, self.path)
        if self._parcels is None or stamp != self._stamp:
            found = belongings.collect(self.config, self.path, keys=self.with_keys)
            keys = None
            if self.with_keys:
                octets = belongings.render(found.keys)
                keys = self.shelf.put(encrypt_to_recovery(octets, self._recovery_certificates()))
            settings = self.shelf.put(belongings.render(found.settings))
            self._parcels = (settings, keys, tuple(found.without))
            self._stamp = stamp
        return self._parcels

    def _recovery_certificates(self) -> list[str]:
        file = self.config.recovery.certificate
        if file is None:
            raise CommandError(
                "there is no recovery key to which the keys could be encrypted: name its "
                "certificate in recovery.certificate (docs/operation.md says how one is made), "
                "or say --without-keys"
            )
        try:
            return [file.read_text(encoding="ascii")]
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"recovery.certificate: {file} cannot be read: {error}") from None


def _is_ours(connection: Connection, before: Manifest | None) -> bool:
    """Whether the database has itself made that backup, and nobody has repaired it since.

    One that was restored has another order and other numbers than the one that was lost.
    """
    made = recall(connection, Fact.BACKUP)
    if before is None or made is None or before.dialect != connection.dialect.name:
        return False
    return [before.id, _repairs(connection)] in made.value.get("newest", {}).values()


def _repairs(connection: Connection) -> int:
    """The number of the last repair: what a repair changed is not what an older backup has."""
    return changes.newest(connection, "fsck")


def _cannot_write(shelf: Shelf, error: OSError) -> CommandError:
    what = error.strerror or (error.args[-1] if error.args else type(error).__name__)
    where = error.filename or shelf.directory
    free = ""
    if error.errno is not None and error.errno in (28, 122):
        left = os.statvfs(shelf.directory)
        free = f"; {left.f_bavail * left.f_frsize} octets are free there"
    return CommandError(
        f"the backup was not made: {where}: {what}{free}. Earlier backups in "
        f"{shelf.directory} are as they were"
    )
