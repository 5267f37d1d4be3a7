"""A real database with one table in it, and the functions that write and count."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

from gateway.store.database import Database
from gateway.store.engine import make_engine
from tests.databases import Databases

notes = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", Text, nullable=False, unique=True),
)


def note(text: str) -> Callable[[Connection], str]:
    """A unit of work that writes one row and returns its text."""

    def work(connection: Connection) -> str:
        connection.execute(insert(notes).values(text=text))
        return text

    return work


def texts(connection: Connection) -> list[str]:
    return list(connection.scalars(select(notes.c.text).order_by(notes.c.text)))


def offered(database: Database, work: Callable[[Connection], Any]) -> asyncio.Task[Any]:
    """A unit of work that waits for the writer; the result, or the error as a value."""

    async def write() -> Any:
        try:
            return await database.write(work)
        except BaseException as error:  # noqa: BLE001  # SystemExit, too, must not end the loop
            return error

    return asyncio.create_task(write())


@asynccontextmanager
async def one_batch(database: Database) -> AsyncIterator[None]:
    """What is written inside the block goes into one batch: the writer is held until its end."""
    held, let_go = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        held.set()
        assert let_go.wait(10)

    waiter = asyncio.create_task(database.write(hold, long=True))
    assert await asyncio.to_thread(held.wait, 10)
    try:
        yield
        await asyncio.sleep(0)  # in which what was offered comes to wait
    finally:
        let_go.set()
        await waiter


def make_notes(url: str) -> None:
    """An empty table of notes."""
    engine = make_engine(url)
    notes.metadata.create_all(engine)
    engine.dispose()


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.copy("notes", make_notes)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url, readers=2, writers=4, patience=0.3)
    opened.start()
    yield opened
    opened.stop()
