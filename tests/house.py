"""The exchange and the office's letters in one process, without doors: a real database, real blobs,
the shipped rules, the demo directory and a clock that the test sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway import config, resources
from gateway.composition import action_addresses
from gateway.delivery.alerts import Alerts
from gateway.delivery.answers import Answers
from gateway.delivery.fullness import FullnessLetters
from gateway.delivery.letters import Bureau
from gateway.delivery.outbox import OutboxWorker
from gateway.delivery.receipts import Receipts
from gateway.delivery.sealer import Sealer
from gateway.delivery.summaries import Summaries
from gateway.directory import demo_office
from gateway.directory.live import LiveDirectory
from gateway.domain.address import Address
from gateway.domain.clock import FakeClock
from gateway.domain.states import Way
from gateway.domain.submission import Accepted, ClientInfo, EnvelopeRecipient, Submission
from gateway.evidence.keys import certify, evidence_key, keep_certificate
from gateway.evidence.log import Log
from gateway.evidence.notary import Notary
from gateway.evidence.record import Actor
from gateway.exchange.documents import find_delivery, show_document
from gateway.exchange.exchange import Exchange, Judges
from gateway.exchange.gestures import Gestures
from gateway.exchange.hooks import Delivered
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.means import Means
from gateway.exchange.outbox import Kind
from gateway.exchange.sign_for import Signed, sign_for
from gateway.exchange.tables import documents, outbox, refusals
from gateway.policy.engine import Policy
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.policy.signing import LiveSigning
from gateway.seals.live import LiveSeals
from gateway.seals.signer import FakeSigner
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.templating import Templates
from tests.schema import all_tables

DOMAIN = "heping.test"
ROOM = 1_000_000  # octets of a mailbox
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@cache
def _templates() -> Templates:
    return Templates(resources.folder("templates"))


@cache
def _policy() -> Policy:
    return Policy.load(None)


def make_database(url: str) -> None:
    """A database with the demo directory in it, to be copied."""
    database = Database(url, readers=1)
    all_tables().create_all(database.engine)
    database.write_now(lambda c: demo_office.populate(c, DOMAIN, {}, "test", NOW))
    database.stop()


class Recorder:
    """A ladder that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Delivered] = []
        self.ended: list[int] = []

    def delivered(self, _connection: Any, deliveries: Any, _directory: Any, _now: Any) -> None:
        self.told += deliveries

    def settled(self, _connection: Any, delivery_ids: Any, _now: Any) -> None:
        self.ended += delivery_ids


@dataclass(frozen=True)
class Mail:
    """One message in a mailbox."""

    folder: str
    flags: tuple[str, ...]
    octets: bytes
    kind: str

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.octets, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        """What a person reads."""
        for part in self.message.walk():
            if part.get_content_type() == "text/plain":
                return str(part.get_content())
        return ""


