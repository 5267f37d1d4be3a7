"""The frozen record: canonical, complete, signed, linked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import exc, insert, select

from gateway.domain.event import Event, Reason
from gateway.evidence.keys import EvidenceKey
from gateway.evidence.notary import Notary, records_named, records_of
from gateway.evidence.record import (
    Actor,
    ContentDigest,
    ContentPart,
    Statement,
    canonical,
    freeze,
)
from gateway.evidence.tables import evidence_records, log_entries
from gateway.store.database import Database

NOW = datetime(2026, 3, 9, 8, 30, 0, 123000, UTC)
DOCUMENT = "01h2xcejqtf2nbrexx3vqjhp41"

FULL = Statement(
    event=Event.SUBMISSION_ACCEPTANCE,
    at=NOW,
    sender="office@heping.test",
    submission_time=NOW,
    content=ContentDigest("ab" * 32, 1234, (ContentPart("1", "text/plain", 17, "cd" * 32),)),
    number="和政办发〔2026〕5号",
    message_id="<a@heping.test>",
    actor=Actor("office", "office", "王芳", "password", "10.1.2.3"),
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | texts | st.integers(0, 2**53 - 1),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.sampled_from("abcdefghijk_")), inner, max_size=4)
    ),
)


@given(values)
def test_the_canonical_octets_are_those_of_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_the_octets_of_version_1_never_change() -> None:
    """The record of docs/evidence.md, byte by byte."""
    octets = freeze(
        FULL,
        record_id="01h2xcejqtf2nbrexx3vqjhp42",
        document_id=DOCUMENT,
        sequence=1,
        previous="",
        office="heping.test",
        key_id="0f" * 16,
    )
    assert (
        octets
        == (
            '{"actor":{"account":"office","address":"10.1.2.3","login":"password","name":"王芳",'
            '"unit":"office"},"application":{"message_id":"<a@heping.test>",'
            '"number":"和政办发〔2026〕5号"},"content":{"algorithm":"sha256","digest":"'
            + "ab" * 32
            + '","parts":[{"digest":"'
            + "cd" * 32
            + '","id":"1","size":17,"type":"text/plain"}],"size":1234},'
            '"document":"01h2xcejqtf2nbrexx3vqjhp41","event":"SubmissionAcceptance",'
            '"id":"01h2xcejqtf2nbrexx3vqjhp42","issuer":{"key":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",'
            '"office":"heping.test"},"previous":"","reasons":[],"recipient":"",'
            '"sender":"office@heping.test","sequence":1,"submitted":"2026-03-09T08:30:00.123Z",'
            '"time":"2026-03-09T08:30:00.123Z","version":1}'
        ).encode()
    )


def test_negative_evidence_without_a_reason_is_refused() -> None:
    bare = replace(FULL, event=Event.SUBMISSION_REJECTION)
    with pytest.raises(ValueError, match="needs a reason"):
        freeze(
            bare, record_id="a", document_id="b", sequence=1, previous="", office="o", key_id="k"
        )


def test_records_are_linked_across_transactions_and_signed(
    database: Database, key: EvidenceKey
) -> None:
    notary = Notary(key, "heping.test")
    deliveries = [
        Statement(Event.CONTENT_CONSIGNMENT, NOW, recipient=f"u{i}@heping.test") for i in range(3)
    ]
    first = database.write_now(lambda c: notary.record(c, DOCUMENT, [FULL, *deliveries], NOW))
    failure = Statement(
        Event.CONSIGNMENT_NOTIFICATION_FAILURE,
        NOW,
        recipient="u1@heping.test",
        reasons=((Reason.RECIPIENT_UNREACHABLE, "number not in service"),),
    )
    second = database.write_now(lambda c: notary.record(c, DOCUMENT, [failure], NOW))
    stored = database.read_now(lambda c: records_of(c, DOCUMENT))

    assert stored == first + second
    assert [record.sequence for record in stored] == [1, 2, 3, 4, 5]
    previous = ""
    public = Ed25519PublicKey.from_public_bytes(key.public)
    for record in stored:
        value = json.loads(record.octets)
        assert value["previous"] == previous
        assert value["sequence"] == record.sequence
        assert value["issuer"] == {"office": "heping.test", "key": key.id}
        previous = hashlib.sha256(record.octets).hexdigest()
        assert record.digest == previous
        public.verify(record.signature, b"yizhan-record-v1\n" + record.octets)
    assert json.loads(stored[4].octets)["reasons"] == [
        {"code": "RecipientUnreachable", "detail": "number not in service"}
    ]
    ids = [record.id for record in stored]
    assert database.read_now(lambda c: records_named(c, ids[::-1])) == stored


def test_each_document_has_its_own_chain(database: Database, key: EvidenceKey) -> None:
    notary = Notary(key, "heping.test")
    database.write_now(lambda c: notary.record(c, DOCUMENT, [FULL], NOW))
    other = database.write_now(
        lambda c: notary.record(c, "01h2xcejqtf2nbrexx3vqjhp99", [FULL], NOW)
    )
    assert other[0].sequence == 1
    assert json.loads(other[0].octets)["previous"] == ""


def test_a_sequence_number_cannot_be_given_twice(database: Database, key: EvidenceKey) -> None:
    notary = Notary(key, "heping.test")
    database.write_now(lambda c: notary.record(c, DOCUMENT, [FULL], NOW))
    row = database.read_now(lambda c: c.execute(select(evidence_records)).one())._asdict()
    row["id"] = "01h2xcejqtf2nbrexx3vqjhp77"
    with database.engine.connect() as c, pytest.raises(exc.IntegrityError):
        c.execute(insert(evidence_records).values(row))


def test_a_record_waits_for_the_sealer_from_its_own_transaction_on(
    database: Database, key: EvidenceKey
) -> None:
    notary = Notary(key, "heping.test")
    made = database.write_now(lambda c: notary.record(c, DOCUMENT, [FULL], NOW))
    rows = database.read_now(lambda c: c.execute(select(log_entries)).all())
    assert [tuple(row) for row in rows] == [(made[0].id, None)]


def test_no_statements_make_no_records(database: Database, key: EvidenceKey) -> None:
    assert database.write_now(lambda c: Notary(key, "o.test").record(c, DOCUMENT, [], NOW)) == []
