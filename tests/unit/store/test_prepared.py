"""Statements that go straight to the driver do what SQLAlchemy would do, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    exc,
    insert,
    select,
    update,
)

from gateway.store.engine import make_engine
from mailboxes.prepared import Prepared
from tests.databases import Databases

_METADATA = MetaData()
_PAPERS = Table(
    "prepared_papers",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("octets", LargeBinary),
    Column("seen", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False, server_default="7"),
    Column("index", Integer),
)
_ADD = Prepared(insert(_PAPERS).returning(_PAPERS.c.id))
_ADD_ALL = Prepared(insert(_PAPERS))
_FIND = Prepared(select(_PAPERS).where(_PAPERS.c.name == bindparam("name")).limit(1))
_SOME = Prepared(
    select(_PAPERS.c.name)
    .where(_PAPERS.c.name.in_(bindparam("names", expanding=True)), _PAPERS.c.size == 7)
    .order_by(_PAPERS.c.name),
    some="names",
)
_GROW = Prepared(
    update(_PAPERS)
    .where(_PAPERS.c.name == bindparam("paper"))
    .values(size=_PAPERS.c.size + bindparam("more"))
)


@pytest.fixture
def connection(databases: Databases) -> Iterator[Connection]:
    engine = make_engine(databases.empty())
    _METADATA.create_all(engine)
    with engine.connect() as opened, opened.begin():
        yield opened
    engine.dispose()


def _paper(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "octets": b"\0\xff", "seen": True, "index": 3, **more}


def test_a_row_comes_back_with_the_types_of_its_columns(connection: Connection) -> None:
    number = _ADD.scalar(connection, _paper("通知"))
    row = _FIND.first(connection, {"name": "通知"})
    assert row is not None
    assert (row.id, row.name, bytes(row.octets), row.size) == (number, "通知", b"\0\xff", 7)
    assert row.seen is True
    assert row[5] == 3
    assert _FIND.first(connection, {"name": "函"}) is None
    assert _FIND.scalar(connection, {"name": "函"}) is None
    assert _FIND.all(connection, {"name": "函"}) == []


def test_a_list_of_any_length_finds_exactly_what_it_names(connection: Connection) -> None:
    names = [f"paper{number:02}" for number in range(11)]
    _ADD_ALL.run_each(connection, [_paper(name) for name in names])
    for length in range(1, 12):
        assert _SOME.scalars(connection, {"names": names[:length]}) == names[:length]
    assert _SOME.scalars(connection, {"names": ["paper03", "nobody", "paper01"]}) == [
        "paper01",
        "paper03",
    ]


def test_it_says_how_many_rows_were_written(connection: Connection) -> None:
    _ADD_ALL.run_each(connection, [])
    _ADD_ALL.run_each(connection, [_paper("one")])
    assert _GROW.run(connection, {"paper": "one", "more": 5}) == 1
    assert _GROW.run(connection, {"paper": "two", "more": 5}) == 0
    found = _FIND.first(connection, {"name": "one"})
    assert found is not None
    assert found.size == 12


@pytest.mark.parametrize("many", [False, True])
def test_an_error_of_the_driver_is_wrapped_like_any_other(
    connection: Connection, many: bool
) -> None:
    _ADD_ALL.run_each(connection, [_paper("one")])
    with pytest.raises(exc.IntegrityError):
        _ADD_ALL.run_each(connection, [_paper("one"), _paper("two")][: 1 + many])


def test_a_value_that_would_be_converted_is_refused_not_stored_otherwise(
    tmp_path: Path,
) -> None:
    """On SQLite; psycopg takes times as they are."""
    table = Table("prepared_times", MetaData(), Column("at", DateTime(timezone=True)))
    engine = make_engine(f"sqlite:///{tmp_path}/times.db")
    with engine.connect() as connection, pytest.raises(TypeError, match="conversion"):
        Prepared(insert(table)).run(connection, {"at": datetime.now(UTC)})
    engine.dispose()


def test_no_column_is_lost_when_a_later_row_has_others(connection: Connection) -> None:
    _ADD_ALL.run_each(connection, [{"name": "few", "seen": False}])
    _ADD_ALL.run_each(connection, [_paper("many", size=9)])
    few, many = (_FIND.first(connection, {"name": name}) for name in ("few", "many"))
    assert few is not None and many is not None
    assert (few.octets, few.size, few.seen) == (None, 7, False)
    assert (bytes(many.octets), many.size, many.seen) == (b"\0\xff", 9, True)
    with pytest.raises(TypeError, match="same columns"):
        _ADD_ALL.run_each(connection, [_paper("a"), _paper("b", size=9)])


def test_a_value_that_is_missing_is_an_error_not_a_null(connection: Connection) -> None:
    with pytest.raises(exc.SQLAlchemyError):
        Prepared(_GROW._statement).run(connection, {"paper": "one"})
    _GROW.run(connection, {"paper": "one", "more": 5})
    with pytest.raises((KeyError, exc.DBAPIError)):  # now that it is compiled
        _GROW.run(connection, {"paper": "one"})


def test_it_begins_a_transaction_where_there_is_none(databases: Databases) -> None:
    engine = make_engine(databases.empty())
    _METADATA.create_all(engine)
    with engine.connect() as opened:
        _ADD.scalar(opened, _paper("lost"))
        opened.rollback()
        assert _FIND.first(opened, {"name": "lost"}) is None
    engine.dispose()
