"""docs/evidence.md is true: its example is the format, and its program verifies real receipts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.event import Event
from gateway.evidence import keys, tree
from gateway.evidence.checkpoint import sign_checkpoint, verifier_key
from gateway.evidence.opened import open_receipt
from gateway.evidence.reading import read_record
from gateway.evidence.record import (
    SIGNED_PREFIX,
    Actor,
    ContentDigest,
    Statement,
    canonical,
    digest,
    freeze,
)

from .conftest import Maker, accepted_statements

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_the_example_is_what_the_code_makes() -> None:
    key = keys.evidence_key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    statement = Statement(
        Event.CONSIGNMENT_ACCEPTANCE,
        datetime(2026, 3, 9, 8, 30, 0, 123000, UTC),
        recipient="water@heping.test",
        sender="office@heping.test",
        submission_time=datetime(2026, 3, 9, 8, 0, tzinfo=UTC),
        content=ContentDigest(hashlib.sha256(b"Subject: x\r\n\r\nbody\r\n").hexdigest(), 20),
        number="和政办发〔2026〕5号",
        message_id="<5@heping.test>",
        actor=Actor("water", "water", "李强", "password", "10.1.2.3"),
    )
    octets = freeze(
        statement,
        record_id="01h2xcejqtf2nbrexx3vqjhp42",
        document_id="01h2xcejqtf2nbrexx3vqjhp41",
        sequence=1,
        previous="",
        office="heping.test",
        key_id=key.id,
    )
    leaf = tree.leaf_hash(octets)
    assert f"```json\n{octets.decode()}\n```" in TEXT
    assert f"({len(octets)} octets" in TEXT
    for value in (
        key.public.hex(),
        key.id,
        digest(octets),
        key.sign(SIGNED_PREFIX + octets).hex(),
        leaf.hex(),
        verifier_key("heping.test", key.public),
    ):
        assert f"`{value}`" in TEXT
    assert sign_checkpoint(key, "heping.test", 1, leaf, statement.at).note in TEXT


def test_every_member_of_a_record_is_described() -> None:
    example = json.loads(TEXT.partition("```json\n")[2].partition("\n```")[0])
    assert read_record(canonical(example)).actor_name == "李强"
    for member in example:
        assert f"| `{member}` |" in TEXT
    for event in Event:
        assert f"`{event.value}`" in TEXT


def test_the_program_of_the_document_proves_a_receipt_and_notices_a_change(maker: Maker) -> None:
    maker.make(accepted_statements([f"u{i}" for i in range(9)]))
    made = maker.make(accepted_statements(["water", "finance"])[1:])
    files = open_receipt(made.render()).files
    program = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert program is not None
    names: dict[str, Any] = {}
    exec(program[1], names)  # noqa: S102  # the point of the test

    def ed25519(public: bytes, signature: bytes, octets: bytes) -> bool:
        return keys.verify(public, octets, signature)

    said = names["check"](files["records.json"], files["proof.json"], ed25519)
    assert [record["recipient"] for record in said] == ["water@heping.test", "finance@heping.test"]

    carried = json.loads(files["records.json"])
    record = json.loads(base64.b64decode(carried[0]["record"]))
    record["recipient"] = "other@heping.test"
    carried[0]["record"] = base64.b64encode(canonical(record)).decode()
    with pytest.raises(AssertionError):
        names["check"](json.dumps(carried), files["proof.json"], ed25519)
    proof = json.loads(files["proof.json"])
    proof["checkpoint"] = proof["checkpoint"].replace("\n12\n", "\n13\n")
    with pytest.raises(AssertionError):
        names["check"](files["records.json"], json.dumps(proof), ed25519)
