"""Changes to the directory: checked, logged, and never half done."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from gateway.directory import edit
from gateway.directory.changes import log
from gateway.directory.model import AccountKind, Level, Post, Role, UnitClass
from gateway.directory.passwords import hash_password
from gateway.errors import CommandError
from gateway.store.database import Database

from .conftest import BY, NOW, read, write

FINGERPRINT = "ab" * 32


def refused(database: Database, verb: Callable[..., object], *args: object, **kw: object) -> str:
    before = read(database).version
    with pytest.raises(CommandError) as caught:
        write(database, verb, *args, **kw)
    assert read(database).version == before
    return caught.value.public


def unit(code: str, **kw: object) -> dict[str, object]:
    return {
        "code": code,
        "name": "某局",
        "level": Level.DISTRICT,
        "unit_class": UnitClass.BUREAU,
        **kw,
    }


def test_every_change_is_logged_with_who_when_before_and_after(office: Database) -> None:
    version = read(office).version
    write(office, edit.change_unit, "water", name="水务管理局", organ_code="和水发")
    assert read(office).version == version + 1
    change = office.read_now(lambda conn: log(conn, key="water", kind="unit"))[0]
    assert (change.actor, change.at, change.action) == ("test", NOW, "change")
    assert json.loads(change.before)["name"] == "水务局"
    assert json.loads(change.after) == json.loads(change.before) | {
        "name": "水务管理局",
        "organ_code": "和水发",
    }


def test_a_change_that_changes_nothing_is_not_logged(office: Database) -> None:
    count = len(office.read_now(log))
    write(office, edit.change_unit, "water", name="水务局")
    write(office, edit.change_account, "water", name="收发室")
    assert len(office.read_now(log)) == count


def test_an_old_name_is_kept_when_a_unit_is_renamed(office: Database) -> None:
    write(office, edit.change_unit, "water", name="水务管理局")
    directory = read(office)
    water = directory.unit("water")
    assert water and water.name == "水务管理局"
    names = office.read_now(lambda conn: edit.past_names(conn, water.id))
    assert [name for name, _, _ in names] == ["水务局"]


@pytest.mark.parametrize("code", ["Water", "9water", "water_1", "水务", "", "a" * 64, "wa ter"])
def test_a_unit_code_is_plain_ascii(office: Database, code: str) -> None:
    assert "unit code" in refused(office, edit.add_unit, **unit(code))


def test_codes_logins_groups_and_desks_share_one_address_space(office: Database) -> None:
    write(office, edit.add_group, name="all", title="全体", members=["water"], senders=["*"])
    write(office, edit.add_desk, name="report", title="信息报送", unit="office")
    person = {"name": "李娜", "kind": AccountKind.PERSONAL, "units": {"water": [Role.CLERK]}}
    write(office, edit.add_account, login="water-li", **person)
    for taken in ("water", "all", "report", "water-li", "postmaster", "abuse"):
        refused(office, edit.add_unit, **unit(taken))
        refused(office, edit.add_group, name=taken, title="x", members=[], senders=[])
        refused(office, edit.add_desk, name=taken, title="x", unit="office")
    for taken in ("all", "report", "office", "water-li", "postmaster"):
        refused(office, edit.add_account, login=taken, **person)


def test_a_shared_login_has_its_units_address_and_a_person_an_own_one(office: Database) -> None:
    person = {"name": "李娜", "kind": AccountKind.PERSONAL, "units": {"water": [Role.CLERK]}}
    write(office, edit.add_account, login="water-li", **person)
    write(office, edit.add_account, login="water-2", **person, address="water")
    directory = read(office)
    found = {account.login: account.address.local for account in directory.accounts()}
    assert found == {"water": "water", "water-li": "water-li", "water-2": "water"}
    assert "address" in refused(
        office, edit.add_account, login="water-3", **person, address="office"
    )
    assert "address" in refused(
        office, edit.change_account, "water-2", units={"office": [Role.CLERK]}
    )


def test_a_person_belongs_to_several_units_with_roles_in_each(office: Database) -> None:
    units = {"water": [Role.CLERK, Role.SEAL_KEEPER], "office": [Role.READER]}
    kind = AccountKind.PERSONAL
    write(office, edit.add_account, login="li", name="李娜", kind=kind, units=units)
    directory = read(office)
    account = directory.account("li")
    assert account is not None
    roles = [
        (directory.unit_by_id(m.unit_id).code, m.roles)  # type: ignore[union-attr]
        for m in account.memberships
    ]
    assert roles == [
        ("water", {Role.CLERK, Role.SEAL_KEEPER}),
        ("office", {Role.READER}),
    ]
    assert "role" in refused(office, edit.change_account, "li", units={"water": []})
    assert "at least one unit" in refused(office, edit.change_account, "li", units={})


def test_names_carry_no_control_characters_into_headers(office: Database) -> None:
    for bad in ("水务局\r\nBcc: x", "水\u202e务", "", "x" * 121):
        refused(office, edit.change_unit, "water", name=bad)


def test_networks_and_certificates_are_checked(office: Database) -> None:
    write(
        office,
        edit.change_account,
        "water",
        networks=["10.8.3.7/24", "2001:db8::/32"],
        certificates=["AB:" * 31 + "ab"],
    )
    directory = read(office)
    account = directory.account_by_certificate(FINGERPRINT.upper())
    assert account and [str(network) for network in account.networks] == [
        "10.8.3.0/24",
        "2001:db8::/32",
    ]
    assert "network" in refused(office, edit.change_account, "water", networks=["10.8.3"])
    assert "64" in refused(office, edit.change_account, "water", certificates=["ab"])
    assert "belongs to account" in refused(
        office,
        edit.add_account,
        login="other",
        name="x",
        kind=AccountKind.PERSONAL,
        units={"water": [Role.CLERK]},
        certificates=[FINGERPRINT],
    )


def test_a_unit_in_use_is_not_removed_but_closed_or_merged(office: Database) -> None:
    sentence = refused(office, edit.remove_unit, "water")
    assert "1 accounts" in sentence and "merge" in sentence and "--inactive" in sentence
    write(office, edit.add_unit, **unit("mistake"))
    write(office, edit.remove_unit, "mistake")
    assert read(office).unit("mistake") is None


def test_a_unit_that_documents_of_other_packages_name_is_not_removed(office: Database) -> None:
    other = Table(
        "other_things", MetaData(), Column("id", Integer), Column("sender_unit_id", Integer)
    )
    other.create(office.engine)
    write(office, edit.add_unit, **unit("parks"))
    parks = read(office).unit("parks")
    assert parks is not None
    office.write_now(lambda conn: conn.execute(other.insert().values(sender_unit_id=parks.id)))
    assert "other_things" in refused(office, edit.remove_unit, "parks")


def test_an_id_is_never_given_twice(office: Database) -> None:
    write(office, edit.add_unit, **unit("one"))
    first = read(office).unit("one")
    write(office, edit.remove_unit, "one")
    write(office, edit.add_unit, **unit("two"))
    second = read(office).unit("two")
    assert first and second and second.id > first.id


def test_mergers_and_parents_never_run_in_a_circle(office: Database) -> None:
    write(office, edit.change_unit, "water", parent="office")
    assert "own parent" in refused(office, edit.change_unit, "office", parent="water")
    assert "own successor" in refused(office, edit.merge_units, "water", into="water")
    write(office, edit.merge_units, "water", into="office")
    assert "own successor" in refused(office, edit.merge_units, "office", into="water")
    write(office, edit.change_unit, "water", active=True)
    water = read(office).unit("water")
    assert water and water.active and water.successor_id is None


def test_a_closed_unit_takes_nothing_over(office: Database) -> None:
    write(office, edit.add_unit, **unit("parks"))
    write(office, edit.change_unit, "parks", active=False)
    assert "not active" in refused(office, edit.merge_units, "water", into="parks")


def test_the_last_operator_cannot_go(office: Database) -> None:
    units = {"office": [Role.OPERATOR]}
    kind = AccountKind.PERSONAL
    write(office, edit.add_account, login="zhou", name="周敏", kind=kind, units=units)
    for verb, kw in (
        (edit.change_account, {"active": False}),
        (edit.change_account, {"units": {"office": [Role.CLERK]}}),
        (edit.remove_account, {}),
    ):
        assert "last operator" in refused(office, verb, "zhou", **kw)
    write(office, edit.add_account, login="wang", name="王", kind=kind, units=units)
    write(office, edit.remove_account, "zhou")
    assert [account.login for account in read(office).operators()] == ["wang"]


def test_a_password_is_kept_as_a_hash_and_never_logged(office: Database) -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    write(office, edit.set_password, "water", stored)
    account = read(office).account("water")
    assert account and account.password_hash == stored
    assert stored not in repr(account)
    changes = office.read_now(log)
    assert changes[0].action == "password"
    assert not any("argon2" in change.before + change.after for change in changes)


def test_group_members_and_senders_are_replaced_as_a_whole(office: Database) -> None:
    write(office, edit.add_group, name="all", title="全体", members=["water"], senders=[])
    write(office, edit.set_members, "all", ["office"])
    write(office, edit.set_senders, "all", ["class:organ", "level:district", "water"])
    directory = read(office)
    group = directory.group("all")
    office_unit = directory.unit("office")
    assert group and office_unit and group.members == (office_unit.id,)
    assert group.senders == {"class:organ", "level:district", "water"}
    for bad in ("class:nonsense", "nobody"):
        refused(office, edit.set_senders, "all", [bad])
    refused(office, edit.set_members, "all", ["nobody"])
    write(office, edit.remove_group, "all")
    assert read(office).groups() == ()


def test_duty_persons_have_a_number_and_a_post_once(office: Database) -> None:
    one = {"unit": "water", "name": "李娜", "post": Post.CLERK}
    write(office, edit.add_duty, **one, mobile="138 0000-0001", landline="022-27300001")
    directory = read(office)
    water = directory.unit("water")
    assert water is not None
    (person,) = directory.duty(water.id)
    assert (person.mobile, person.landline) == ("13800000001", "022-27300001")
    assert "already" in refused(office, edit.add_duty, **one, mobile="13800000002")
    other = {**one, "name": "王"}
    assert "number" in refused(office, edit.add_duty, **other)
    assert "mobile" in refused(office, edit.add_duty, **other, mobile="138x")
    assert "landline" in refused(office, edit.add_duty, **other, landline="22 or 23")
    write(office, edit.add_duty, **other, mobile="+8613800000003")
    assert "already" in refused(office, edit.change_duty, person.id, name="王")
    assert "number" in refused(office, edit.change_duty, person.id, mobile="", landline="")
    write(office, edit.change_duty, person.id, post=Post.LEADER)
    write(office, edit.remove_duty, person.id)
    refused(office, edit.remove_duty, person.id)


def test_desks_are_changed_and_removed(office: Database) -> None:
    write(office, edit.add_desk, name="report", title="信息报送", unit="office")
    write(office, edit.change_desk, "report", unit="water")
    directory = read(office)
    (desk,) = directory.desks()
    water = directory.unit("water")
    assert water and desk.unit_id == water.id
    write(office, edit.remove_desk, "report")
    assert "no desk" in refused(office, edit.remove_desk, "report")


def test_a_verb_that_fails_leaves_nothing_behind(office: Database) -> None:
    before = office.read_now(log)
    refused(
        office,
        edit.add_account,
        login="li",
        name="李娜",
        kind=AccountKind.PERSONAL,
        units={"water": [Role.CLERK]},
        networks=["nonsense"],
    )
    assert office.read_now(log) == before
    assert read(office).account("li") is None
    assert BY["actor"] == "test"
