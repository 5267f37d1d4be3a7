"""What each process of the daemon opens for itself: database, blobs, directory, texts, means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.composition import (
    compose_ladder,
    compose_means,
    load_key,
    load_templates,
    open_own_blobs,
)
from gateway.config import Config
from gateway.directory.live import LiveDirectory
from gateway.domain.clock import Clock, SystemClock
from gateway.errors import YizhanError
from gateway.evidence.keys import EvidenceKey
from gateway.exchange.gestures import Gestures
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.means import Means
from gateway.policy import signing
from gateway.reminders import choices
from gateway.reminders.ladder import Ladder
from gateway.store import identity, server, upgrade
from gateway.store.database import Database
from gateway.store.encrypted import EncryptedBlobs
from gateway.templating import Templates
from mailboxes.store import MailboxStore

log = structlog.stdlib.get_logger("yizhan.daemon")

Steps = dict[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Premises:
    """The parts that the process that takes mail in needs, and the one that works on it later."""

    config: Config
    clock: Clock
    database: Database
    blobs: EncryptedBlobs
    mailboxes: MailboxStore
    directory: LiveDirectory
    templates: Templates
    ladder: Ladder
    key: EvidenceKey
    means: Means

    def reloading(self) -> Steps:
        """What to read again on SIGHUP; each step raises ConfigurationError and changes nothing."""
        return {
            "templates": self.templates.reload,
            "reminders": lambda: self.ladder.adopt(choices.load(self.config.policy.directory)),
            "signing": lambda: self.means.signing.adopt(signing.load(self.config.policy.directory)),
        }


def open_premises(config: Config, *, first: bool = True) -> Premises:
    """Open them; nothing runs yet. The `first` process waits for the database and migrates it.

    Raises ConfigurationError and StoreUnusable.
    """
    state = config.state
    database = Database(
        state.database_url,
        readers=state.readers,
        writers=state.writers,
        batch=state.batch,
        shared=config.shared,
    )
    if first:
        server.wait_for(
            database.engine,
            state.wait_seconds,
            lambda fault: log.warning("waiting-for-database", cause=fault),
        )
    store = identity.verify(database, state.directory)  # before anything in it is changed
    if first:
        upgrade.bring_up_to_date(database.engine)
    templates = load_templates()
    blobs = open_own_blobs(config, database, store)
    directory = LiveDirectory(database, config.office.domain)
    ladder = compose_ladder(config, templates)
    key = load_key(config)
    means = compose_means(config, key=key, ladder=ladder, mailboxes=open_mailboxes(blobs))
    return Premises(
        config=config,
        clock=SystemClock(),
        database=database,
        blobs=blobs,
        mailboxes=open_mailboxes(blobs, Gestures(means, directory)),
        directory=directory,
        templates=templates,
        ladder=ladder,
        key=key,
        means=means,
    )


def reload(steps: Steps, **who: int) -> None:
    """Do each step; what is wrong stays as it was. `who` goes into the log's lines."""
    for what, step in steps.items():
        try:
            step()
        except YizhanError as error:
            log.error("not-reloaded", what=what, cause=error.public, **who)
        else:
            log.info("reloaded", what=what, **who)
