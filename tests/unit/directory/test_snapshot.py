"""Whom an address reaches, and who may write as whom."""

from __future__ import annotations

import pytest

from gateway.directory.edit import change_account, change_unit, merge_units
from gateway.directory.model import OwnerKind, Post, Role
from gateway.directory.snapshot import Contents, Directory
from gateway.domain.address import Address
from gateway.store.database import Database

from .conftest import DOMAIN, read, write


def at(local: str) -> Address:
    return Address.parse(f"{local}@{DOMAIN}")


def keys(directory: Directory, local: str) -> list[str]:
    target = directory.resolve(at(local))
    return [owner.key for owner in target.owners] if target else []


def test_an_empty_office_answers_every_question() -> None:
    directory = Directory(DOMAIN, Contents())
    assert directory.version == 0
    assert directory.resolve(at("water")) is None
    assert directory.resolve(at("postmaster")) is None
    assert directory.owners() == ()


def test_a_units_address_reaches_the_unit(demo: Database) -> None:
    directory = read(demo)
    target = directory.resolve(Address.parse(f"WATER@{DOMAIN.upper()}"))
    assert target and target.unit == directory.unit("water")
    assert [owner.key for owner in target.owners] == ["unit:water"]
    assert directory.resolve(Address.parse("water@elsewhere.test")) is None
    assert directory.resolve(at("nobody")) is None


def test_a_group_is_all_its_active_units_and_merged_ones_by_their_successor(
    demo: Database,
) -> None:
    assert len(keys(read(demo), "all")) == 44
    assert len(keys(read(demo), "bureaus")) == 34
    assert len(keys(read(demo), "subdistricts")) == 6
    write(demo, merge_units, "parks", into="urban")
    write(demo, change_unit, "archives", active=False)
    directory = read(demo)
    members = keys(directory, "bureaus")
    assert len(members) == 32
    assert members.count("unit:urban") == 1
    assert directory.resolve(at("archives")) is None


def test_mail_to_a_merged_unit_reaches_its_last_successor(demo: Database) -> None:
    write(demo, merge_units, "parks", into="urban")
    write(demo, merge_units, "urban", into="housing")
    directory = read(demo)
    assert keys(directory, "parks") == ["unit:housing"]
    assert directory.owner_of(at("parks")) == directory.owner_of(at("housing"))
    clerk = directory.account("parks")
    assert clerk and directory.sending_unit(clerk, at("parks")) is None


def test_persons_and_desks_have_mailboxes_of_their_own(demo: Database) -> None:
    directory = read(demo)
    assert keys(directory, "water-leader") == ["person:water-leader"]
    assert keys(directory, "report") == ["desk:report"]
    owners = directory.owners()
    assert len(owners) == 44 + 13 + 1
    assert {owner.kind for owner in owners} == set(OwnerKind)
    desk = next(owner for owner in owners if owner.key == "desk:report")
    office = directory.unit("office")
    assert office and desk.unit_id == office.id


def test_postmaster_and_abuse_reach_every_operator(demo: Database) -> None:
    assert keys(read(demo), "postmaster") == keys(read(demo), "abuse") == ["person:operator"]
    write(demo, change_account, "water", units={"water": [Role.CLERK, Role.OPERATOR]})
    assert keys(read(demo), "postmaster") == ["unit:water", "person:operator"]


def test_an_inactive_person_is_nobody(demo: Database) -> None:
    write(demo, change_account, "water-leader", active=False)
    directory = read(demo)
    assert keys(directory, "water-leader") == []
    account = directory.account("water-leader")
    assert account and directory.sending_unit(account, at("water-leader")) is None


def test_a_login_may_be_written_as_its_address(demo: Database) -> None:
    directory = read(demo)
    water = directory.account("water")
    assert water is directory.account(f" Water@{DOMAIN} ")
    assert directory.account("water@elsewhere.test") is None
    assert water and directory.account_by_id(water.id) is water


@pytest.mark.parametrize(
    ("login", "address", "unit"),
    [
        ("water", "water", "water"),
        ("water-li", "water", "water"),
        ("water-li", "water-li", "water"),
        ("water-leader", "water", "water"),
        ("water-seal", "water", None),
        ("water-seal", "water-seal", "water"),
        ("water", "education", None),
        ("water", "water-li", None),
        ("water", "all", None),
        ("audit-wu", "statistics", "statistics"),
        ("audit-wu", "audit-wu", "audit"),
        ("office", "report", "office"),
        ("water", "report", None),
        ("operator", "operator", "office"),
        ("operator", "office", None),
        ("security", "security", None),
        ("security", "committee", None),
        ("water", "postmaster", None),
    ],
)
def test_who_may_send_as_whom(demo: Database, login: str, address: str, unit: str | None) -> None:
    directory = read(demo)
    account = directory.account(login)
    assert account is not None
    found = directory.sending_unit(account, at(address))
    assert (found.code if found else None) == unit
    assert directory.sending_unit(account, Address(address, "elsewhere.test")) is None


def test_receipts_go_to_the_mailbox_behind_the_sender_address(demo: Database) -> None:
    directory = read(demo)
    for local, key in (
        ("water", "unit:water"),
        ("water-li", "person:water-li"),
        ("report", "desk:report"),
    ):
        owner = directory.owner_of(at(local))
        assert owner and owner.key == key
    assert directory.owner_of(at("all")) is None
    account = directory.account("water")
    owner = directory.account_owner(account) if account else None
    assert owner and owner.key == "unit:water"


def test_only_those_allowed_write_to_a_group(demo: Database) -> None:
    directory = read(demo)
    units = {code: directory.unit(code) for code in ("office", "water", "emergency", "nanshi")}
    allowed = {
        group.name: {code for code, unit in units.items() if directory.may_use_group(unit, group)}
        for group in directory.groups()
    }
    assert allowed == {
        "all": {"office"},
        "bureaus": {"office", "emergency"},
        "subdistricts": {"office", "water", "emergency"},
    }


@pytest.mark.parametrize(
    ("sender", "recipient", "direction"),
    [
        ("water", "office", "up"),
        ("office", "water", "down"),
        ("water", "finance", "level"),
        ("water", "committee", "up"),
        ("committee", "office", "level"),
        ("nanshi", "water", "up"),
        ("water", "nanshi", "down"),
        ("nanshi", "xinxing", "level"),
    ],
)
def test_direction_follows_parents_levels_and_organs(
    demo: Database, sender: str, recipient: str, direction: str
) -> None:
    directory = read(demo)
    one, other = directory.unit(sender), directory.unit(recipient)
    assert one and other and directory.direction(one, other) == direction


def test_the_duty_roster_climbs_from_the_clerk(demo: Database) -> None:
    directory = read(demo)
    water = directory.unit("water")
    assert water is not None
    roster = directory.duty(water.id)
    assert [person.post for person in roster] == [
        Post.CLERK,
        Post.DUTY_ROOM,
        Post.OFFICE_HEAD,
        Post.LEADER,
    ]
    assert all(person.mobile.startswith("1380000") for person in roster if person.mobile)
    assert directory.duty(-1) == ()
