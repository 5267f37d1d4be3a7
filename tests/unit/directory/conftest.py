"""A real SQLite file, empty or with the demo office in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.directory import demo_office
from gateway.directory import tables as _tables  # noqa: F401  # registers the tables
from gateway.directory.edit import add_account, add_unit
from gateway.directory.model import AccountKind, Level, Role, UnitClass
from gateway.directory.snapshot import Directory, load
from gateway.store.database import Database
from gateway.store.schema import metadata

DOMAIN = "heping.test"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = {"actor": "test", "now": NOW}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 't.db'}", readers=2)
    metadata.create_all(db.engine)
    yield db
    db.stop()


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    db = Database(f"sqlite:///{path}", readers=1)
    metadata.create_all(db.engine)
    db.write_now(lambda c: demo_office.populate(c, DOMAIN, {}, "test", NOW))
    db.stop()
    return path


@pytest.fixture
def demo(demo_file: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(demo_file, tmp_path / "demo.db")
    db = Database(f"sqlite:///{tmp_path / 'demo.db'}", readers=2)
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
