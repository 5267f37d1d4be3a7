"""What the tests of the mailboxes share: the collected mail, and a real database in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from gateway.store.blobs import MemoryBlobs
from gateway.store.database import Database
from gateway.store.engine import make_engine
from mailboxes.store import MailboxStore
from mailboxes.tables import make_tables
from tests.databases import Databases


def _shared_mail() -> Path:
    checkout = Path(__file__).resolve().parents[3]
    shared = Path(os.environ.get("YIZHAN_SHARED") or checkout.parent / "shared")
    return shared / "data" / "mail"


@pytest.fixture(scope="session")
def corpus() -> dict[str, bytes]:
    """Every mail that was collected, with CRLF, by its path."""
    folder = _shared_mail()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files or not os.environ.get("CI"), f"the collected mail is missing: {folder}"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        .replace(b"\r\n", b"\n")
        .replace(b"\n", b"\r\n")
        for path in files
    }


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def metadata() -> MetaData:
    return MetaData()


@pytest.fixture
def database(databases: Databases, metadata: MetaData) -> Iterator[Database]:
    make_tables(metadata)

    def fill(url: str) -> None:
        engine = make_engine(url)
        metadata.create_all(engine)
        engine.dispose()

    db = Database(databases.copy("mailboxes", fill))
    yield db
    db.stop()


@pytest.fixture
def store(database: Database, metadata: MetaData, blobs: MemoryBlobs) -> MailboxStore:
    return MailboxStore(make_tables(metadata), blobs.open)
