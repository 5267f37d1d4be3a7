"""The one history of migrations makes exactly the tables of the code, or changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from gateway.errors import StoreUnusable
from gateway.store import migrate
from gateway.store.engine import make_engine
from mailboxes.search_tables import is_token_table
from tests.schema import all_tables

_COMPARED = {
    "compare_type": True,
    "include_name": lambda name, _kind, _parents: not is_token_table(str(name)),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 't.db'}")
    yield made
    made.dispose()


def definitions(path: Path) -> dict[str, str]:
    """What SQLite keeps of each table and index, without regard to white space and order."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE sql IS NOT NULL AND name NOT IN ('alembic_version', 'sqlite_sequence')"
        ).fetchall()
    connection.close()
    return {
        name: " ".join(sorted(part.strip(" ,()") for part in sql.replace('"', "").split("\n")))
        for name, sql in rows
    }


def test_the_migrations_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    migrate.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=_COMPARED)
        assert compare_metadata(context, all_tables()) == []


def test_sqlite_sees_the_same_definitions_either_way(engine: Engine, tmp_path: Path) -> None:
    migrate.upgrade(engine)
    direct = make_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    all_tables().create_all(direct)
    direct.dispose()
    assert definitions(tmp_path / "t.db") == definitions(tmp_path / "direct.db")


def test_an_upgrade_of_the_newest_schema_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    migrate.upgrade(engine)
    assert migrate.current(engine) == migrate.known()[-1]
    before = (tmp_path / "t.db").read_bytes()
    migrate.upgrade(engine)
    migrate.require_newest(engine)
    assert (tmp_path / "t.db").read_bytes() == before


def test_revisions_are_named_by_the_number_of_their_file() -> None:
    assert migrate.known() == [f"{n:04}" for n in range(1, len(migrate.known()) + 1)]


def test_a_newer_schema_is_refused_and_left_as_it_is(engine: Engine) -> None:
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    for refuses in (migrate.require_known, migrate.upgrade, migrate.require_newest):
        with pytest.raises(StoreUnusable, match="0999, which is newer") as caught:
            refuses(engine)
        assert caught.value.exit_status == 78
    assert migrate.current(engine) == "0999"


def test_a_command_refuses_a_schema_that_the_daemon_has_not_brought_up_to_date(
    engine: Engine,
) -> None:
    with pytest.raises(StoreUnusable, match="older than this program"):
        migrate.require_newest(engine)


_NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{number}", "{before}", None, None


def upgrade():
    {what}
"""


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations to which a test may add."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate._FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrate, "_FOLDER", folder)
    return folder


def add(history: Path, what: str) -> None:
    number, before = len(migrate.known()) + 1, migrate.known()[-1]
    file = history / "versions" / f"{number:04}_next.py"
    file.write_text(_NEXT.format(number=f"{number:04}", before=before, what=what))


def test_a_migration_that_fails_takes_those_before_it_back_too(
    engine: Engine, history: Path
) -> None:
    migrate.upgrade(engine)
    before = migrate.known()[-1]
    add(history, 'op.create_table("second", sa.Column("id", sa.Integer()))')
    add(history, 'op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(Exception, match="nowhere"):
        migrate.upgrade(engine)
    assert migrate.current(engine) == before
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
        assert "second" not in tables
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


_DOCUMENT = text("""
    INSERT INTO documents VALUES ('d', 'accepted', 0, 1, 1, 'a@b', x'00', '', 0, '', 'mail',
    'normal', '', '', '', '[]', 'missing', '', '', 'plain', '', '', x'00', '', '', NULL, NULL, '',
    '', NULL, '{}')
""")


def test_a_table_that_others_refer_to_can_be_changed(engine: Engine, history: Path) -> None:
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(_DOCUMENT)
        connection.execute(text("INSERT INTO envelope_recipients VALUES ('d', 'x@y', '', '', 0)"))
    add(
        history,
        'with op.batch_alter_table("documents", recreate="always") as table:\n'
        '        table.add_column(sa.Column("colour", sa.Text(), server_default="red"))',
    )
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT colour FROM documents")).scalar() == "red"
        assert connection.execute(text("SELECT address FROM envelope_recipients")).scalar() == "x@y"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_migration_that_leaves_rows_without_their_document_is_undone(
    engine: Engine, history: Path
) -> None:
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(_DOCUMENT)
        connection.execute(text("INSERT INTO envelope_recipients VALUES ('d', 'x@y', '', '', 0)"))
    before = migrate.known()[-1]
    add(history, "op.execute(\"DELETE FROM documents WHERE id = 'd'\")")
    with pytest.raises(StoreUnusable, match="refer to nothing"):
        migrate.upgrade(engine)
    assert migrate.current(engine) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM documents")).scalar() == "d"


_DELIVERY = text(
    "INSERT INTO deliveries (id, document_id, owner, address, via, role, state)"
    " VALUES (7, 'd', 'unit:water', 'w@b', 'w@b', 'to', 'consigned')"
)


def test_deliveries_from_before_get_the_deadline_of_their_document(engine: Engine) -> None:
    migrate.upgrade(engine, "0002")
    with engine.begin() as connection:
        connection.execute(_DOCUMENT)
        connection.execute(text("UPDATE documents SET deadline = 12345"))
        connection.execute(_DELIVERY)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT id, owner, deadline FROM deliveries")).one()
        assert tuple(row) == (7, "unit:water", 12345)
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
