"""Fresh databases for tests, of both kinds: SQLite in a file, PostgreSQL on a throw-away server.

A test that touches a database takes the fixture `databases` and runs once for each kind. One whose
promise has nothing to do with the database says so and runs on SQLite alone:
`pytestmark = pytest.mark.one_database("why")`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, insert, select, text

from gateway.store import migrate
from gateway.store.database import Database
from gateway.store.engine import make_engine
from mailboxes.search_tables import DERIVED
from tests.postgres import Cluster
from tests.schema import all_tables

SQLITE, POSTGRESQL = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRESQL)


class Databases(Protocol):
    """Databases of one kind; all are gone after the test."""

    kind: str

    def empty(self, name: str = "t") -> str:
        """The URL of a new, empty database; for SQLite it is `name`.db in the test's folder."""

    def copy(self, template: str, fill: Callable[[str], None], name: str = "t") -> str:
        """The URL of a copy of a template that `fill` makes once in each test process."""

    def close(self) -> None:
        """Remove them."""


@dataclass
class SqliteDatabases:
    """Files in the test's folder."""

    folder: Path
    templates: Path
    kind: str = SQLITE

    def empty(self, name: str = "t") -> str:
        return f"sqlite:///{self.folder / name}.db"

    def copy(self, template: str, fill: Callable[[str], None], name: str = "t") -> str:
        made = self.templates / f"{template}.db"
        if not made.exists():
            fill(f"sqlite:///{made}")
        shutil.copy(made, self.folder / f"{name}.db")
        return self.empty(name)

    def close(self) -> None:
        """They go with the folder."""


@dataclass
class PostgresDatabases:
    """Databases of the process's own server."""

    cluster: Cluster
    templates: set[str]
    kind: str = POSTGRESQL
    made: list[str] = field(default_factory=list)

    def empty(self, name: str = "") -> str:  # noqa: ARG002  # the server names them
        return self._create("template1")

    def copy(
        self,
        template: str,
        fill: Callable[[str], None],
        name: str = "",  # noqa: ARG002
    ) -> str:
        if template not in self.templates:
            fill(self.cluster.url(self.cluster.create(name=template)))
            self.templates.add(template)
        return self._create(template)

    def _create(self, template: str) -> str:
        self.made.append(self.cluster.create(template=template))
        return self.cluster.url(self.made[-1])

    def close(self) -> None:
        while self.made:
            self.cluster.drop(self.made.pop())


def make_tables(url: str) -> None:
    """All tables of the product in an empty database."""
    engine = make_engine(url)
    all_tables().create_all(engine)
    engine.dispose()


def migrated(url: str) -> None:
    """The newest schema in an empty database, as an office has it."""
    engine = make_engine(url)
    migrate.upgrade(engine)
    engine.dispose()


def opened(databases: Databases, **options: int) -> Database:
    """A database with all tables in it, empty."""
    return Database(databases.copy("tables", make_tables), **options)


def transfer(source: str, target: str) -> None:
    """Copy every row of one database with our tables into another that has none yet."""
    make_tables(target)
    old, new = make_engine(source), make_engine(target)
    with old.connect() as reading, new.begin() as writing:
        writing.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        version = reading.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        writing.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": version})
        for table in all_tables().sorted_tables:
            if table.info.get(DERIVED, False):
                continue  # it is made again
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            if rows:
                writing.execute(insert(table), rows)
            number = table.autoincrement_column
            if number is not None and new.dialect.name == POSTGRESQL:
                sequence = func.pg_get_serial_sequence(table.name, number.name)
                highest = select(func.coalesce(func.max(number), 1)).scalar_subquery()
                writing.execute(select(func.setval(sequence, highest, bool(rows))))
    old.dispose()
    new.dispose()
