"""The log: the same tree as RFC 6962 defines, whatever the steps in which it was sealed."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import exc

from gateway.domain.event import Event
from gateway.evidence import log as evidence_log
from gateway.evidence import tree
from gateway.evidence.checkpoint import (
    InvalidNote,
    origin,
    read_note,
    signed_by,
    verifier_key,
)
from gateway.evidence.keys import EvidenceKey, create_evidence_key
from gateway.evidence.log import Log, inclusion_proof, inclusion_proofs, newest, verify_inclusion
from gateway.evidence.notary import Notary, records_of
from gateway.evidence.record import Record, Statement
from gateway.store.database import Database

NOW = datetime(2026, 3, 9, 8, 30, 0, 123000, UTC)
DOCUMENT = "01h2xcejqtf2nbrexx3vqjhp41"


def naive_root(entries: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    both = naive_root(entries[:k]) + naive_root(entries[k:])
    return hashlib.sha256(b"\x01" + both).digest()


def naive_path(m: int, entries: list[bytes]) -> list[bytes]:
    """RFC 6962 §2.1.1, word for word."""
    if len(entries) == 1:
        return []
    k = 1
    while k * 2 < len(entries):
        k *= 2
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


@given(st.lists(st.integers(0, 40), max_size=6), st.data())
@settings(max_examples=150, deadline=None)
def test_the_tree_is_the_one_of_rfc_6962_however_it_grows(
    batches: list[int], data: st.DataObject
) -> None:
    entries: list[bytes] = []
    nodes: dict[tree.Node, bytes] = {}
    for count in batches:
        new = [f"entry {len(entries) + i}".encode() for i in range(count)]
        made = tree.extend(len(entries), nodes, [tree.leaf_hash(entry) for entry in new])
        assert len(dict(made)) == len(made)
        assert not nodes.keys() & dict(made).keys()
        nodes.update(made)
        entries += new
        assert tree.root(len(entries), nodes) == naive_root(entries)
    if not entries:
        return
    index = data.draw(st.integers(0, len(entries) - 1))
    ranges = tree.audit_ranges(index, len(entries))
    path = [tree.range_hash(start, end, nodes) for start, end in ranges]
    assert path == naive_path(index, entries)
    leaf = tree.leaf_hash(entries[index])
    assert tree.proved_root(leaf, index, len(entries), path) == naive_root(entries)


@given(st.integers(1, 70), st.data())
@settings(max_examples=150, deadline=None)
def test_a_proof_of_another_entry_place_or_length_proves_nothing(
    size: int, data: st.DataObject
) -> None:
    entries = [f"entry {i}".encode() for i in range(size)]
    root = naive_root(entries)
    index = data.draw(st.integers(0, size - 1))
    path = naive_path(index, entries)
    leaf = tree.leaf_hash(entries[index])
    assert tree.proved_root(tree.leaf_hash(b"forged"), index, size, path) != root
    assert tree.proved_root(leaf, index, size, [*path, b"\0" * 32]) != root
    assert tree.proved_root(leaf, size, size, path) is None
    if path:
        assert tree.proved_root(leaf, index, size, path[:-1]) != root
        other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
        assert tree.proved_root(leaf, other, size, path) != root


def make(database: Database, key: EvidenceKey, count: int) -> None:
    statements = [
        Statement(Event.CONTENT_CONSIGNMENT, NOW, recipient=f"u{i}@heping.test")
        for i in range(count)
    ]
    database.write_now(lambda c: Notary(key, "heping.test").record(c, DOCUMENT, statements, NOW))


def all_records(database: Database) -> list[Record]:
    return database.read_now(lambda c: records_of(c, DOCUMENT))


def test_sealing_in_steps_makes_the_naive_tree_and_every_record_can_be_proved(
    database: Database, key: EvidenceKey
) -> None:
    log = Log(key, "heping.test")
    assert database.write_now(lambda c: log.seal(c, NOW)) is None
    for count in (1, 2, 5, 700, 3):
        make(database, key, count)
        assert database.read_now(evidence_log.waiting) == count
        checkpoint = database.write_now(lambda c: log.seal(c, NOW))
        records = all_records(database)
        assert checkpoint is not None
        assert checkpoint.size == len(records)
        assert checkpoint.root == naive_root([record.octets for record in records])
        assert database.read_now(newest) == checkpoint
        assert database.read_now(evidence_log.waiting) == 0
        ids = [record.id for record in records]
        proofs = database.read_now(lambda c, ids=ids: inclusion_proofs(c, ids))  # type: ignore[misc]
        assert [proof.record_id for proof in proofs] == ids
        for record, proof in zip(records, proofs, strict=True):
            assert verify_inclusion(record.octets, proof, checkpoint.root)
            assert not verify_inclusion(record.octets + b" ", proof, checkpoint.root)


def test_more_than_the_limit_is_sealed_in_order_by_several_checkpoints(
    database: Database, key: EvidenceKey
) -> None:
    log = Log(key, "heping.test")
    make(database, key, 10)
    sizes = []
    while checkpoint := database.write_now(lambda c: log.seal(c, NOW, limit=4)):
        sizes.append(checkpoint.size)
    assert sizes == [4, 8, 10]
    last = database.read_now(newest)
    assert last is not None
    assert last.root == naive_root([record.octets for record in all_records(database)])


def test_a_record_that_is_not_sealed_has_no_proof(database: Database, key: EvidenceKey) -> None:
    make(database, key, 1)
    first = all_records(database)[0].id
    assert database.read_now(lambda c: inclusion_proof(c, first)) is None
    database.write_now(lambda c: Log(key, "heping.test").seal(c, NOW))
    make(database, key, 1)
    second = all_records(database)[1].id
    assert database.read_now(lambda c: inclusion_proof(c, second)) is None
    assert database.read_now(lambda c: inclusion_proof(c, first)) is not None


def test_two_sealers_cannot_give_one_number_twice(database: Database, key: EvidenceKey) -> None:
    log = Log(key, "heping.test")
    make(database, key, 3)
    database.write_now(lambda c: log.seal(c, NOW))
    make(database, key, 2)
    with database.engine.connect() as c, pytest.raises(exc.IntegrityError):
        c.exec_driver_sql("DELETE FROM checkpoints")  # a sealer that did not see the other's
        log.seal(c, NOW)


def test_a_checkpoint_is_a_signed_note_that_others_can_read(
    database: Database, key: EvidenceKey
) -> None:
    make(database, key, 3)
    checkpoint = database.write_now(lambda c: Log(key, "heping.test").seal(c, NOW))
    assert checkpoint is not None
    name, key_hash, encoded = verifier_key("heping.test", key.public).split("+", 2)
    public = base64.b64decode(encoded)
    assert name == "heping.test/yizhan"
    assert public[:1] == b"\x01"
    text, _, signatures = checkpoint.note.partition("\n\n")
    assert text.split("\n") == [name, "3", base64.b64encode(checkpoint.root).decode()]
    dash, signer, signature = signatures.rstrip("\n").split(" ")
    assert (dash, signer) == ("—", name)
    octets = base64.b64decode(signature)
    assert octets[:4].hex() == key_hash
    verifier = Ed25519PublicKey.from_public_bytes(public[1:])
    verifier.verify(octets[4:], text.encode() + b"\n")
    with pytest.raises(InvalidSignature):
        verifier.verify(octets[4:], text.encode())


def test_a_note_counts_only_with_the_offices_signature(
    database: Database, key: EvidenceKey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    make(database, key, 3)
    checkpoint = database.write_now(lambda c: Log(key, "heping.test").seal(c, NOW))
    assert checkpoint is not None
    other = create_evidence_key(tmp_path_factory.mktemp("other"))
    assert signed_by(checkpoint.note, "heping.test", key.public)
    assert not signed_by(checkpoint.note, "heping.test", other.public)
    assert not signed_by(checkpoint.note, "other.test", key.public)
    assert not signed_by(checkpoint.note.replace("\n3\n", "\n4\n"), "heping.test", key.public)
    assert read_note(checkpoint.note).origin == origin("heping.test")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "a\n1\n",
        "a\nx\nAAAA\n\n",
        "a\n01\n" + "A" * 43 + "=\n\n",
        "a\n1\nAAAA\n\n",
        "a\n1\n!\n\n",
    ],
)
def test_a_broken_note_is_an_error_with_a_name(note: str) -> None:
    with pytest.raises(InvalidNote):
        read_note(note)
