"""How a damage is written down, and the hands that do it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.fsck.codes import Code
from tests.unit.fsck.lived import Lived

ID = "01kjpb7wg0e008000000000000"  # of nothing that exists


@dataclass(frozen=True)
class Damage:
    """How to damage, what must be named with which subject, and what else follows from it."""

    code: Code
    apply: Callable[[Lived], object]
    also: frozenset[Code] = frozenset()
    only: str = ""  # the kind of database on which it can happen


DAMAGES: dict[str, Damage] = {}


def damage(
    code: Code, *also: Code, only: str = ""
) -> Callable[[Callable[[Lived], object]], Callable[[Lived], object]]:
    """Registers a damage; the function does it and returns the subject of the fault."""

    def register(function: Callable[[Lived], object]) -> Callable[[Lived], object]:
        DAMAGES[function.__name__] = Damage(code, function, frozenset(also), only)
        return function

    return register


def aged(path: Path) -> str:
    """The file as if it had lain there for two hours; its name."""
    path.touch()
    old = time.time() - 7200
    os.utime(path, (old, old))
    return path.name


def delivery(store: Lived, change: str, name: str, owner: str = "") -> int:
    found = store.one(
        "SELECT min(id) FROM deliveries WHERE document_id = :id AND owner LIKE :owner",
        id=store[name], owner=owner or "%",
    )  # fmt: skip
    store.change("deliveries", found, change)
    return int(found)


def without_constraint(store: Lived, table: str) -> None:
    """The same table without its constraints and indexes, as a damaged index would leave it."""
    columns = [
        row[0]
        for row in store.sql(
            "SELECT name FROM pragma_table_info(:table)"
            if store.database.engine.dialect.name == "sqlite"
            else "SELECT column_name FROM information_schema.columns WHERE table_name = :table"
            " ORDER BY ordinal_position",
            table=table,
        )
    ]
    names = ", ".join(columns)
    store.sql(f"CREATE TABLE copied AS SELECT {names} FROM {table}")  # noqa: S608
    store.sql(
        f"DROP TABLE {table}"
        + ("" if store.database.engine.dialect.name == "sqlite" else " CASCADE")
    )
    store.sql(f"ALTER TABLE copied RENAME TO {table}")


def record(store: Lived, change: str, sequence: int = 2, **values: object) -> str:
    found = store.one(
        "SELECT id FROM evidence_records WHERE document_id = :id AND sequence = :sequence",
        id=store["signed"], sequence=sequence,
    )  # fmt: skip
    if change:
        store.change("evidence_records", found, change, **values)
    return str(found)


def mail_again(store: Lived, kind: str, name: str, folder: str = "folder_id") -> int:
    """A second content like the first, shown in the same folder or in another."""
    content = store.one(
        "SELECT min(c.id) FROM mailbox_contents c JOIN mailbox_messages m ON m.content_id = c.id"
        " WHERE c.kind = :kind AND c.key = :id",
        kind=kind, id=store[name],
    )  # fmt: skip
    store.sql(
        "INSERT INTO mailbox_contents SELECT id + 1000, key, kind, blob, prefix, size_original,"
        " cuts, octets, size, digest, structure, envelope, bodystructure, created, header"
        " FROM mailbox_contents WHERE id = :id",
        id=content,
    )
    store.sql(
        f"INSERT INTO mailbox_messages SELECT id + 1000, {folder}, content_id + 1000, uid + 100,"  # noqa: S608
        " modseq, flags, seen, arrived, opened, handed_over FROM mailbox_messages"
        " WHERE content_id = :id",
        id=content,
    )
    store.sql("UPDATE mailbox_folders SET uidnext = uidnext + 200, modseq = modseq + 200")
    count(store)
    return int(content)


def count(store: Lived) -> None:
    """Each folder counts what is in it, as the store does with every change."""
    inside = "FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id"
    where = "WHERE m.folder_id = mailbox_folders.id"
    store.sql(
        f"UPDATE mailbox_folders SET messages = (SELECT count(*) {inside} {where}),"  # noqa: S608
        f" octets = (SELECT coalesce(sum(c.size), 0) {inside} {where})"
    )


def lose(store: Lived, message: int) -> None:
    """The message is gone, and its folder does not know of it."""
    store.sql("DELETE FROM mailbox_messages WHERE id = :id", id=message)
    count(store)


def piece(store: Lived, change: str, kind: str) -> int:
    found = store.one("SELECT min(id) FROM outbox WHERE kind = :kind", kind=kind)
    store.change("outbox", found, change)
    return int(found)


def reminder(store: Lived, change: str, name: str = "fresh") -> str:
    found = store.one("SELECT id FROM reminders WHERE document_id = :id", id=store[name])
    store.change("reminders", found, change)
    return str(found)


def messages(store: Lived, name: str, owner: str) -> list[int]:
    return [
        row[0]
        for row in store.sql(
            "SELECT m.id FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id"
            " JOIN mailbox_folders f ON f.id = m.folder_id"
            " JOIN mailbox_owners o ON o.id = f.owner_id"
            " WHERE c.key = :key AND c.kind = 'document' AND o.owner = :owner ORDER BY m.id",
            key=store[name], owner=owner,
        )
    ]  # fmt: skip


def content(store: Lived, change: str, kind: str, name: str, **values: object) -> int:
    found = store.one("SELECT min(id) FROM mailbox_contents WHERE kind = :kind AND key = :id",
                      kind=kind, id=store[name])  # fmt: skip
    store.change("mailbox_contents", found, change, **values)
    return int(found)


def folder(store: Lived, change: str, name: str = "INBOX") -> int:
    found = store.one(
        "SELECT f.id FROM mailbox_folders f JOIN mailbox_owners o ON o.id = f.owner_id"
        " WHERE o.owner = 'unit:water' AND f.name = :name",
        name=name,
    )
    store.change("mailbox_folders", found, change)
    return int(found)


def other(name: str) -> str:
    """An id like that one, of nothing."""
    return name[:-1] + ("y" if name.endswith("z") else "z")
