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
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
import uvloop

from gateway import __version__, activation, interpreter, journal, notify
from gateway.accepting import Acceptor
from gateway.backroom import Backroom
from gateway.backup.notice import Notice
from gateway.config import Config, Listener, MailboxListener
from gateway.console.console import Console
from gateway.console.health import Health
from gateway.console.meters import DoorMeter
from gateway.console.metrics import Metrics
from gateway.directory.logins import Authenticator
from gateway.errors import TaskEnded
from gateway.exchange.fullness import Fullness
from gateway.expiry import CertificateWatch
from gateway.fsck.notice import Notice as Checked
from gateway.intake.door import IMAP, POP3, SUBMISSION, Door, Service
from gateway.intake.limits import Places
from gateway.intake.sessions import Hall
from gateway.intake.tls import TlsHolder
from gateway.policy.collect import verify_settings
from gateway.policy.engine import Policy
from gateway.policy.rate import Rates
from gateway.reception import compose_portal
from gateway.seals.signer import load_office_opener
from gateway.store import identity
from gateway.store.fault import reach
from gateway.store.peers import News
from gateway.welcome import welcome
from gateway.workers.crew import Crew
from gateway.workers.desk import Desk
from gateway.workers.intake import Intake
from gateway.workers.mailroom import open_halls, open_mailroom
from gateway.workers.premises import Steps, open_premises, reload
from gateway.workers.stand_ins import Waker

log = structlog.stdlib.get_logger("yizhan.daemon")


