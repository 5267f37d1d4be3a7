"""All that is wrong with an office, running or stopped, and what to do about each.

`yizhan check` asks whether the daemon could start with this set-up; the doctor asks that too, and
then how the office lives: the process, its ports and health page, the machine's clock and name,
what ends soon, who is missing, whether anybody could bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.config import Config
from gateway.errors import YizhanError
from gateway.soundness import find_advice, find_faults
from gateway.store import identity, migrate
from gateway.store.database import Database
from gateway.survey.doors import check_doors, check_process
from gateway.survey.finding import Finding, Weight, advice
from gateway.survey.keeping import check_backups, check_ends, check_fsck, check_held, check_quota
from gateway.survey.machine import check_clock, check_disks, check_files, check_name
from gateway.survey.people import check_people
from gateway.survey.running import look

Probe = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Examination:
    """What one part of the office was found to be."""

    part: str  # configuration, database, ports ...
    findings: tuple[Finding, ...]


def is_sound(examinations: Iterable[Examination]) -> bool:
    """Whether nothing is wrong; advice does not count."""
    return all(one.weight is not Weight.WRONG for part in examinations for one in part.findings)


def examine(config: Config, path: Path, now: datetime) -> list[Examination]:
    """Look at everything. What cannot be looked at is itself a finding; nothing is changed."""
    running = look(config)
    probes: dict[str, Probe] = {
        "set-up": lambda: _set_up(config, path, running.here),
        "process": lambda: check_process(config, running),
        "ports": lambda: check_doors(config, running),
        "files": lambda: check_files(config),
        "disk": lambda: check_disks(config),
        "clock": check_clock,
        "name": lambda: check_name(config),
    }
    found = [Examination(part, _asked(probe)) for part, probe in probes.items()]
    return [*found, *_examine_database(config, now)]


def _examine_database(config: Config, now: datetime) -> list[Examination]:
    database = Database(config.state.database_url, readers=1)
    try:
        schema = _asked(lambda: _schema(database, config))
        found = [Examination("database", schema)]
        if schema:
            return found
        probes: dict[str, Probe] = {
            "backup": lambda: database.read_now(lambda c: [*check_backups(c, config, now)]),
            "fsck": lambda: database.read_now(lambda c: [*check_fsck(c, now)]),
            "restore": lambda: database.read_now(lambda c: [*check_held(c)]),
            "quota": lambda: database.read_now(lambda c: [*check_quota(c, config)]),
            "keys": lambda: database.read_now(lambda c: [*check_ends(c, config, now)]),
            "units": lambda: database.read_now(
                lambda c: [*check_people(c, config.office.domain, now)]
            ),
        }
        return found + [Examination(part, _asked(probe)) for part, probe in probes.items()]
    finally:
        database.stop()


def _schema(database: Database, config: Config) -> Iterable[Finding]:
    identity.verify(database, config.state.directory)
    migrate.require_newest(database.engine)
    return ()


def _set_up(config: Config, path: Path, running: bool) -> Iterable[Finding]:
    """What `yizhan check` says; the ports are taken by the office itself while it runs."""
    for sentence in find_faults(config, path, ports=not running):
        yield Finding(sentence)
    for sentence in find_advice(config):
        yield advice(sentence)


def _asked(probe: Probe) -> tuple[Finding, ...]:
    try:
        return tuple(probe())
    except YizhanError as error:
        return (Finding(str(error)),)
    except OSError as error:
        return (Finding(f"{error.filename or 'the system'}: {error.strerror}"),)
