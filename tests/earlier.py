"""Offices as earlier versions have left them: tests/data/schema-NNNN, made by scripts/keep-office.

The rows are those that the program of that time wrote; the tables are made by the migrations, so
one set of rows serves both kinds of database. Where a schema has no data of its own, because it was
never the newest for long, the data of the schema before it is brought up to it.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Boolean, Engine, MetaData, func, insert, select, text

from gateway.store import migrate
from gateway.store.engine import make_engine
from tests.office import POLICY, Office, free_ports

DATA = Path(__file__).parent / "data"


def kept() -> list[str]:
    """The schemas of which there is data, oldest first."""
    return sorted(folder.name.removeprefix("schema-") for folder in DATA.glob("schema-*"))


def nearest(schema: str) -> str:
    """The schema whose data serves for this one."""
    return max(one for one in kept() if one <= schema)


def settle(schema: str, folder: Path, certificate: Path, url: str = "") -> Office:
    """The office of that schema in a new folder, not started; `url` is an empty database for it.

    Its TLS certificate is `certificate`'s, since one that is kept would end some day.
    """
    for name, octets in _files(nearest(schema)):
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(octets)
        path.chmod(0o600)
    for name in ("tls.crt", "tls.key"):
        shutil.copy2(certificate / name, folder / name)
    ports = free_ports(3)
    path = folder / "yizhan.toml"
    written = path.read_text(encoding="utf-8")
    for old, new in zip((2587, 2465, 2580), ports, strict=True):
        written = written.replace(f"port = {old}\n", f"port = {new}\n")
    if url:
        written = written.replace("[state]\n", f'[state]\ndatabase = "{url}"\n')
    path.write_text(f"{written}\n{POLICY}\n", encoding="utf-8")
    fill(schema, url or f"sqlite:///{folder / 'state' / 'yizhan.db'}")
    return Office(folder, *ports)


def _files(schema: str) -> Iterator[tuple[str, bytes]]:
    found = json.loads((DATA / f"schema-{schema}" / "files.json").read_text(encoding="utf-8"))
    for name, encoded in found.items():
        yield name, base64.b64decode(encoded)


def fill(schema: str, url: str) -> None:
    """Give an empty database the tables of that schema, and rows that were written then."""
    own = nearest(schema)
    engine = make_engine(url)
    migrate.upgrade(engine, own)
    if engine.dialect.name == "sqlite":
        assert engine.url.database
        _pour(own, Path(engine.url.database))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "rows.db")
            source = make_engine(f"sqlite:///{path}")
            migrate.upgrade(source, own)
            _pour(own, path)
            _carry(source, engine)
            source.dispose()
    migrate.upgrade(engine, schema)
    engine.dispose()


def _pour(schema: str, database: Path) -> None:
    rows = (DATA / f"schema-{schema}" / "database.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"PRAGMA foreign_keys=OFF; BEGIN; {rows} COMMIT;")


def _carry(source: Engine, target: Engine) -> None:
    """Every row into PostgreSQL, where truth is no number and sequences do not see what came in."""
    tables = MetaData()
    tables.reflect(target)
    theirs = MetaData()
    theirs.reflect(source)
    with source.connect() as reading, target.begin() as writing:
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = [
                dict(row) for row in reading.execute(select(theirs.tables[table.name])).mappings()
            ]
            for column in table.columns:
                if isinstance(column.type, Boolean):
                    for row in rows:
                        row[column.name] = bool(row[column.name])
            if rows:
                writing.execute(insert(table), rows)
            for column in table.primary_key.columns:
                if column.server_default is not None and rows:
                    sequence = func.pg_get_serial_sequence(table.name, column.name)
                    writing.execute(select(func.setval(sequence, func.max(column))))


def without_rows(url: str) -> set[str]:
    """The tables of a database that are empty."""
    engine = make_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = {
            name
            for name in tables.tables
            if connection.execute(text(f'SELECT 1 FROM "{name}" LIMIT 1')).scalar() is None  # noqa: S608
        }
    engine.dispose()
    return found
