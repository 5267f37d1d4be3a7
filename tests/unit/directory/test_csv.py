"""The CSV file: read as offices write it, checked whole, taken whole or not at all."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from gateway.directory import csvexport, csvfile, csvimport
from gateway.directory.csvfile import Kind, Row
from gateway.directory.edit import change_account, change_unit, log, merge_units
from gateway.directory.model import AccountKind, Level, Post, Role, UnitClass
from gateway.directory.passwords import new_password
from gateway.errors import CommandError
from gateway.store.database import Database
from tests.databases import Databases, make_tables

from .conftest import BY, read, write

CHINESE = """类型,代码,名称,层级,类别,上级单位,所属单位,账号类型,岗位,手机,成员,可发单位
账号,water,水务局收发室,,,,water,共用,,,,
账号,li,李娜,,,,water:收发员+领导；office:阅读者,个人,,,,
单位,water,水务局,区,委办局,office,,,,,,
单位,office,区政府办,区,机关,,,,,,,
群组,all,全体单位,,,,,,,,office;water,class:organ
值班,water,王强,,,,,,值班室,13800000001,,
"""


def take(database: Database, octets: bytes) -> dict[Kind, int]:
    rows = csvfile.read(octets)
    return database.write_now(lambda conn: csvimport.take(conn, rows, {}, **BY))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_file_as_an_office_writes_it_is_taken(
    database: Database, encoding: str, delimiter: str
) -> None:
    text = CHINESE.replace(",", delimiter).replace("\n", "\r\n")
    assert take(database, text.encode(encoding)) == {
        Kind.UNIT: 2,
        Kind.GROUP: 1,
        Kind.ACCOUNT: 2,
        Kind.DUTY: 1,
    }
    directory = read(database)
    water, office = directory.unit("water"), directory.unit("office")
    assert water and office and water.parent_id == office.id
    assert (water.name, water.level, water.unit_class) == (
        "水务局",
        Level.DISTRICT,
        UnitClass.BUREAU,
    )
    account = directory.account("li")
    assert account and account.kind is AccountKind.PERSONAL
    assert account.roles_in(water.id) == {Role.CLERK, Role.LEADER}
    assert account.roles_in(office.id) == {Role.READER}
    (person,) = directory.duty(water.id)
    assert (person.name, person.post) == ("王强", Post.DUTY_ROOM)


def test_all_faults_are_told_with_their_lines_and_nothing_is_done(office: Database) -> None:
    before = office.read_now(log)
    text = (
        "kind,code,name,level,units,active\n"
        "unit,parks,园林局,district,,yes\n"
        '"unit","two","a\nb",,,\n'
        "unit,Bad Code,x,,,\n"
        "unit,sports,体育局,planet,,\n"
        "account,li,李娜,,nowhere,\n"
        "thing,x,x,,,\n"
        "unit,parks,园林局,,,\n"
        "unit,water,,,,maybe\n"
    )
    with pytest.raises(CommandError) as caught:
        take(office, text.encode())
    faults = caught.value.public.split("\n")
    assert [fault.partition(":")[0] for fault in faults] == [
        f"line {line}" for line in (3, 5, 6, 7, 8, 9, 10)
    ]
    assert "invisible" in faults[0]
    assert "planet" in faults[2] and "municipal" in faults[2]
    assert "nowhere" in faults[3]
    assert "line 2 too" in faults[5]
    assert read(office).unit("parks") is None
    assert office.read_now(log) == before


def test_a_blank_cell_keeps_and_a_hyphen_empties(office: Database) -> None:
    write(office, change_unit, "water", organ_code="和水发", seal_limit=5, name_en="Water")
    take(office, b"kind,code,name,name_en,organ_code,seal_limit\nunit,water,,,-,-\n")
    water = read(office).unit("water")
    assert water and (water.name, water.name_en) == ("水务局", "Water")
    assert (water.organ_code, water.seal_limit) == ("", None)


@pytest.mark.one_database("files alone")
@pytest.mark.parametrize("chinese", [False, True])
def test_what_is_given_out_makes_the_same_office_again(
    demo: Database, databases: Databases, chinese: bool
) -> None:
    write(demo, merge_units, "parks", into="urban")
    write(demo, merge_units, "urban", into="housing")
    write(demo, change_unit, "archives", active=False, seal_limit=0, subject_marks=False)
    write(
        demo,
        change_account,
        "water",
        networks=["10.8.0.0/16", "10.9.0.0/16"],
        certificates=["ab" * 32],
        receipt_style="full",
        language="en",
    )
    write(demo, change_account, "water-li", active=False, address="water")
    given = csvexport.give(read(demo))
    octets = csvfile.write(given, chinese=chinese).encode("gb18030")

    other = Database(databases.copy("tables", make_tables, "other"), readers=1)
    take(other, octets)
    assert csvexport.give(read(other)) == given
    lines = len(other.read_now(lambda conn: log(conn, limit=9999)))
    take(other, octets)
    assert csvexport.give(read(other)) == given
    assert len(other.read_now(lambda conn: log(conn, limit=9999))) == lines
    other.stop()


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (b"", "empty"),
        (b"kind,code,colour\n", "colour"),
        (b"kind,name\n", "missing: code"),
        (b"kind,code,code\n", "twice"),
        (b"kind,code\nunit,a,b\n", "line 2: there are more cells"),
        ("kind,code".encode("utf-16"), "UTF-16"),
        (b"kind,code\nunit,\xff\xff\n", "neither UTF-8 nor GB18030"),
        (b'kind,code\nunit,"a"b\n', "line 2: not valid CSV"),
        (b'kind,code\nunit,a\nunit,"b\n', "line 3: not valid CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_sentence(octets: bytes, sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        csvfile.read(octets)
    assert sentence in caught.value.public


def test_passwords_are_made_only_for_new_accounts_without_one(office: Database) -> None:
    rows = csvfile.read(
        b"kind,code,password\naccount,water,\naccount,li,\naccount,wang,correct horse\nunit,x,\n"
    )
    known = office.read_now(csvimport.logins)
    found = csvimport.new_passwords(rows, known)
    assert set(found) == {"li", "wang"}
    assert found["li"].generated and not found["wang"].generated
    with pytest.raises(CommandError, match="line 7: the password is too short"):
        csvimport.new_passwords([Row(7, {"kind": "账号", "code": "x", "password": "short"})], known)


def test_a_new_password_can_be_read_out_over_the_telephone() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert not set("".join(made)) & set("0o1lijOIL")


def test_an_import_is_one_transaction(office: Database) -> None:
    rows = csvfile.read(b"kind,code,name\nunit,parks,Parks\n")

    def work(conn: Connection) -> None:
        csvimport.take(conn, rows, {}, **BY)
        raise CommandError("something after it")

    with pytest.raises(CommandError):
        office.write_now(work)
    assert read(office).unit("parks") is None
