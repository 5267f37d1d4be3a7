"""The pure values of the domain: ids, addresses, times, states, events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.address import Address, InvalidAddress
from gateway.domain.clock import FakeClock, SystemClock, milliseconds, moment, rfc3339
from gateway.domain.document import DeliveryState, MessageClass
from gateway.domain.event import ETSI_EVENT_URI, OWN_EVENT_URI, Event
from gateway.domain.ids import is_id, new_id, time_of
from gateway.domain.states import TRANSITIONS, Act, NotAllowed, after

MILLISECONDS = st.integers(0, 253_402_300_799_999)  # until the year 9999
RANDOM = st.binary(min_size=10, max_size=10)


@given(MILLISECONDS, RANDOM)
def test_an_id_carries_its_time(value: int, randomness: bytes) -> None:
    made = new_id(value, randomness)
    assert is_id(made)
    assert len(made) == 26
    assert milliseconds(time_of(made)) == value


@given(MILLISECONDS, MILLISECONDS, RANDOM, RANDOM)
def test_ids_sort_by_time_whatever_the_randomness(
    first: int, second: int, one: bytes, other: bytes
) -> None:
    earlier, later = sorted((first, second))
    if earlier < later:
        assert new_id(earlier, one) < new_id(later, other)


@given(MILLISECONDS, RANDOM)
def test_an_id_is_a_version_7_uuid(value: int, randomness: bytes) -> None:
    number = 0
    for letter in new_id(value, randomness):
        number = number << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(letter)
    found = UUID(int=number)
    assert (found.version, found.variant) == (7, "specified in RFC 4122")
    assert found.int >> 80 == value


@given(MILLISECONDS, RANDOM, RANDOM)
def test_ids_of_one_moment_differ_by_their_randomness(value: int, one: bytes, other: bytes) -> None:
    # 74 of the 80 bits count: six give way to version and variant.
    kept = [int.from_bytes(r, "big") & ((0x0FFF << 64) | ((1 << 62) - 1)) for r in (one, other)]
    assert (new_id(value, one) == new_id(value, other)) == (kept[0] == kept[1])


@pytest.mark.parametrize(
    "text",
    ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "i", "0" * 25 + "U", "0" * 25 + "\n",
     "０" * 26, "../" + "0" * 23],
)  # fmt: skip
def test_what_is_no_id_is_told_apart(text: str) -> None:
    assert not is_id(text)
    with pytest.raises(ValueError, match="not an id"):
        time_of(text)


@pytest.mark.parametrize(("value", "size"), [(-1, 10), (1 << 48, 10), (0, 9), (0, 11)])
def test_an_id_needs_a_time_and_ten_octets(value: int, size: int) -> None:
    with pytest.raises(ValueError, match="10 octets"):
        new_id(value, bytes(size))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("water@heping.test", "water@heping.test"),
        (" Water@HePing.Test ", "water@heping.test"),
        ("wang.wei+x@heping.test", "wang.wei+x@heping.test"),
        ("水务局@和平.test", "水务局@和平.test"),
        ("water@localhost", "water@localhost"),
        ("o'neil#1@a-b.c9", "o'neil#1@a-b.c9"),
    ],
)
def test_addresses_are_folded_and_kept(text: str, address: str) -> None:
    assert str(Address.parse(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "water", "water@", "@heping.test", "a@b@c", "<water@heping.test>",
        '"a b"@heping.test', "a b@heping.test", "a\n@heping.test", "a\r\nb@heping.test",
        "a\x00@heping.test", "a..b@heping.test", ".a@heping.test", "a.@heping.test",
        "@relay.test:a@heping.test", "a@[127.0.0.1]", "a@-b.test", "a@b-.test", "a@b..test",
        "a@b.test.", "a;b@heping.test", "a,b@heping.test", "a\u2028b@heping.test",
        "x" * 65 + "@heping.test", "a@" + "b" * 64 + ".test", "a@" + ".".join(["b" * 50] * 6),
        "水" * 22 + "@heping.test",
    ],
)  # fmt: skip
def test_what_no_unit_can_have_is_no_address(text: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(text)


@given(st.text())
@example("ß" * 40 + "@ß.test")
@example("a@\u0130.test")
@example("\u01f0@b.test")
def test_an_address_that_was_read_can_be_read_again(text: str) -> None:
    try:
        address = Address.parse(text)
    except InvalidAddress:
        return
    assert Address.parse(str(address)) == address
    assert not {" ", "\r", "\n", "\x00", "<", ">", ","} & set(str(address))


@given(st.text(), st.text())
def test_every_text_is_an_address_or_says_what_is_wrong(local: str, domain: str) -> None:
    try:
        Address.parse(f"{local}@{domain}")
    except InvalidAddress as error:
        assert str(error)


@given(MILLISECONDS)
def test_stored_times_come_back_to_the_millisecond(value: int) -> None:
    assert milliseconds(moment(value)) == value
    assert moment(value).tzinfo is UTC


def test_times_are_written_in_utc_with_milliseconds() -> None:
    shanghai = timezone(timedelta(hours=8))
    when = datetime(2026, 11, 21, 1, 2, 3, 4567, tzinfo=shanghai)
    assert rfc3339(when) == "2026-11-20T17:02:03.004Z"
    assert rfc3339(moment(0)) == "1970-01-01T00:00:00.000Z"


async def test_a_fake_clock_moves_only_when_somebody_sleeps() -> None:
    clock = FakeClock(moment(0))
    assert clock.now() == clock.now() == moment(0)
    await clock.sleep(1.5)
    clock.advance(1)
    assert clock.now() == moment(2500)


async def test_the_systems_clock_knows_its_zone() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.001)
    assert before.tzinfo is UTC
    assert clock.now() > before


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("act", Act)
def test_an_act_is_possible_exactly_where_the_table_says(state: DeliveryState, act: Act) -> None:
    if (state, act) in TRANSITIONS:
        assert after(state, act) is TRANSITIONS[state, act]
    else:
        with pytest.raises(NotAllowed, match=f"{act.value}.*{state.value}"):
            after(state, act)


def test_only_what_waits_can_be_signed_for_and_what_is_signed_can_still_be_returned() -> None:
    assert TRANSITIONS == {
        (DeliveryState.CONSIGNED, Act.SIGN_FOR): DeliveryState.SIGNED,
        (DeliveryState.CONSIGNED, Act.RETURN): DeliveryState.RETURNED,
        (DeliveryState.SIGNED, Act.RETURN): DeliveryState.RETURNED,
    }


def test_plain_mail_alone_is_not_signed_for() -> None:
    assert [one for one in MessageClass if not one.signed_for] == [MessageClass.MAIL]


def test_every_event_has_its_full_name() -> None:
    assert Event.CONSIGNMENT_ACCEPTANCE.uri == ETSI_EVENT_URI + "ConsignmentAcceptance"
    assert Event.SEAL_USED.uri == OWN_EVENT_URI + "SealUsed"
    assert len({event.uri for event in Event}) == len(Event)


def test_what_went_wrong_is_negative_evidence_and_nothing_else() -> None:
    negative = {event for event in Event if event.negative}
    assert negative == {
        event for event in Event if event.value.endswith(("Rejection", "Failure", "Expiry"))
    }