class PostOffice:
    """One running post office; with a crew it shares its clients with other processes."""

    def __init__(self, config: Config, path: Path, crew: Crew | None = None) -> None:
        """Compose it; nothing listens yet. Raises ConfigurationError and StoreUnusable."""
        self.config, self.path, self.crew = config, path, crew
        state = config.state
        self.premises = premises = open_premises(config)
        self.clock = clock = premises.clock
        self.database = database = premises.database
        self.tls = TlsHolder(config.tls, config.submission.client_ca)
        verify_settings(config.policy)
        self.policy = Policy.load(config.policy.directory)
        self.opener = load_office_opener(config.seals, state.directory)
        self.metrics = Metrics(__version__)

        self.backroom = Backroom(
            premises,
            self._warning,
            lambda outcome: self.metrics.count("yizhan_reminders_total", outcome=outcome),
        )
        self.hashing = ThreadPoolExecutor(2, thread_name_prefix="password")
        self.backroom.mailboxes_changed = self._mailboxes_heard
        self.authenticator = Authenticator(
            premises.directory,
            config.submission,
            clock,
            self.hashing,
            portal_url=config.portal_url,
        )
        self.rates = Rates()
        self.places = Places(config.submission.limits)
        self.mail_places = Places(config.mailboxes or config.submission.limits)
        self.meters = [
            *(DoorMeter(self.metrics, _label(one)) for one in config.submission.listeners),
            *(DoorMeter(self.metrics, _label(one), "mailbox") for one in config.mailbox_listeners),
        ]
        self.intake = self._open_intake()
        self.mailroom = open_mailroom(premises, self.intake)
        self.neighbours = Waker(self._tell_of_mailboxes)
        database.written = self._written
        here = open_halls(self.intake, self.mailroom, self.meters, self.places, self.mail_places)
        self.here = here
        halls: list[Hall] = [*here]
        if crew is not None:
            halls = [crew.hall(number, own) for number, own in enumerate(here)]
        self.doors = [
            Door(listener, hall, places, meter, service)
            for (listener, service, places), hall, meter in zip(
                self._doors(), halls, self.meters, strict=True
            )
        ]
        self.portal = compose_portal(
            config,
            database=database,
            directory=premises.directory,
            authenticator=self.authenticator,
            templates=premises.templates,
            clock=clock,
            hashing=self.hashing,
        )
        self.notice = Notice(database, clock, config.backup.warn_hours)
        self.health = Health()
        self.console = Console(config.console, self.health, self.metrics, name=config.office.name)
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: list[Acceptor] = []  # listen for nothing but to hang up
        self._reloading: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()  # set from outside, or when nothing can go on
        self.broken = ""  # why it cannot go on; empty while it can

    def _doors(self) -> Iterator[tuple[Listener | MailboxListener, Service, Places]]:
        for listener in self.config.submission.listeners:
            yield listener, SUBMISSION, self.places
        for one in self.config.mailbox_listeners:
            yield one, IMAP if one.protocol == "imap" else POP3, self.mail_places

    def _open_intake(self) -> Intake:
        return Intake(
            self.premises,
            policy=self.policy,
            tls=self.tls,
            opener=self.opener,
            authenticator=self.authenticator,
            rates=self.rates,
            committed=self.backroom.wake,
            children=self.config.children,
        )

    async def start(self, given: Sequence[activation.Given] = ()) -> None:
        """Bring everything up; when this returns the doors are open.

        `given` are the sockets that systemd listens on already. Raises ConfigurationError, for
        example if a port is in use.
        """
        portal = [self.config.portal] if self.config.portal else []
        doors = [listener for listener, _, _ in self._doors()]
        assigned = activation.assign([*doors, *portal], given)
        sockets = list(assigned)
        self.database.start()
        await self.intake.start()
        await self.backroom.reminders.start()
        self._watch()
        for name, work in self.backroom.work().items():
            self._spawn(name, work)
        self._spawn("presence", self.authenticator.presence.run(self.database))
        if self.crew is not None:
            desk = Desk(
                self.authenticator, self.rates, (self.places, self.mail_places), self.meters,
                self.backroom.wake, self._mailboxes_heard,
            )  # fmt: skip
            key = self.backroom.signer.exported
            await self.crew.start(desk, self.database, self._break, key)
            self.backroom.helpers = self.crew.share
            self._spawn("workers", self.crew.run())
        if self.mailroom is not None:
            self._spawn("mailboxes", self.mailroom.wakeups.run())
        await self.console.start()
        if self.portal is not None:
            own = sockets.pop()
            await self.portal.start(own.socket if own else None)
        for door, own in zip(self.doors, sockets, strict=True):
            await door.start(own.socket if own else None)
        self._turn_away(activation.unwanted(assigned, given))
        interval = notify.watchdog_interval()
        if interval:
            self._spawn("watchdog", self._feed_watchdog(interval))

    async def stop(self) -> None:
        """Close the doors (421 to idle clients), finish what runs, and end."""
        reach("draining")
        drain = self.config.submission.drain_seconds
        for closed in self._closed:
            closed.close()
        await asyncio.gather(*(door.stop(drain) for door in self.doors))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backroom.reminders.close()
        await self.backroom.inspector.close()
        if self.portal is not None:
            await self.portal.stop()
        await self.console.stop()
        await self.intake.close()
        self.hashing.shutdown(cancel_futures=True)
        reach("drained")
        await self.database.close()
        for hall in self.here:
            hall.close()
        await asyncio.sleep(0)  # in which the loop closes the last connections
        self.opener.close()

    def _turn_away(self, unwanted: Sequence[activation.Given]) -> None:
        """Hang up on the clients of sockets for which there is no listener (yet)."""
        for one in unwanted:
            log.warning("socket-unused", cause=activation.nobodys(one))
            own = one.socket.dup()  # the other is closed where it was taken
            self._closed.append(Acceptor(own, lambda client, _peer: client.close()))

    def reload(self) -> None:
        """Take new policies, templates and certificates; what is wrong stays as it was.

        With workers it is over when they have, too; a second signal waits for the first.
        """
        if self.crew is None:
            notify.reloading()
            self._reload_here()
            notify.ready()
            return
        work = self._reload_all(self.crew, self._reloading)
        self._reloading = asyncio.create_task(work)

    async def _reload_all(self, crew: Crew, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        notify.reloading()
        self._reload_here()
        await crew.reload()
        notify.ready()

    def _reload_here(self) -> None:
        steps: Steps = {"policies": self._reload_policy, **self.premises.reloading()}
        steps["certificates"] = self.tls.reload
        if self.portal is not None:
            steps["portal"] = self.portal.reload
        reload(steps)

    def _reload_policy(self) -> None:
        self.policy = Policy.load(self.config.policy.directory)
        self.intake.judges.policy = self.policy

    def _written(self) -> None:
        """This process has committed something, to mailboxes perhaps."""
        if self.mailroom is not None:
            self._mailboxes_heard()
            self.neighbours.wake()

    def _tell_of_mailboxes(self) -> None:
        """The other processes and nodes look, too."""
        if self.crew is not None:
            self.crew.changed()
        self.backroom.peers.tell(News.MAILBOXES)

    def _mailboxes_heard(self) -> None:
        """Somebody has changed mailboxes: our own clients look."""
        if self.mailroom is not None:
            self.mailroom.wakeups.hint()

    def _watch(self) -> None:
        self.health.add("database", self._database_health)
        self.health.add("blobs", self._blobs_health)
        self.health.add("disk", self._disk_health)
        self.health.add("reminders", self.backroom.reminders.health)
        self.health.add("outbox", self.backroom.outbox.health)
        self.health.add("sealer", self.backroom.sealer.health)
        self.health.add("tasks", self._tasks_health)
        self.health.add("sweeper", self.backroom.sweeper.health, grave=False)
        self.health.add("indexer", self.backroom.indexer.health, grave=False)
        self.health.add("held", self.notice.held, grave=False)
        self.health.add("backup", self.notice.late, grave=False)
        self.health.add(
            "certificate", CertificateWatch(self.config, self.clock).ending, grave=False
        )
        self.health.add("quota", Fullness(self.database, self.config).full, grave=False)
        self.health.add("fsck", Checked(self.database).faults, grave=False)
        if self.crew is not None:
            self.health.add("workers", self.crew.health)
        for name, read in (
            (
                "yizhan_database_commits_total",
                lambda: self.database.commits + self._of_crew("commits"),
            ),
            ("yizhan_database_units_total", lambda: self.database.units + self._of_crew("units")),
            ("yizhan_database_waiting", lambda: self.database.waiting + self._of_crew("waiting")),
            ("yizhan_database_failed", lambda: float(bool(self.database.failed))),
            ("yizhan_node_elected", lambda: float(self.backroom.peers.elected)),
            ("yizhan_state_free_bytes", self._free_bytes),
            ("yizhan_state_size_bytes", self._size_bytes),
            ("yizhan_children_replaced_total", self._children_replaced),
            ("yizhan_workers_replaced_total", lambda: self.crew.replaced if self.crew else 0),
            ("yizhan_logins_locked", lambda: self.authenticator.locked),
            ("yizhan_logins_waiting", lambda: self.authenticator.waiting),
            ("yizhan_smtp_connections_limit", lambda: self.config.submission.limits.connections),
            (
                "yizhan_mailbox_connections_limit",
                lambda: self.config.mailboxes.connections if self.config.mailboxes else 0,
            ),
            ("yizhan_outbox_waiting", lambda: self.backroom.outbox.backlog.waiting),
            ("yizhan_evidence_unsealed", lambda: self.backroom.sealer.unsealed),
            ("yizhan_search_waiting", lambda: self.backroom.indexer.waiting),
            ("yizhan_blobs_unclaimed", lambda: self.backroom.sweeper.unclaimed),
            ("yizhan_backup_last_success_timestamp_seconds", lambda: self.notice.made_at),
            ("yizhan_certificate_not_after_timestamp_seconds", lambda: self.tls.not_after),
        ):
            self.metrics.watch(name, read)

    def _of_crew(self, name: str) -> int:
        return self.crew.total(name) if self.crew is not None else 0

    def _children_replaced(self) -> int:
        own = self.intake.inspector.replaced + self.backroom.inspector.replaced
        return own + self._of_crew("replaced")

    def _warning(self, language: str, code: str) -> str:
        return self.policy.sentences.warning(language, code)  # of the policy now in force

    def _free_bytes(self) -> float:
        return shutil.disk_usage(self.config.state.directory).free

    def _size_bytes(self) -> float:
        return shutil.disk_usage(self.config.state.directory).total

    async def _database_health(self) -> str:
        trouble = await self.database.trouble()
        if trouble:
            return f"no mail is taken: the database: {trouble}"
        return await self.backroom.peers.health()

    async def _blobs_health(self) -> str:
        return await asyncio.to_thread(self.premises.blobs.trouble)

    async def _disk_health(self) -> str:
        """The door looks at the same place and limit before it lets a message in."""
        limit = self.config.submission.limits.free_space
        free = await asyncio.to_thread(self._free_bytes)
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
        log.error("task-ended", task=task.get_name(), exc_info=error)
        self._break(f"the {task.get_name()} has ended; the post office stops")

    def _break(self, sentence: str) -> None:
        self.broken = sentence
        self.stopping.set()

    async def _feed_watchdog(self, interval: float) -> None:
        while True:
            if self.crew is None or self.crew.answering:
                notify.alive()
            await asyncio.sleep(interval)


def _label(listener: Listener | MailboxListener) -> str:
    return f"{listener.tls}-{listener.port}"


async def serve(config: Config, path: Path, given: Sequence[activation.Given] = ()) -> None:
    """Run until SIGTERM or SIGINT. Raises TaskEnded, and what PostOffice raises."""
    with identity.held(config.state.directory):
        if config.daemon.workers == 1:
            await _serve(config, path, given)
            return
        crew = Crew(config)  # its processes read their program while this one opens the database
        try:
            await _serve(config, path, given, crew)
        finally:
            crew.dismiss()


async def _serve(
    config: Config,
    path: Path,
    given: Sequence[activation.Given] = (),
    crew: Crew | None = None,
) -> None:
    office = PostOffice(config, path, crew)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, office.stopping.set)
    loop.add_signal_handler(signal.SIGHUP, office.reload)
    try:
        await office.start(given)
    except BaseException:
        with contextlib.suppress(Exception):
            await office.stop()
        raise
    interpreter.settle()
    ports = [door.port for door in office.doors]
    sys.stdout.write(welcome(config, path, ports, office.console.port))
    sys.stdout.flush()
    notify.ready()
    log.info("ready", doors=ports, console=office.console.port)
    await office.stopping.wait()
    log.info("stopping")
    notify.stopping()
    await office.stop()
    log.info("stopped")
    if office.broken:
        raise TaskEnded(office.broken)


def run(config: Config, path: Path, hints: Sequence[str] = ()) -> None:
    """Run the daemon in this process; `hints` about the configuration go into its log."""
    # A core dump would hold what people wrote in the clear (RLIMIT_CORE covers children too).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    interpreter.tame()
    interpreter.take_short_turns()
    journal.set_up(config.log)
    for hint in hints:
        log.warning("setting-renamed", cause=hint)
    with activation.taken() as given:
        uvloop.run(serve(config, path, given))
