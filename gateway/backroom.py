"""The backroom: what works on documents after their `250`, once in a daemon however many workers.

The sealer numbers and signs what was recorded, the outbox writes receipts, the ladder reminds, the
sweeper tidies, the indexer makes searching quick; peers on the same database are told, and heard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.delivery.alerts import Alerts
from gateway.delivery.answers import Answers
from gateway.delivery.fullness import FullnessLetters, FullnessWatch
from gateway.delivery.indexer import Indexer
from gateway.delivery.letters import Bureau
from gateway.delivery.outbox import BATCH, SHARE, OutboxWorker
from gateway.delivery.receipts import Receipts
from gateway.delivery.sealer import Sealer
from gateway.delivery.summaries import Summaries
from gateway.delivery.sweeper import Sweeper
from gateway.evidence.log import Log
from gateway.exchange.fullness import general_limit
from gateway.exchange.mailroom import open_index, tables
from gateway.exchange.means import Means
from gateway.exchange.notify import Told, record_reminders
from gateway.exchange.outbox import Kind
from gateway.exchange.texts import TextReader
from gateway.policy.pool import Inspector
from gateway.reminders.notifiers import make_notifier
from gateway.reminders.reminder import ReminderOutcome
from gateway.reminders.worker import ReminderWorker
from gateway.seals.book import SealBook
from gateway.seals.signer import Signer, load_office_signer
from gateway.store import identity
from gateway.store.peers import News, open_peers
from gateway.workers.premises import Premises

_MANY = 20  # records sealed at once of which receipts are made by several processes


def open_outbox(
    premises: Premises, signer: Signer, warn: Callable[[str, str], str], *, first: bool = True
) -> OutboxWorker:
    """What makes receipts, summaries and alerts; of several processes the `first`, or another.

    `warn` gives the sentence of a warning by language and code.
    """
    config = premises.config
    bureau = Bureau(
        database=premises.database,
        blobs=premises.blobs,
        mailboxes=premises.mailboxes,
        directory=premises.directory,
        templates=premises.templates,
        signer=signer,
        clock=premises.clock,
        domain=config.office.domain,
        host=config.office.host,
        name=config.office.name,
        name_en=config.office.name_en,
        style=config.receipts.style,
        security_officer=config.office.security_officer,
        warn=warn,
    )
    return OutboxWorker(
        premises.database,
        {
            Kind.RECEIPT: Receipts(bureau).handle,
            Kind.SUMMARY: Summaries(bureau).handle,
            Kind.ALERT: Alerts(bureau).handle,
            Kind.ANSWER: Answers(bureau).handle,
            Kind.FULLNESS: FullnessLetters(bureau, general_limit(config)).handle,
        },
        premises.clock,
        node=identity.node(config.state.directory),
        first=first,
        most=SHARE if config.shared else BATCH,
    )


def _nobody() -> None:
    """There are no others."""


class Backroom:
    """Everything that runs without a client."""

    def __init__(
        self,
        premises: Premises,
        warn: Callable[[str, str], str],
        reminded: Callable[[str], None],
    ) -> None:
        """`warn` gives the sentence of a warning by language and code, `reminded` is told the
        outcome of each reminder. Raises ConfigurationError."""
        config, database, clock = premises.config, premises.database, premises.clock
        self.peers = open_peers(database, clock, self._heard)
        self.signer = load_office_signer(config.seals, config.state.directory)
        self.outbox = open_outbox(premises, self.signer, warn)
        self.mailboxes_changed: Callable[[], None] = _nobody  # clients may have something to see
        self.helpers: Callable[[], None] = _nobody  # other processes that take from the outbox
        self.sealer = Sealer(
            database, Log(premises.key, config.office.domain), clock, self._sealed, self._elected
        )
        self.reminders = ReminderWorker(
            database,
            make_notifier(config.reminders),
            lambda connection, outcomes: _record(connection, premises.means, outcomes),
            clock,
            config.reminders,
            observe=reminded,
        )
        # A child of its own: an attachment that is indexed never stands before one that comes in.
        alone = config.policy.model_copy(update={"extraction_children": 1})
        self.inspector = Inspector(alone, config.seals, config.office.host)
        self.indexer = Indexer(
            database,
            TextReader(tables, premises.blobs.open),
            open_index(),
            lambda content: self.inspector.inspect(
                content, unit_id=0, book=SealBook(()), opener=None, at=clock.now(), mt_priority=None
            ),
            clock,
            self._elected,
        )
        self.sweeper = Sweeper(database, premises.blobs, premises.mailboxes, clock, self._elected)
        self.fullness = FullnessWatch(
            database, general_limit(config), clock, self._elected, self.outbox.wake
        )

    def wake(self) -> None:
        """There are new records and new reminders."""
        self.sealer.wake()
        self.reminders.wake()
        self.indexer.wake()
        self.peers.tell(News.RECORDS)

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs until it is cancelled, by name."""
        return {
            "peers": self.peers.run(),
            "sealer": self.sealer.run(),
            "outbox": self.outbox.run(),
            "reminders": self.reminders.run(),
            "indexer": self.indexer.run(),
            "sweeper": self.sweeper.run(),
            "fullness": self.fullness.run(),
        }

    def _sealed(self, records: int) -> None:
        self.outbox.wake()
        self.indexer.wake()  # their receipts
        if records >= _MANY:
            self.helpers()
        self.peers.tell(News.SEALED)

    def _heard(self, news: News) -> None:
        self.mailboxes_changed()  # by whatever was done
        if news is News.SEALED:
            self.outbox.wake()
        elif news is News.RECORDS:
            self.sealer.wake()
            self.reminders.wake()
            self.indexer.wake()

    def _elected(self) -> bool:
        return self.peers.elected


def _record(connection: Connection, means: Means, outcomes: Sequence[ReminderOutcome]) -> None:
    told: defaultdict[str, list[Told]] = defaultdict(list)
    for one in outcomes:
        told[one.document_id].append(Told(one.delivery_id, one.reason, one.detail))
    for document_id, some in told.items():
        record_reminders(connection, means, document_id, some, outcomes[0].at)
