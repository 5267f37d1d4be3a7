"""What the tests of evidence share: a real database, real keys, a fixed moment, a made case."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.event import Event, Reason
from gateway.evidence.checkpoint import Checkpoint
from gateway.evidence.keys import (
    EvidenceKey,
    KeyCertificate,
    certificates,
    certify,
    create_evidence_key,
    keep_certificate,
)
from gateway.evidence.log import Log, Proof, inclusion_proofs, newest
from gateway.evidence.notary import Notary, records_of
from gateway.evidence.receipt import ReceiptFacts, RecipientFacts, render_receipt
from gateway.evidence.record import Actor, ContentDigest, ContentPart, Record, Statement
from gateway.resources import folder
from gateway.seals.signer import FakeSigner
from gateway.store.database import Database
from gateway.templating import Templates
from tests.databases import Databases, opened

NOW = datetime(2026, 3, 9, 8, 30, 0, 123000, UTC)
DOCUMENT = "01h2xcejqtf2nbrexx3vqjhp41"
OFFICE = "heping.test"
ORIGINAL = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    made = opened(databases)
    yield made
    made.stop()


@pytest.fixture
def key(tmp_path: Path) -> EvidenceKey:
    return create_evidence_key(tmp_path)


@pytest.fixture(scope="session")
def signer() -> FakeSigner:
    return FakeSigner("Heping <postmaster@heping.test>")


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates(folder("templates"))


@dataclass(frozen=True, slots=True)
class Made:
    """Records that were made, sealed and are ready for a receipt."""

    records: list[Record]
    proofs: list[Proof]
    checkpoint: Checkpoint
    certificates: list[KeyCertificate]
    facts: ReceiptFacts
    signer: FakeSigner
    templates: Templates

    def render(
        self, style: str = "brief", language: str = "zh-CN", original: bytes = ORIGINAL
    ) -> bytes:
        return render_receipt(
            self.facts,
            self.records,
            self.proofs,
            self.checkpoint,
            style=style,
            language=language,
            signer=self.signer,
            original=lambda: original,
            templates=self.templates,
            certificates=self.certificates,
        )


class Maker:
    """Makes records in a real database and all that a receipt needs."""

    def __init__(
        self, database: Database, key: EvidenceKey, signer: FakeSigner, templates: Templates
    ) -> None:
        self.database = database
        self.key = key
        self.signer = signer
        self.templates = templates

    def make(self, statements: list[Statement]) -> Made:
        database, key = self.database, self.key
        certificate = certify(key, office=OFFICE, now=NOW, signer=self.signer)
        database.write_now(lambda c: keep_certificate(c, certificate))
        database.write_now(lambda c: Notary(key, OFFICE).record(c, DOCUMENT, statements, NOW))
        database.write_now(lambda c: Log(key, OFFICE).seal(c, NOW))
        records = database.read_now(lambda c: records_of(c, DOCUMENT))[-len(statements) :]
        checkpoint = database.read_now(newest)
        assert checkpoint is not None
        ids = [record.id for record in records]
        facts = ReceiptFacts(
            receipt_id="01h2xcejqtf2nbrexx3vqjhp55",
            document_id=DOCUMENT,
            office="和平区电子邮局",
            domain=OFFICE,
            host="mail.heping.test",
            to="office@heping.test",
            now=NOW,
            message_id="<notice-5@heping.test>",
            title="关于做好防汛工作的通知",
            number="和政办发〔2026〕5号",
            sender_name="区政府办",
            envid="QQ+314",
            recipients=(
                RecipientFacts("water@heping.test", "水务局", "rfc822;all@heping.test"),
                RecipientFacts("finance@heping.test", "财政局"),
            ),
        )
        return Made(
            records,
            database.read_now(lambda c: inclusion_proofs(c, ids)),
            checkpoint,
            database.read_now(lambda c: certificates(c, {record.key_id for record in records})),
            facts,
            self.signer,
            self.templates,
        )


@pytest.fixture
def maker(database: Database, key: EvidenceKey, signer: FakeSigner, templates: Templates) -> Maker:
    return Maker(database, key, signer, templates)


def accepted_statements(units: list[str]) -> list[Statement]:
    accepted = Statement(
        event=Event.SUBMISSION_ACCEPTANCE,
        at=NOW,
        sender="office@heping.test",
        submission_time=NOW,
        content=ContentDigest(
            hashlib.sha256(ORIGINAL).hexdigest(),
            len(ORIGINAL),
            (ContentPart("1", "text/plain", 6, "cd" * 32),),
        ),
        number="和政办发〔2026〕5号",
        message_id="<notice-5@heping.test>",
        actor=Actor("office", "office", "王芳", "password", "10.1.2.3"),
    )
    consigned = replace(
        accepted,
        event=Event.CONTENT_CONSIGNMENT,
        content=replace(accepted.content, parts=()),  # type: ignore[type-var]
        actor=None,
    )
    return [accepted, *(replace(consigned, recipient=f"{unit}@heping.test") for unit in units)]


def refused_statement(reason: Reason) -> Statement:
    accepted = accepted_statements([])[0]
    return replace(
        accepted,
        event=Event.SUBMISSION_REJECTION,
        recipient="water@heping.test",
        reasons=((reason, "body"),),
        number="",
    )


@pytest.fixture
def accepted(maker: Maker) -> Made:
    """A notice to two units, accepted and delivered."""
    return maker.make(accepted_statements(["water", "finance"]))
