"""Puts the verbs together with what they write through, for the daemon and for commands alike."""

from __future__ import annotations

from gateway import resources
from gateway.config import Config
from gateway.evidence import alert, receipt, summary
from gateway.evidence.keys import EvidenceKey, load_evidence_key
from gateway.evidence.notary import Notary
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.means import Means
from gateway.reminders import choices
from gateway.reminders import ladder as reminders
from gateway.reminders.ladder import Ladder
from gateway.store.blobs import FileBlobs
from gateway.templating import Templates
from mailboxes.store import MailboxStore


def load_key(config: Config) -> EvidenceKey:
    """The evidence key of the office. Raises ConfigurationError."""
    return load_evidence_key(config.state.directory)


def load_templates() -> Templates:
    """The office's templates, tried with the facts of each letter. Raises ConfigurationError."""
    samples = (*receipt.samples(), *summary.samples(), *alert.samples(), *reminders.samples())
    return Templates(resources.folder("templates"), samples)


def compose_means(
    config: Config,
    *,
    key: EvidenceKey | None = None,
    ladder: Ladder | None = None,
    mailboxes: MailboxStore | None = None,
) -> Means:
    """What every verb works with; parts that the caller shares with others may be handed in.

    Raises ConfigurationError.
    """
    return Means(
        mailboxes=mailboxes or open_mailboxes(FileBlobs(config.state.blobs)),
        notary=Notary(key or load_key(config), config.office.domain),
        ladder=ladder or compose_ladder(config, load_templates()),
        host=config.office.host,
        summary_minutes=config.receipts.summary_minutes,
        deadline_minutes=config.receipts.deadline_minutes,
    )


def compose_ladder(config: Config, templates: Templates) -> Ladder:
    """The ladder of reminders. Raises ConfigurationError."""
    return Ladder(config.office, choices.load(config.policy.directory), templates)
