"""How the office stands, on one screen: the daemon, what is open, what waits, what ends soon."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.config import Config
from gateway.domain.clock import rfc3339
from gateway.store.database import Database
from gateway.store.facts import Fact, Known, recall
from gateway.survey.ends import End, find_ends
from gateway.survey.figures import (
    Queue,
    Unsigned,
    count_queue,
    count_today,
    count_unsigned,
)
from gateway.survey.running import Running, look


@dataclass(frozen=True, slots=True)
class Disk:
    """The room on one disk, octets."""

    path: Path
    total: int
    free: int
    least: int  # below it no mail is taken; 0: no such limit here

    @property
    def short(self) -> bool:
        """Whether somebody should look: a tenth is left, or three times the limit."""
        return self.free < max(self.total // 10, 3 * self.least)


@dataclass(frozen=True, slots=True)
class Books:
    """What the database says, all as of one moment."""

    today: dict[str, int]
    unsigned: Unsigned
    queue: Queue
    ends: tuple[End, ...]
    backup: Known | None
    fsck: Known | None
    held: Known | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that `yizhan status` shows."""

    office: str
    domain: str
    now: datetime
    running: Running
    books: Books
    disks: tuple[Disk, ...]


def take_status(config: Config, database: Database, now: datetime) -> Status:
    """Ask the database, the disk, and the daemon if it runs. Raises StoreUnavailable."""
    return Status(
        office=config.office.name,
        domain=config.office.domain,
        now=now,
        running=look(config),
        books=database.read_now(lambda connection: _read(connection, config, now)),
        disks=measure_disks(config),
    )


def _read(connection: Connection, config: Config, now: datetime) -> Books:
    today = start_of_day(now)
    return Books(
        today=count_today(connection, today),
        unsigned=count_unsigned(connection, now),
        queue=count_queue(connection, now, today),
        ends=find_ends(connection, config, now),
        backup=recall(connection, Fact.BACKUP),
        fsck=recall(connection, Fact.FSCK),
        held=recall(connection, Fact.HELD),
    )


def start_of_day(now: datetime) -> datetime:
    """The midnight before, where this machine stands."""
    return now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


def measure_disks(config: Config) -> tuple[Disk, ...]:
    """The disks of the state directory and of the documents; one if they are the same."""
    limit = config.submission.limits.free_space
    places = [(config.state.directory, limit)]
    if config.blobs.driver == "files":
        places.append((config.blobs_directory, limit))
    found: dict[int, Disk] = {}
    for path, least in places:
        try:
            usage, device = shutil.disk_usage(path), path.stat().st_dev
        except OSError:
            continue  # the daemon and `yizhan check` say so
        found.setdefault(device, Disk(path, usage.total, usage.free, least))
    return tuple(found.values())


def as_data(status: Status) -> dict[str, Any]:
    """The same for a program: times in UTC, octets, counts."""
    running, books = status.running, status.books
    oldest = books.unsigned.oldest
    return {
        "office": status.office,
        "domain": status.domain,
        "time": rfc3339(status.now),
        "running": running.here,
        "process": running.process or None,
        "since": _time(running.since),
        "health": running.health or None,
        "troubles": dict(running.troubles),
        "locked_logins": running.locked_logins,
        "today": books.today,
        "unsigned": {
            "deliveries": books.unsigned.deliveries,
            "documents": books.unsigned.documents,
            "overdue": books.unsigned.overdue,
            "overdue_at": dict(books.unsigned.overdue_at or {}),
            "oldest": oldest
            and {
                "id": oldest.id,
                "number": oldest.number,
                "urgency": oldest.urgency,
                "received": rfc3339(oldest.received),
                "deadline": rfc3339(oldest.deadline),
                "owners": list(oldest.owners),
                "missing": oldest.missing,
            },
        },
        "queue": {
            "letters": books.queue.letters,
            "failing": books.queue.failing,
            "planned": books.queue.planned,
            "reminders": books.queue.reminders,
            "reminders_failed_today": books.queue.reminders_failed,
            "records_unsealed": books.queue.records,
        },
        "disks": [
            {"path": str(one.path), "total": one.total, "free": one.free, "least": one.least}
            for one in status.disks
        ],
        "ends": [
            {"what": one.what, "name": one.name, "unit": one.unit, "at": rfc3339(one.at)}
            for one in books.ends
        ],
        "backup": _known(books.backup),
        "fsck": _known(books.fsck),
        "held": _known(books.held),
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else rfc3339(when)


def _known(fact: Known | None) -> dict[str, Any] | None:
    return None if fact is None else {"at": rfc3339(fact.at), **fact.value}
