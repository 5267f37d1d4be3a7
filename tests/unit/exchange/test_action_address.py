"""Action addresses: made once for a document, good until their day, worth nothing when changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.address import Address, InvalidAddress
from gateway.domain.ids import new_id
from gateway.evidence.keys import evidence_key
from gateway.exchange.action_address import ActionAddresses, NoSuchAction

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
DOCUMENT = new_id(1_772_424_000_000, b"0123456789")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SECRET = evidence_key(KEY).derive("action addresses")
OURS = ActionAddresses(SECRET, "heping.test")
YEAR = timedelta(days=366)
MADE = OURS.make(DOCUMENT, NOW, YEAR)


def test_the_form_is_frozen() -> None:
    """Other nodes, later versions and restored offices read what is in mailboxes already."""
    made = OURS.make(DOCUMENT, NOW, YEAR)
    assert made == f"act+{DOCUMENT}.20880.zxwpfs54oi3cfoxnpq5kmvl25q@heping.test"
    assert evidence_key(KEY).derive("another purpose") != SECRET
    assert len(SECRET) == 32


def test_it_names_its_document_until_the_end_of_its_day() -> None:
    address = Address.parse(MADE)
    assert OURS.names(address)
    assert OURS.read(address, NOW) == DOCUMENT
    last = datetime(2027, 3, 3, 23, 59, 59, tzinfo=UTC)
    assert OURS.read(address, last) == DOCUMENT
    with pytest.raises(NoSuchAction, match="expired"):
        OURS.read(address, last + timedelta(seconds=1))


def test_it_is_a_local_part_that_every_program_takes() -> None:
    local = MADE.partition("@")[0]
    assert len(local) <= 64
    assert local == local.lower() and local.isascii()
    assert OURS.read(Address.parse(MADE.upper()), NOW) == DOCUMENT


@pytest.mark.parametrize(
    "other",
    [
        ActionAddresses(bytes(32), "heping.test"),  # another office's key
        ActionAddresses(SECRET, "other.test"),
    ],
)
def test_what_another_office_has_made_is_worth_nothing_here(other: ActionAddresses) -> None:
    made = other.make(DOCUMENT, NOW, YEAR).partition("@")[0]
    with pytest.raises(NoSuchAction, match="forged"):
        OURS.read(Address.parse(f"{made}@heping.test"), NOW)


def test_what_is_no_action_address_is_not_one() -> None:
    assert not OURS.names(Address.parse("water@heping.test"))
    assert not OURS.names(Address.parse(MADE.replace("heping", "other")))


@given(st.data())
def test_no_changed_letter_makes_another_good_one(data: st.DataObject) -> None:
    local = MADE.partition("@")[0]
    place = data.draw(st.integers(4, len(local) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789.+_"))
    changed = local[:place] + letter + local[place + 1 :]
    if changed == local:
        return
    try:
        address = Address.parse(f"{changed}@heping.test")
    except InvalidAddress:
        return
    with pytest.raises(NoSuchAction):
        OURS.read(address, NOW)
