"""Whatever octets come, the scanner finds a structure, and the examiner facts that can be kept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.directory.contents import Contents
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.submission import ClientInfo, EnvelopeRecipient, Submission
from gateway.policy.archives import Budget
from gateway.policy.child import pack, unpack
from gateway.policy.collect import collect
from gateway.policy.engine import Policy
from gateway.policy.examine import examine
from gateway.policy.extract import extract
from gateway.policy.inspection import Inspection
from gateway.policy.rate import Rates
from gateway.policy.verdict import Outcome
from gateway.seals.book import SealBook
from mailboxes.encode import from_json, to_json
from mailboxes.imapdata import bodystructure, envelope
from mailboxes.scan import scan
from mailboxes.structure import Part
from mailboxes.view import restructure, view_of
from tests import realmail
from tests.fuzz.effort import effort
from tests.fuzz.mutations import MIME_PIECES, nearly
from tests.office import ROOT
from tests.unit.policy.conftest import ACCOUNTS, DOMAIN, GROUPS, NOW, UNITS, Octets

LARGEST = 20_000  # octets of a real mail that is changed; longer ones only take longer


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[bytes]:
    """Real mail, the strange and the broken among it."""
    found = [path.read_bytes() for path in realmail.files(shared_data)]
    return [realmail.on_the_wire(octets) for octets in found if len(octets) < LARGEST]


def _check_offsets(octets: bytes, part: Part, stop: int) -> None:
    """Every offset lies in the message and in order; a part lies in the part that has it."""
    assert 0 <= part.header_start <= part.body_start <= part.body_end <= stop
    last = part.header_start
    for field in part.fields:
        assert last <= field.start < field.end <= part.body_start
        last = field.end
    last = part.body_start
    for child in part.children:
        assert last <= child.header_start
        _check_offsets(octets, child, part.body_end)
        last = child.body_end


@effort(250)
@given(data=st.data())
def test_every_message_has_a_structure_whose_offsets_lie_in_it(
    real: list[bytes], data: st.DataObject
) -> None:
    octets = data.draw(nearly(real, MIME_PIECES) | st.binary(max_size=400))
    structure = scan(octets)
    _check_offsets(octets, structure, len(octets))
    kept = from_json(to_json(structure))
    assert to_json(kept) == to_json(structure)
    assert envelope(structure)
    assert bodystructure(structure)
    if structure.fields:
        view = view_of(structure, len(octets), b"X-Office: 1\r\n", lambda f: f.name == "To")
        shown = view.read(lambda: BytesIO(octets), 0, view.size)
        assert restructure(structure, view) == scan(shown), "what a reader gets is what was scanned"


def _steps(work: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's, that the work takes: its time, without a clock."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@effort(60)
@given(st.lists(st.sampled_from(MIME_PIECES), min_size=1, max_size=8).map(b"".join))
def test_what_is_repeated_costs_no_more_than_its_length(piece: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for begin in (b"", head):
        short = _steps(lambda begin=begin: scan(begin + piece * 40))
        long = _steps(lambda begin=begin: scan(begin + piece * 160))
        assert long <= 5 * short + 2_000


def _look(octets: bytes) -> Inspection:
    return examine(
        octets, unit_id=2, book=SealBook(()), at=NOW, clock_skew=900, opener=None,
        office_host="mail.heping.test", mt_priority=None,
        read_attachment=lambda name, kind, file: extract(
            name, kind, file, Budget(octets=2_000_000, member=1_000_000, members=200)
        ),
    )  # fmt: skip


DIRECTORY = Directory(DOMAIN, Contents(version=1, units=UNITS, accounts=ACCOUNTS, groups=GROUPS))
POLICY = Policy.load(ROOT / "policies")


@effort(120)
@given(data=st.data())
def test_every_message_has_facts_and_a_verdict(real: list[bytes], data: st.DataObject) -> None:
    octets = data.draw(nearly(real, MIME_PIECES))
    found = _look(octets)
    assert unpack(Inspection, pack(found)) == found, "so it comes out of a child"
    for text in found.texts:
        text.text.encode()  # what cannot be encoded cannot be kept
        assert "\0" not in text.text
    account, unit = ACCOUNTS[1], UNITS[1]
    submission = Submission(
        account.id, Address("water", DOMAIN), (EnvelopeRecipient(Address("finance", DOMAIN)),),
        Octets(octets), ClientInfo("127.0.0.1"), datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    facts = asyncio.run(
        collect(
            submission, found, DIRECTORY, account, unit, SealBook(()), config.Policy(), Rates(),
            None,
        )
    )  # fmt: skip
    verdict = POLICY.decide(facts)
    assert verdict.outcome in Outcome
