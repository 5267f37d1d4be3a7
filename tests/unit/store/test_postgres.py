"""What the database does on PostgreSQL, as far as that can be seen without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import exc

from gateway.store import database, postgres
from gateway.store.database import Database


class DriverError(Exception):
    def __init__(self, **values: str) -> None:
        super().__init__("the server says")
        self.__dict__.update(values)


class Connection:
    """Notes what it is told to execute."""

    def __init__(self, dialect: str) -> None:
        self.dialect = SimpleNamespace(name=dialect)
        self.told: list[tuple[str, Any]] = []

    def execute(self, statement: Any, values: Any) -> None:
        self.told.append((str(statement), values["key"]))


@pytest.mark.parametrize(
    ("state", "certain"),
    [("40001", True), ("40P01", True), ("23505", True), ("58030", False), ("57P01", False)],
)
@pytest.mark.parametrize("attribute", ["sqlstate", "pgcode"])
def test_only_what_the_server_rolled_back_is_known_not_to_be_committed(
    attribute: str, state: str, certain: bool
) -> None:
    error = exc.DBAPIError("COMMIT", None, DriverError(**{attribute: state}))
    assert postgres.rolled_back(error) is certain


def test_an_error_without_a_state_leaves_the_commit_in_doubt() -> None:
    assert not postgres.rolled_back(exc.DBAPIError("COMMIT", None, DriverError()))


def test_one_matter_is_one_lock_and_another_matter_another() -> None:
    connection: Any = Connection("postgresql")
    for matter in (("a", b"bc"), ("a", b"bc"), ("ab", b"c")):
        postgres.take_turn(connection, *matter)
    first, again, other = connection.told
    assert "pg_advisory_xact_lock" in first[0]
    assert first == again
    assert first[1] != other[1]
    assert -(2**63) <= other[1] < 2**63


def test_a_single_writer_needs_no_lock() -> None:
    connection: Any = Connection("sqlite")
    postgres.take_turn(connection, "a")
    assert connection.told == []


def test_readers_of_postgresql_see_one_snapshot_and_commits_wait_for_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    class Engine:
        dialect = SimpleNamespace(name="postgresql")

        def __init__(self, **options: Any) -> None:
            self.options = options

        def execution_options(self, **options: Any) -> Engine:
            return Engine(**options)

    def create(_url: str, **options: Any) -> Engine:
        asked.update(options)
        return Engine()

    monkeypatch.setattr(database, "create_engine", create)
    made: Any = Database("postgresql://office/yizhan")
    assert "synchronous_commit=on" in asked["connect_args"]["options"]
    assert made._reader.options == {"isolation_level": "REPEATABLE READ"}
    assert made._writer.options == {"yizhan_write": True}
    made._readers.shutdown()
