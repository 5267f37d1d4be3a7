"""The daemon: composes the post office, serves until told to stop, and reloads on SIGHUP.

Read `PostOffice.__init__` for what there is, `start` for the order in which it comes up, and `stop`
for the order in which it goes: doors first, so that nothing new comes in; then what runs is
finished; the database last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
import uvloop
from sqlalchemy import Connection

from gateway import __version__, allocator, journal, notify
from gateway.backup.notice import Notice
from gateway.composition import (
    compose_ladder,
    compose_means,
    load_key,
    load_templates,
    open_own_blobs,
)
from gateway.config import Config
from gateway.console.console import Console
from gateway.console.health import Health
from gateway.console.meters import DoorMeter
from gateway.console.metrics import Metrics
from gateway.delivery.alerts import Alerts
from gateway.delivery.letters import Bureau
from gateway.delivery.outbox import OutboxWorker
from gateway.delivery.receipts import Receipts
from gateway.delivery.sealer import Sealer
from gateway.delivery.summaries import Summaries
from gateway.delivery.sweeper import Sweeper
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator
from gateway.domain.clock import SystemClock
from gateway.errors import TaskEnded, YizhanError
from gateway.evidence.log import Log
from gateway.exchange.exchange import Exchange, Judges
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.means import Means
from gateway.exchange.notify import record_reminder
from gateway.exchange.outbox import Kind
from gateway.fsck.notice import Notice as Checked
from gateway.intake.door import SubmissionDoor
from gateway.intake.limits import Places
from gateway.intake.tls import TlsHolder
from gateway.policy.collect import open_scanner, verify_settings
from gateway.policy.engine import Policy
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.reminders import choices
from gateway.reminders.notifiers import make_notifier
from gateway.reminders.reminder import ReminderOutcome
from gateway.reminders.worker import ReminderWorker
from gateway.seals.live import LiveSeals
from gateway.seals.signer import load_office_opener, load_office_signer
from gateway.store import identity, migrate, server
from gateway.store.database import Database
from gateway.store.fault import reach
from gateway.store.peers import News, open_peers

log = structlog.stdlib.get_logger("yizhan.daemon")


class PostOffice:
    """One running post office."""

    def __init__(self, config: Config, path: Path) -> None:
        """Compose it; nothing listens yet. Raises ConfigurationError and StoreUnusable."""
        self.config, self.path = config, path
        state = config.state
        self.clock = clock = SystemClock()
        self.database = database = Database(
            state.database_url, readers=state.readers, writers=state.writers, batch=state.batch
        )
        server.wait_for(
            database.engine,
            state.wait_seconds,
            lambda fault: log.warning("waiting for the database", fault=fault),
        )
        store = identity.verify(database, state.directory)  # before anything in it is changed
        migrate.upgrade(database.engine)
        self.peers = open_peers(database, clock, self._heard)

        self.templates = templates = load_templates()
        self.tls = TlsHolder(config.tls, config.submission.client_ca)
        self.blobs = open_own_blobs(config, database, store)
        mailboxes = open_mailboxes(self.blobs)
        self.directory = directory = LiveDirectory(database, config.office.domain)
        self.ladder = compose_ladder(config, templates)
        key = load_key(config)
        means = compose_means(config, key=key, ladder=self.ladder, mailboxes=mailboxes)

        verify_settings(config.policy)
        self.opener = load_office_opener(config.seals, state.directory)
        self.inspector = Inspector(config.policy, config.seals, config.office.host)
        self.judges = Judges(
            policy=Policy.load(config.policy.directory),
            settings=config.policy,
            inspector=self.inspector,
            rates=Rates(),
            scanner=open_scanner(config.policy),
            opener=self.opener,
        )
        self.metrics = Metrics(__version__)
        self.exchange = Exchange(
            database=database,
            blobs=self.blobs,
            directory=directory,
            seals=LiveSeals(database),
            judges=self.judges,
            means=means,
            clock=clock,
            committed=self.wake,
        )

        bureau = Bureau(
            database=database,
            blobs=self.blobs,
            mailboxes=mailboxes,
            directory=directory,
            templates=templates,
            signer=load_office_signer(config.seals, state.directory),
            clock=clock,
            domain=config.office.domain,
            host=config.office.host,
            name=config.office.name,
            name_en=config.office.name_en,
            style=config.receipts.style,
            security_officer=config.office.security_officer,
            warn=self._warning,
        )
        self.outbox = OutboxWorker(
            database,
            {
                Kind.RECEIPT: Receipts(bureau).handle,
                Kind.SUMMARY: Summaries(bureau).handle,
                Kind.ALERT: Alerts(bureau).handle,
            },
            clock,
            node=identity.node(state.directory),
        )
        self.sealer = Sealer(
            database, Log(key, config.office.domain), clock, self._sealed, self._elected
        )
        self.reminders = ReminderWorker(
            database,
            make_notifier(config.reminders),
            lambda connection, outcome: _record(connection, means, outcome),
            clock,
            config.reminders,
            observe=lambda outcome: self.metrics.count("yizhan_reminders_total", outcome=outcome),
        )
        self.sweeper = Sweeper(database, self.blobs, mailboxes, clock, self._elected)

        self.hashing = ThreadPoolExecutor(2, thread_name_prefix="password")
        self.authenticator = Authenticator(directory, config.submission, clock, self.hashing)
        places = Places(config.submission.limits)
        self.doors = [
            SubmissionDoor(
                listener,
                config.submission,
                self.tls,
                directory=directory,
                authenticator=self.authenticator,
                exchange=self.exchange,
                host=config.office.host,
                spool_directory=state.directory,
                clock=clock,
                places=places,
                certificates=self._client_certificates,
                metrics=DoorMeter(self.metrics, f"{listener.tls}-{listener.port}"),
            )
            for listener in config.submission.listeners
        ]
        self.notice = Notice(database, clock, config.backup.warn_hours)
        self.health = Health()
        self.console = Console(config.console, self.health, self.metrics, name=config.office.name)
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()  # set from outside, or when nothing can go on
        self.broken = ""  # why it cannot go on; empty while it can

    def wake(self) -> None:
        """There are new records and new reminders."""
        self.sealer.wake()
        self.reminders.wake()
        self.peers.tell(News.RECORDS)

    def _sealed(self) -> None:
        self.outbox.wake()
        self.peers.tell(News.SEALED)

    def _heard(self, news: News) -> None:
        if news is News.SEALED:
            self.outbox.wake()
        else:
            self.sealer.wake()
            self.reminders.wake()

    def _elected(self) -> bool:
        return self.peers.elected

    async def start(self) -> None:
        """Bring everything up; when this returns the doors are open.

        Raises ConfigurationError, for example if a port is in use.
        """
        self.database.start()
        await self.inspector.start()
        await self.reminders.start()
        self._watch()
        for name, work in (
            ("peers", self.peers),
            ("sealer", self.sealer),
            ("outbox", self.outbox),
            ("reminders", self.reminders),
            ("sweeper", self.sweeper),
        ):
            self._spawn(name, work.run())
        await self.console.start()
        for door in self.doors:
            await door.start()
        interval = notify.watchdog_interval()
        if interval:
            self._spawn("watchdog", _feed_watchdog(interval))

    async def stop(self) -> None:
        """Close the doors (421 to idle clients), finish what runs, and end."""
        reach("draining")
        drain = self.config.submission.drain_seconds
        await asyncio.gather(*(door.stop(drain) for door in self.doors))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reminders.close()
        await self.console.stop()
        await self.inspector.close()
        self.exchange.close()
        self.hashing.shutdown(cancel_futures=True)
        reach("drained")
        self.database.stop()
        self.opener.close()

    def reload(self) -> None:
        """Take new policies, templates and certificates; what is wrong stays as it was."""
        notify.reloading()
        steps: dict[str, Callable[[], None]] = {
            "policies": self._reload_policy,
            "templates": self.templates.reload,
            "certificates": self.tls.reload,
            "reminders": lambda: self.ladder.adopt(choices.load(self.config.policy.directory)),
        }
        for what, step in steps.items():
            try:
                step()
            except YizhanError as error:
                log.error("not reloaded, the old stays in force", what=what, fault=error.public)
            else:
                log.info("reloaded", what=what)
        notify.ready()

    def _reload_policy(self) -> None:
        self.judges.policy = Policy.load(self.config.policy.directory)

    def _watch(self) -> None:
        self.health.add("database", self._database_health)
        self.health.add("blobs", self._blobs_health)
        self.health.add("disk", self._disk_health)
        self.health.add("reminders", self.reminders.health)
        self.health.add("outbox", self.outbox.health)
        self.health.add("sealer", self.sealer.health)
        self.health.add("tasks", self._tasks_health)
        self.health.add("sweeper", self.sweeper.health, grave=False)
        self.health.add("held", self.notice.held, grave=False)
        self.health.add("backup", self.notice.late, grave=False)
        self.health.add("fsck", Checked(self.database).faults, grave=False)
        for name, read in (
            ("yizhan_database_commits_total", lambda: self.database.commits),
            ("yizhan_database_units_total", lambda: self.database.units),
            ("yizhan_database_waiting", lambda: self.database.waiting),
            ("yizhan_database_failed", lambda: float(bool(self.database.failed))),
            ("yizhan_node_elected", lambda: float(self.peers.elected)),
            ("yizhan_free_octets", self._free_octets),
            ("yizhan_children_replaced_total", lambda: self.inspector.replaced),
            ("yizhan_logins_locked", lambda: self.authenticator.locked),
            ("yizhan_outbox_waiting", lambda: self.outbox.backlog.waiting),
            ("yizhan_evidence_unsealed", lambda: self.sealer.unsealed),
            ("yizhan_blobs_unclaimed", lambda: self.sweeper.unclaimed),
            ("yizhan_backup_age_seconds", lambda: self.notice.age),
        ):
            self.metrics.watch(name, read)

    def _warning(self, language: str, code: str) -> str:
        return self.judges.policy.sentences.warning(language, code)  # of the policy now in force

    async def _client_certificates(self) -> Sequence[bytes]:
        return (await self.directory.current()).client_certificates()

    def _free_octets(self) -> float:
        return shutil.disk_usage(self.config.state.directory).free

    async def _database_health(self) -> str:
        trouble = await self.database.trouble()
        if trouble:
            return f"no mail is taken: the database: {trouble}"
        return await self.peers.health()

    async def _blobs_health(self) -> str:
        return await asyncio.to_thread(self.blobs.trouble)

    async def _disk_health(self) -> str:
        """The door looks at the same place and limit before it lets a message in."""
        limit = self.config.submission.limits.free_space
        free = await asyncio.to_thread(self._free_octets)
        if free >= limit:
            return ""
        return (
            f"no mail is taken: only {free / 1e6:.0f} MB are free on the disk of "
            f"{self.config.state.directory}, and {limit / 1e6:.0f} MB must be "
            "(submission.limits.free_space)"
        )

    async def _tasks_health(self) -> str:
        return self.broken

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._notice_end)
        self._tasks.append(task)

    def _notice_end(self, task: asyncio.Task[None]) -> None:
        """All tasks run until they are cancelled: without one mail would silently lie about."""
        if task.cancelled():
            return
        error = task.exception()
        self.broken = f"the {task.get_name()} has ended; the post office stops"
        log.error("a task has ended", task=task.get_name(), exc_info=error)
        self.stopping.set()


def _record(connection: Connection, means: Means, outcome: ReminderOutcome) -> None:
    record_reminder(
        connection,
        means,
        document_id=outcome.document_id,
        delivery_id=outcome.delivery_id,
        reason=outcome.reason,
        detail=outcome.detail,
        now=outcome.at,
    )


async def _feed_watchdog(interval: float) -> None:
    while True:
        notify.alive()
        await asyncio.sleep(interval)


async def serve(config: Config, path: Path) -> None:
    """Run until SIGTERM or SIGINT. Raises TaskEnded, and what PostOffice raises."""
    with identity.held(config.state.directory):
        await _serve(config, path)


async def _serve(config: Config, path: Path) -> None:
    office = PostOffice(config, path)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, office.stopping.set)
    loop.add_signal_handler(signal.SIGHUP, office.reload)
    try:
        await office.start()
    except BaseException:
        with contextlib.suppress(Exception):
            await office.stop()
        raise
    sys.stdout.write(welcome(office))
    sys.stdout.flush()
    notify.ready()
    log.info("ready", doors=[door.port for door in office.doors], console=office.console.port)
    await office.stopping.wait()
    log.info("stopping")
    notify.stopping()
    await office.stop()
    log.info("stopped")
    if office.broken:
        raise TaskEnded(office.broken)


def run(config: Config, path: Path) -> None:
    """Run the daemon in this process."""
    # A core dump would hold what people wrote in the clear (RLIMIT_CORE covers children too).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    allocator.tame()
    journal.set_up(config.log)
    uvloop.run(serve(config, path))


def welcome(office: PostOffice) -> str:
    """What the terminal shows when the doors are open."""
    lines = [f"\n驿站 Yizhan serves {office.config.office.name} ({office.config.office.domain})"]
    for listener, door in zip(office.config.submission.listeners, office.doors, strict=True):
        kind = "STARTTLS" if listener.tls == "starttls" else "TLS"
        lines.append(f"  submission  {listener.address}:{door.port}  {kind}")
    console = office.console
    lines.append(f"  health      http://{office.config.console.address}:{console.port}/health")
    lines.append(f"  metrics     http://{office.config.console.address}:{console.port}/metrics")
    return "\n".join(lines) + "\n" + _demo_hints(office.path)


def _demo_hints(path: Path) -> str:
    """For a demo office: three accounts, where the passwords are, three commands to paste."""
    accounts = path.parent / "accounts.toml"
    if not accounts.exists():
        return "\n"
    shown = os.path.relpath(accounts)
    config = os.path.relpath(path)
    return (
        f"\n  accounts    office@, water@, education@ ... passwords in {shown}\n"
        "\n  Try, in a second terminal:\n"
        "    make demo\n"
        f"    .venv/bin/yizhan document list --config {config}\n"
        f"    .venv/bin/yizhan mailbox list --config {config}\n"
        "\n  Ctrl-C stops.\n\n"
    )
