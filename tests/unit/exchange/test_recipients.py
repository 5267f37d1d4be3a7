"""From the envelope to mailbox owners: groups expanded, each owner once, nobody lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.contents import Contents
from gateway.directory.model import (
    Account,
    AccountKind,
    Desk,
    Group,
    Level,
    Membership,
    Role,
    Unit,
    UnitClass,
)  # fmt: skip
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.submission import EnvelopeRecipient
from gateway.exchange.recipients import Addressee, expand, fingerprint

DOMAIN = "heping.test"


def address(name: str) -> Address:
    return Address(name, DOMAIN)


def unit(number: int, code: str, **more: object) -> Unit:
    return Unit(
        number, code, code, code, Level.DISTRICT, UnitClass.BUREAU, address(code), **more,
    )  # type: ignore[arg-type]  # fmt: skip


WANG = Account(
    1, "wang", address("wang"), "王伟", AccountKind.PERSONAL,
    (Membership(1, frozenset({Role.OPERATOR})),),
)  # fmt: skip

DIRECTORY = Directory(
    DOMAIN,
    Contents(
        version=1,
        units=(
            unit(1, "water"),
            unit(2, "finance"),
            unit(3, "education"),
            unit(4, "science", active=False, successor_id=3),
            unit(5, "closed", active=False),
        ),
        accounts=(WANG,),
        groups=(
            Group(1, "all", address("all"), "全体", (1, 2, 3, 4, 5)),
            Group(2, "some", address("some"), "部分", (1, 3)),
            Group(3, "empty", address("empty"), "空", ()),
            Group(4, "past", address("past"), "旧", (5,)),
        ),
        desks=(Desk(1, "report", "信息报送", 2),),
    ),
)


def envelope(*names: str) -> list[EnvelopeRecipient]:
    return [EnvelopeRecipient(address(name)) for name in names]


def keys(found: list[Addressee]) -> list[str]:
    return [one.owner.key if one.owner else f"gone {one.address.local}" for one in found]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["water"], ["unit:water"]),
        (["wang", "report"], ["person:wang", "desk:report"]),
        (["postmaster"], ["person:wang"]),
        (["all"], ["unit:water", "unit:finance", "unit:education"]),
        (["some", "all"], ["unit:water", "unit:education", "unit:finance"]),
        (["science"], ["unit:education"]),
        (["science", "education"], ["unit:education"]),
        (["closed"], ["gone closed"]),
        (["nobody", "water"], ["gone nobody", "unit:water"]),
        (["empty"], ["gone empty"]),
        (["past"], ["gone past"]),
    ],
)
def test_an_envelope_becomes_owners(names: list[str], expected: list[str]) -> None:
    assert keys(expand(envelope(*names), DIRECTORY, ())) == expected


def test_who_is_named_by_itself_and_by_a_group_gets_it_under_its_own_name() -> None:
    for names in (("all", "finance"), ("finance", "all")):
        found = {one.address.local: one for one in expand(envelope(*names), DIRECTORY, ())}
        assert found["finance"].via == address("finance")
        assert found["water"].via == address("all")


def test_the_wishes_of_the_envelope_hold_for_all_that_it_stands_for() -> None:
    named = [
        EnvelopeRecipient(address("all"), frozenset({"NEVER"})),
        EnvelopeRecipient(address("water"), frozenset({"SUCCESS"})),
    ]
    found = {one.address.local: one.notify for one in expand(named, DIRECTORY, ())}
    assert found == {"water": {"SUCCESS"}, "finance": {"NEVER"}, "education": {"NEVER"}}


def test_a_copy_makes_every_member_of_its_group_a_copy() -> None:
    found = expand(envelope("water", "all"), DIRECTORY, {"all@heping.test"})
    assert {one.address.local: one.role for one in found} == {
        "water": "to", "finance": "cc", "education": "cc",
    }  # fmt: skip


NAMES = ["water", "finance", "education", "science", "closed", "all", "some", "empty", "wang", "no"]


@given(st.lists(st.sampled_from(NAMES), min_size=1))
def test_nobody_gets_it_twice_and_no_name_is_lost(names: list[str]) -> None:
    found = expand(envelope(*dict.fromkeys(names)), DIRECTORY, ())
    assert len(keys(found)) == len(set(keys(found)))
    reached = set(keys(found))
    for name in names:
        target = DIRECTORY.resolve(address(name))
        if target is None or not target.owners:
            assert f"gone {name}" in reached
        else:
            assert {owner.key for owner in target.owners} <= reached


@given(st.lists(st.sampled_from(NAMES), min_size=1), st.randoms())
def test_the_same_recipients_in_any_order_have_one_fingerprint(
    names: list[str], order: object
) -> None:
    shuffled = [*names, names[0]]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fingerprint(envelope(*names)) == fingerprint(envelope(*shuffled))


def test_other_recipients_have_another_fingerprint() -> None:
    assert fingerprint(envelope("water")) != fingerprint(envelope("finance"))
    assert fingerprint(envelope("water")) != fingerprint(envelope("water", "finance"))
