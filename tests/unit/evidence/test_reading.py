"""A record is read strictly: one meaning, one form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.event import Event
from gateway.evidence.reading import InvalidRecord, read_record
from gateway.evidence.record import canonical, freeze

from .conftest import DOCUMENT, NOW, accepted_statements


def octets() -> bytes:
    return freeze(
        accepted_statements([])[0],
        record_id="01h2xcejqtf2nbrexx3vqjhp42",
        document_id=DOCUMENT,
        sequence=2,
        previous="ab" * 32,
        office="heping.test",
        key_id="0f" * 16,
    )


def test_what_was_frozen_is_read_back() -> None:
    reading = read_record(octets())
    assert reading.event is Event.SUBMISSION_ACCEPTANCE
    assert reading.at == reading.submitted == NOW
    assert (reading.sequence, reading.previous) == (2, "ab" * 32)
    assert reading.actor_name == "王芳"
    assert reading.content is not None
    assert reading.content["parts"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("version", 2),
        ("version", True),
        ("more", 1),
        ("sequence", 1),
        ("sequence", 0),
        ("sequence", "2"),
        ("sequence", True),
        ("previous", ""),
        ("previous", "AB" * 32),
        ("event", "Invented"),
        ("event", "SubmissionRejection"),  # negative, and no reason
        ("time", "2026-03-09T08:30:00Z"),
        ("time", "2026-13-09T08:30:00.000Z"),
        ("time", "2026-03-09T16:30:00.000+08:00"),
        ("submitted", 3),
        ("issuer", {"office": "x"}),
        ("actor", {}),
        ("actor", []),
        ("content", {"algorithm": "md5", "digest": "", "size": 1, "parts": []}),
        ("content", 1),
        ("reasons", [1]),
        ("reasons", {}),
        ("recipient", None),
    ],
)
def test_another_form_is_not_a_record(member: str, value: Any) -> None:
    changed = {**json.loads(octets()), member: value}
    with pytest.raises(InvalidRecord):
        read_record(canonical(changed))


def test_the_same_meaning_in_other_octets_is_not_a_record() -> None:
    value = json.loads(octets())
    for other in (
        json.dumps(value).encode(),
        octets() + b"\n",
        octets().replace(b'"version":1', b'"version":1.0'),
        octets().replace(b'{"actor"', b'{"version":1,"actor"'),
    ):
        with pytest.raises(InvalidRecord):
            read_record(other)


@given(st.binary(max_size=60))
def test_rubbish_is_not_a_record(rubbish: bytes) -> None:
    with pytest.raises(InvalidRecord):
        read_record(rubbish)
