"""A real database, empty or with the demo office in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from gateway.directory import demo_office
from gateway.directory.edit import add_account, add_unit
from gateway.directory.model import AccountKind, Level, Role, UnitClass
from gateway.directory.snapshot import Directory, load
from gateway.store.database import Database
from tests.databases import Databases, make_tables, opened

DOMAIN = "heping.test"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = {"actor": "test", "now": NOW}


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    db = opened(databases, readers=2)
    yield db
    db.stop()


def make_demo(url: str) -> None:
    """The demo directory in an empty database."""
    make_tables(url)
    db = Database(url, readers=1)
    db.write_now(lambda c: demo_office.populate(c, DOMAIN, {}, "test", NOW))
    db.stop()


@pytest.fixture
def demo(databases: Databases) -> Iterator[Database]:
    db = Database(databases.copy("demo", make_demo, "demo"), readers=2)
    yield db
    db.stop()


@pytest.fixture
def office(database: Database) -> Database:
    """Two units and a clerk: the smallest office to change things in."""

    def work(conn: Connection) -> None:
        for code, name, kind in (
            ("office", "区政府办", UnitClass.ORGAN),
            ("water", "水务局", UnitClass.BUREAU),
        ):
            add_unit(conn, code=code, name=name, level=Level.DISTRICT, unit_class=kind, **BY)
        add_account(
            conn,
            login="water",
            name="收发室",
            kind=AccountKind.SHARED,
            units={"water": [Role.CLERK]},
            **BY,
        )

    database.write_now(work)
    return database


def read(database: Database) -> Directory:
    return database.read_now(lambda conn: load(conn, DOMAIN))


def write(database: Database, verb: Callable[..., object], *args: object, **values: object) -> None:
    database.write_now(lambda conn: verb(conn, *args, **values, **BY))