@dataclass
class House:
    """Everything behind the doors."""

    folder: Path
    url: str  # of a database as `make_database` makes it
    disabled_checks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = config.Policy(disabled_checks=self.disabled_checks)
        self.clock = FakeClock(NOW)
        self.database = Database(self.url, readers=2)
        self.blobs = FileBlobs(self.folder / "blobs")
        self.mailboxes = open_mailboxes(self.blobs)
        self.directory = LiveDirectory(self.database, DOMAIN)
        self.ladder = Recorder()
        self.inspector = Inspector(settings, config.Seals(), f"mail.{DOMAIN}")
        key = evidence_key(Ed25519PrivateKey.generate())
        signer = FakeSigner()
        word = certify(key, office=DOMAIN, now=NOW, signer=signer)
        self.database.write_now(lambda c: keep_certificate(c, word))
        self.means = Means(
            mailboxes=self.mailboxes,
            notary=Notary(key, DOMAIN),
            ladder=self.ladder,
            host=f"mail.{DOMAIN}",
            addresses=action_addresses(key, DOMAIN),
            signing=LiveSigning(),
            summary_minutes=10,
            deadline_minutes={"extra": 60, "urgent": 240, "normal": 4320},
        )
        # What an IMAP server works with: the store that tells the office of gestures.
        self.shelves = open_mailboxes(self.blobs, Gestures(self.means, self.directory))
        self.exchange = Exchange(
            database=self.database,
            blobs=self.blobs,
            directory=self.directory,
            seals=LiveSeals(self.database),
            judges=Judges(_policy(), settings, self.inspector, Rates(), None, None),
            means=self.means,
            clock=self.clock,
            committed=lambda: None,
        )
        self.bureau = Bureau(
            database=self.database,
            blobs=self.blobs,
            mailboxes=self.mailboxes,
            directory=self.directory,
            templates=_templates(),
            signer=signer,
            clock=self.clock,
            domain=DOMAIN,
            host=f"mail.{DOMAIN}",
            name="和平区政府电子邮局",
            name_en="Heping District Post Office",
            style="brief",
            security_officer=demo_office.SECURITY_OFFICER,
            warn=lambda language, code: f"{code} ({language})",
        )
        self.worker = OutboxWorker(
            self.database,
            {
                Kind.RECEIPT: Receipts(self.bureau).handle,
                Kind.SUMMARY: Summaries(self.bureau).handle,
                Kind.ALERT: Alerts(self.bureau).handle,
                Kind.ANSWER: Answers(self.bureau).handle,
                Kind.FULLNESS: FullnessLetters(self.bureau, ROOM).handle,
            },
            self.clock,
        )
        evidence = Log(key, DOMAIN)
        self.sealer = Sealer(
            self.database, evidence, self.clock, lambda _records: self.worker.wake()
        )
        self.database.start()

    async def close(self) -> None:
        await self.inspector.close()
        self.exchange.close()
        self.database.stop()

    def submission(
        self, login: str, octets: bytes, *recipients: str, sender: str = "", **more: Any
    ) -> Submission:
        """What a door would hand over. A recipient is a local part, or one with its NOTIFY words
        behind a blank: `water NEVER`.
        """
        account = self.directory.now().account(login)
        assert account is not None
        content = Spool(self.folder, 65_536)
        content.write(octets)
        content.finish()
        values: dict[str, Any] = {
            "account_id": account.id,
            "sender": Address.parse(sender or str(account.address)),
            "recipients": tuple(_recipient(one) for one in recipients),
            "content": content,
            "client": ClientInfo("192.0.2.7", "pc-7", "TLSv1.3", "password"),
            "received_at": self.clock.now(),
        }
        return Submission(**values | more)

    async def submit(self, login: str, octets: bytes, *recipients: str, **more: Any) -> Accepted:
        """Offer it to the exchange. Raises what the exchange raises."""
        return await self.exchange.accept(self.submission(login, octets, *recipients, **more))

    async def accept(self, login: str, octets: bytes, *recipients: str, **more: Any) -> str:
        """The id of what was taken."""
        return (await self.submit(login, octets, *recipients, **more)).document_id

    def document(self, document_id: str) -> dict[str, Any]:
        directory = self.directory.now()
        found = self.database.read_now(lambda c: show_document(c, document_id, directory))
        assert found is not None
        return found

    def events(self, document_id: str) -> list[tuple[str, str]]:
        """Event and local part of the recipient, in order."""
        return [
            (one["event"], one["recipient"].partition("@")[0])
            for one in self.document(document_id)["evidence"]
        ]

    def documents(self) -> list[str]:
        query = select(documents.c.id).order_by(documents.c.id)
        return self.database.read_now(lambda c: list(c.scalars(query)))

    def refusals(self) -> list[str]:
        query = select(refusals.c.id).order_by(refusals.c.id)
        return self.database.read_now(lambda c: list(c.scalars(query)))

    def kept(self) -> list[str]:
        """Names of all files of the blobs."""
        return sorted(path.name for path in (self.folder / "blobs").rglob("*") if path.is_file())

    def pieces(self, kind: str = "") -> list[Any]:
        """What lies in the outbox."""
        query = select(outbox).order_by(outbox.c.id)
        rows = self.database.read_now(lambda c: list(c.execute(query)))
        return [row for row in rows if not kind or row.kind == kind]

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(row.payload) for row in self.pieces()]

    def mail(self, owner: str, kind: str = "") -> list[Mail]:
        """What lies in a mailbox, folder by folder."""

        def read(connection: Any) -> list[Mail]:
            store = self.mailboxes
            if owner not in store.owners(connection):
                return []
            return [
                Mail(
                    folder.name,
                    tuple(row.flags),
                    b"".join(store.pieces(connection, row.id)),
                    row.kind,
                )
                for folder in store.folders(connection, owner)
                for row in store.messages(connection, folder.id)
                if not kind or row.kind == kind
            ]

        return self.database.read_now(read)

    async def work(self, minutes: float = 0) -> None:
        """Seal what waits and empty the outbox of what is due, that many minutes later."""
        self.clock.advance(minutes * 60)
        await self.sealer.turn()
        while await self.worker.turn():
            pass

    async def sign(self, document_id: str, unit: str, name: str = "王伟") -> Signed:
        now = self.clock.now()
        actor = Actor(account="operator:test", unit=unit, name=name, login="operator")

        def work(connection: Any) -> Signed:
            delivery = find_delivery(connection, document_id, f"unit:{unit}")
            assert delivery is not None
            return sign_for(
                connection, self.means, delivery, actor=actor, way=Way.OPERATOR, now=now
            )

        return await self.database.write(work)

    def change(self, verb: Any, **values: Any) -> None:
        """Change the directory."""
        now = self.clock.now()
        self.database.write_now(lambda c: verb(c, actor="test", now=now, **values))

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())


def _recipient(text: str) -> EnvelopeRecipient:
    local, _, notify = text.partition(" ")
    address = Address.parse(local if "@" in local else f"{local}@{DOMAIN}")
    return EnvelopeRecipient(address, frozenset(_words(notify)), f"rfc822;{address}")


def _words(notify: str) -> Iterable[str]:
    return (word for word in notify.split(",") if word)
