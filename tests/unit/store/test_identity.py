"""Store and database belong together, and only one daemon has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.domain.ids import is_id
from gateway.errors import CommandError, StoreUnusable
from gateway.store import identity
from gateway.store.database import Database
from gateway.store.tables import store_identity

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def made(folder: Path) -> Database:
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'yizhan.db'}")
    store_identity.create(database.engine)
    identity.create(database, folder, "heping.test", NOW)
    return database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = made(tmp_path / "state")
    yield database
    database.stop()


def test_a_new_store_has_one_identity_in_both_places(store: Database, tmp_path: Path) -> None:
    name = identity.verify(store, tmp_path / "state")
    assert is_id(name)
    assert (tmp_path / "state/identity").read_text() == name + "\n"


def test_an_identity_is_never_replaced(store: Database, tmp_path: Path) -> None:
    before = identity.verify(store, tmp_path / "state")
    with pytest.raises(CommandError, match="there is an office here already"):
        identity.create(store, tmp_path / "state", "other.test", NOW)
    assert identity.verify(store, tmp_path / "state") == before


def test_a_database_beside_somebody_elses_blobs_is_refused_and_both_are_named(
    store: Database, tmp_path: Path
) -> None:
    made(tmp_path / "other").stop()
    mine, theirs = (
        (tmp_path / name / "identity").read_text().strip() for name in ("state", "other")
    )
    with pytest.raises(StoreUnusable, match=f"{mine}.*{theirs}.*one backup"):
        identity.verify(store, tmp_path / "other")


def test_an_empty_database_beside_blobs_is_refused(store: Database, tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreUnusable, match=r"\(none\)"):
        identity.verify(empty, tmp_path / "state")
    empty.stop()


def test_a_folder_without_an_office_says_how_to_make_one(store: Database, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="yizhan init"):
        identity.verify(store, tmp_path)
    with pytest.raises(CommandError, match="yizhan init"), identity.held(tmp_path):
        pass


def test_a_newer_schema_is_refused_before_anything_is_read(store: Database, tmp_path: Path) -> None:
    def make_newer(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0999')"))

    store.write_now(make_newer)
    with pytest.raises(StoreUnusable, match="newer than this program"):
        identity.verify(store, tmp_path / "state")


_HOLD = """
import sys
from pathlib import Path
from gateway.store import identity
with identity.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_daemons_never_share_a_state_directory(store: Database, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "state")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreUnusable, match="another post office runs here already"),
            identity.held(tmp_path / "state"),
        ):
            pass
        other.kill()
    with identity.held(tmp_path / "state"):  # the lock died with its holder
        pass


def test_an_error_inside_is_not_mistaken_for_a_missing_office(
    store: Database, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="else"), identity.held(tmp_path / "state"):
        raise FileNotFoundError("something else")
