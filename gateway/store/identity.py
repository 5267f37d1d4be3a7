"""Store and database carry one identity, and the schema is one that this version knows.

A restored database beside somebody else's blobs would lose mail silently; so a mismatch refuses to
start, with the sentence that tells the operator which of the two is the stranger.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select

from gateway.domain.clock import milliseconds
from gateway.domain.ids import new_id
from gateway.errors import CommandError, StoreUnusable
from gateway.store import migrate
from gateway.store.blobs import Driver
from gateway.store.database import Database
from gateway.store.tables import store_identity
from mailboxes.durable import sync_folder

FILE = "identity"


def create(database: Database, directory: Path, domain: str, now: datetime) -> str:
    """Give a new, empty store its identity; returns it.

    Raises CommandError if there is one already.
    """
    file = directory / FILE
    if file.exists():
        raise CommandError(f"{directory}: there is an office here already")
    identity = new_id(milliseconds(now), secrets.token_bytes(10))

    def record(connection: Connection) -> None:
        connection.execute(
            insert(store_identity).values(
                id=1, identity=identity, domain=domain, created_at=milliseconds(now)
            )
        )

    database.write_now(record)
    with open(file, "x", encoding="ascii", opener=_for_us_alone) as opened:
        opened.write(identity + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    sync_folder(directory)
    return identity


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep every other daemon away from this state directory while the block runs.

    Two would take each other's work for that of a dead one. A second node on the same database has
    a state directory of its own.

    Raises StoreUnusable if another has it.
    """
    try:
        file = (directory / FILE).open("rb")
    except FileNotFoundError:
        raise _no_office(directory) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreUnusable(f"{directory}: another post office runs here already") from None
        yield


def node(directory: Path) -> str:
    """A name of this node, the same at each start.

    It is not kept in the state directory, because a second node is made by copying that.
    """
    machine = Path("/etc/machine-id")
    known = machine.read_text(encoding="ascii").strip() if machine.exists() else ""
    place = f"{known} {socket.gethostname()} {directory.resolve()}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def verify(database: Database, directory: Path) -> str:
    """Check that schema and identity fit; returns the identity.

    Raises CommandError if the office was not made yet, StoreUnusable for a mismatch or a schema
    that is newer than this program.
    """
    file = directory / FILE
    if not file.exists():
        raise _no_office(directory)
    migrate.require_known(database.engine)
    expected = file.read_text(encoding="ascii").strip()

    def find(connection: Connection) -> str:
        if not inspect(connection).has_table(store_identity.name):
            return ""
        return connection.execute(select(store_identity.c.identity)).scalar_one_or_none() or ""

    found = database.read_now(find)
    if found != expected:
        raise StoreUnusable(
            f"the database belongs to the store {found or '(none)'}, "
            f"but {directory} is the store {expected}; restore both from one backup"
        )
    return found


def verify_blobs(blobs: Driver, found: str, newest: str) -> None:
    """Check that the blobs are this store's; say so beside them if nothing does yet.

    `newest` is a document that must be among them, empty if there is none: an empty folder where a
    disk should be mounted, or another bucket, is found before mail goes into it.

    Raises StoreUnusable, ConfigurationError for the store's settings, StoreUnavailable if the
    store cannot be asked now.
    """
    written = blobs.read_identity()
    if written == found:
        return
    if written:
        raise StoreUnusable(
            f"the blobs belong to the store {written}, but this is the store {found}: "
            "see blobs.directory, or blobs.s3"
        )
    if newest:
        try:
            blobs.open(newest).close()
        except FileNotFoundError:
            raise StoreUnusable(
                "there are documents in the database, but their blobs are not where the "
                "configuration says: is a disk not mounted? See blobs.directory, or blobs.s3"
            ) from None
    blobs.write_identity(found)


def _no_office(directory: Path) -> CommandError:
    return CommandError(f"{directory}: there is no office here yet; make one with `yizhan init`")
