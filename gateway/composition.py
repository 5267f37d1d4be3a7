"""Puts the verbs together with what they write through, for the daemon and for commands alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select

from gateway import resources
from gateway.config import Config
from gateway.errors import ConfigurationError, StoreDamaged
from gateway.evidence import alert, answer, fullness, receipt, summary
from gateway.evidence.keys import EvidenceKey, load_evidence_key
from gateway.evidence.notary import Notary
from gateway.exchange.action_address import ActionAddresses
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.means import Means
from gateway.exchange.tables import documents
from gateway.policy import signing
from gateway.policy.signing import LiveSigning
from gateway.portal import samples as portal
from gateway.reminders import choices
from gateway.reminders import ladder as reminders
from gateway.reminders.ladder import Ladder
from gateway.seals.escrow import require_keys
from gateway.store import identity
from gateway.store.database import Database
from gateway.store.drivers import open_blobs, open_kept
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.envelope import UnknownStorageKey
from gateway.templating import Templates
from mailboxes.store import MailboxStore


def load_key(config: Config) -> EvidenceKey:
    """The evidence key of the office. Raises ConfigurationError."""
    return load_evidence_key(config.state.directory)


def open_own_blobs(config: Config, database: Database, store: str) -> EncryptedBlobs:
    """The blobs of the office, once it is sure that they are its own and can be read.

    `store` is the identity of the database. Raises ConfigurationError if a storage key is missing
    or is another one, StoreUnusable for another office's blobs, StoreUnavailable if the store
    cannot be asked now.
    """
    # A disk that has failed for one process has failed for all: the database's word reaches them.
    blobs = open_blobs(config, database.fail)
    require_keys(config, blobs.ring)
    newest = database.read_now(lambda c: c.scalar(select(func.max(documents.c.id)))) or ""
    identity.verify_blobs(open_kept(config), store, newest)
    if newest:
        try:
            blobs.open(newest).close()
        except FileNotFoundError:
            pass  # `yizhan fsck` names it; the others may be there
        except UnknownStorageKey as error:
            raise ConfigurationError(
                f"blobs.storage_key_file: the newest document is kept under the storage key "
                f"{error.key_id}, which is not in the file; bring it back from the safe, or with "
                "`yizhan storage recover --secret-key FILE`"
            ) from None
        except StoreDamaged:
            pass
    return blobs


def load_templates() -> Templates:
    """The office's templates, tried with the facts of each letter. Raises ConfigurationError."""
    samples = (
        *receipt.samples(),
        *summary.samples(),
        *alert.samples(),
        *answer.samples(),
        *fullness.samples(),
        *reminders.samples(),
        *portal.samples(),
    )
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
    key = key or load_key(config)
    return Means(
        mailboxes=mailboxes or open_mailboxes(open_blobs(config)),
        notary=Notary(key, config.office.domain),
        ladder=ladder or compose_ladder(config, load_templates()),
        host=config.office.host,
        addresses=action_addresses(key, config.office.domain),
        signing=LiveSigning(signing.load(config.policy.directory)),
        summary_minutes=config.receipts.summary_minutes,
        deadline_minutes=config.receipts.deadline_minutes,
    )


def action_addresses(key: EvidenceKey, domain: str) -> ActionAddresses:
    """The office's action addresses: the same wherever its evidence key is."""
    return ActionAddresses(key.derive("action addresses"), domain)


def compose_answers(config: Config) -> Callable[[str, datetime], str]:
    """`Means.answer_to`, for who has no means; that raises ConfigurationError when it is called."""

    def answer_to(document_id: str, received_at: datetime) -> str:
        addresses = action_addresses(load_key(config), config.office.domain)
        good_for = signing.load(config.policy.directory).good_for
        return addresses.make(document_id, received_at, good_for)

    return answer_to


def compose_ladder(config: Config, templates: Templates) -> Ladder:
    """The ladder of reminders. Raises ConfigurationError."""
    return Ladder(config.office, choices.load(config.policy.directory), templates)
