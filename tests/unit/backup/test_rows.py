"""Rows in chunks: what is not read again is what has not changed, and all of it comes back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from gateway.backup import rows
from gateway.backup.loading import load
from gateway.backup.manifest import Chunk
from gateway.backup.shelf import Mark, Shelf
from gateway.store.database import Database
from tests import databases as kinds

TABLES = rows.all_tables().tables
CONTENTS, ENTRIES = TABLES["mailbox_contents"], TABLES["log_entries"]
RECORDS, SEALS = TABLES["evidence_records"], TABLES["seals"]


@pytest.fixture
def database(databases: kinds.Databases) -> Iterator[Database]:
    made = kinds.opened(databases)
    yield made
    made.stop()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path / "b")
    made.claim(Mark("01m80ac9zfeq49fhyhsmj3wbtf", "heping.test"))
    return made


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_ROWS", 8)


def content(created: int, octets: bytes | None = b"x") -> dict[str, Any]:
    return {
        "key": "k", "kind": "summary", "blob": "", "prefix": None, "size_original": 0,
        "cuts": "[]", "octets": octets, "size": 1, "digest": str(created), "structure": "",
        "envelope": "", "bodystructure": "", "created": created,
    }  # fmt: skip


def dumped(database: Database, shelf: Shelf, table: Any, before: Any = ()) -> tuple[Chunk, ...]:
    return database.read_now(lambda c: rows.dump(c, table, shelf, before))


def unpacked(shelf: Shelf, chunks: tuple[Chunk, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row) for chunk in chunks for row in rows.read_chunk(shelf, chunk)[1]]


def there(database: Database, table: Any) -> list[tuple[Any, ...]]:
    query = select(table).order_by(*table.primary_key.columns)
    return [tuple(row) for row in database.read_now(lambda c: c.execute(query).all())]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_was_added_and_removed_the_next_dump_has_the_rows_that_are_there(
    database: Database, shelf: Shelf, seed: int
) -> None:
    dice, now, before = random.Random(seed), 0, ()
    for _ in range(8):
        for _ in range(dice.randrange(3)):
            now += 1000

            def change(c: Any, now: int = now) -> None:
                highest = c.scalar(select(func.max(CONTENTS.c.id))) or 0
                match dice.randrange(3):
                    case 0:  # the last ones go, and SQLite gives their numbers again
                        least = highest - dice.randrange(40)
                        c.execute(delete(CONTENTS).where(CONTENTS.c.id > least))
                    case 1:
                        c.execute(delete(CONTENTS).where(CONTENTS.c.id % 7 == dice.randrange(7)))
                for number in range(dice.randrange(60)):
                    c.execute(insert(CONTENTS), content(now + number))

            database.write_now(change)
        before = dumped(database, shelf, CONTENTS, before)
        assert unpacked(shelf, before) == there(database, CONTENTS)


def test_numbers_of_the_log_that_come_later_are_taken_and_old_chunks_are_not_read(
    database: Database, shelf: Shelf
) -> None:
    def add(c: Any, start: int, count: int) -> None:
        for n in range(start, start + count):
            record = {
                "id": f"{n:026}", "document_id": f"{n:026}", "sequence": 1, "event": "e",
                "recipient": "", "at": 0, "octets": b"{}", "digest": "d", "signature": b"s",
                "key_id": "k",
            }  # fmt: skip
            c.execute(insert(RECORDS), record)
            c.execute(insert(ENTRIES), {"record_id": f"{n:026}", "number": n if n < 50 else None})

    database.write_now(lambda c: add(c, 0, 60))
    first = dumped(database, shelf, ENTRIES)
    numbered = update(ENTRIES).where(ENTRIES.c.number.is_(None))
    database.write_now(lambda c: c.execute(numbered.where(
        ENTRIES.c.record_id == f"{59:026}").values(number=59)))  # fmt: skip
    database.write_now(lambda c: add(c, 60, 5))
    second = dumped(database, shelf, ENTRIES, first)
    assert unpacked(shelf, second) == there(database, ENTRIES)
    assert len(set(first) & set(second)) >= 3, "what had all its numbers is the same chunk"


def test_every_kind_of_value_comes_back_and_rows_that_name_later_ones_too(
    database: Database, shelf: Shelf, databases: kinds.Databases
) -> None:
    octets = [None, b"", b"=", b"=abc", b"\xff\x00", "公文".encode(), b"From: a\r\n\r\n"]
    octets.append(bytes(range(256)))
    seal = {
        "unit_id": 1, "certificate": b"c", "revocation": b"", "origin": "issued", "kept": True,
        "issued_at": 1, "cancel_reason": "",
    }  # fmt: skip

    def fill(c: Any) -> None:
        c.execute(insert(CONTENTS), [content(n, value) for n, value in enumerate(octets)])
        c.execute(insert(SEALS), {**seal, "id": 1, "fingerprint": "A"})
        c.execute(insert(SEALS), {**seal, "id": 2, "fingerprint": "B", "kept": False})
        c.execute(update(SEALS).where(SEALS.c.id == 1).values(replaced_by=2))

    database.write_now(fill)
    chunks = {t.name: dumped(database, shelf, t) for t in (CONTENTS, SEALS)}
    other = Database(databases.copy("tables", kinds.make_tables, "other"))
    try:
        other.write_now(lambda c: load(c, shelf, chunks))
        for table in (CONTENTS, SEALS):
            assert there(other, table) == there(database, table)
        assert [row[6] for row in there(other, SEALS)] == [True, False]
    finally:
        other.stop()
