"""What an account has taken by POP3 is hidden from it, and from nobody else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, MetaData

from gateway.store.blobs import MemoryBlobs
from gateway.store.database import Database
from mailboxes.content import Content
from mailboxes.events import Act, NoEvents, Person
from mailboxes.store import FolderSpec, MailboxStore
from mailboxes.tables import make_tables
from mailboxes.taken import Taken

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WANG = Person("wang")


@pytest.fixture
def taken(metadata: MetaData) -> Taken:
    return Taken(make_tables(metadata))


class Told(NoEvents):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def opened(self, connection: Connection, act: Act) -> None:
        assert connection.in_transaction()
        self.heard.append(f"opened by {act.by.login}")


def filled(conn: Connection, store: MailboxStore, count: int) -> tuple[int, list[int]]:
    """The folder INBOX of a unit with so many messages."""
    store.ensure_mailbox(
        conn, "unit:water", [FolderSpec("INBOX"), FolderSpec("Trash", "\\Trash")], NOW
    )
    inbox = store.folder_id(conn, "unit:water", "INBOX")
    content = Content.of_octets(b"Subject: x\r\n\r\nx\r\n", key="k", kind="receipt")
    content_id = store.add_content(conn, content, NOW)
    return inbox, [
        store.append(conn, [inbox], content_id, now=NOW)[0].message_id for _ in range(count)
    ]


def test_taken_messages_are_hidden_from_that_account_alone_and_stay(
    database: Database, store: MailboxStore, taken: Taken
) -> None:
    inbox, ids = database.write_now(lambda c: filled(c, store, 3))
    assert database.write_now(lambda c: taken.take(c, inbox, [1, 2], "wang", NOW)) == 2
    # once more from another session, with one that is new
    assert database.write_now(lambda c: taken.take(c, inbox, [1, 2, 3], "wang", NOW)) == 1
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == set(ids)
    assert database.read_now(lambda c: taken.of(c, inbox, "li")) == set()
    assert len(database.read_now(lambda c: store.messages(c, inbox))) == 3
    assert database.write_now(lambda c: taken.give_back(c, "li")) == 0
    assert database.write_now(lambda c: taken.give_back(c, "wang")) == 3
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == set()


def test_what_has_left_the_folder_is_left_out_and_comes_back_hidden_if_it_was_taken(
    database: Database, store: MailboxStore, taken: Taken
) -> None:
    inbox, ids = database.write_now(lambda c: filled(c, store, 3))
    trash = database.read_now(lambda c: store.folder_id(c, "unit:water", "Trash"))
    database.write_now(lambda c: taken.take(c, inbox, [1], "wang", NOW))
    database.write_now(lambda c: store.move(c, inbox, ids[:2], trash, now=NOW))
    database.write_now(lambda c: store.expunge(c, inbox, ids[2:], now=NOW))
    assert database.write_now(lambda c: taken.take(c, inbox, [1, 2, 3], "wang", NOW)) == 0
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == set()
    database.write_now(lambda c: store.move(c, trash, ids[:2], inbox, now=NOW))
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == {ids[0]}
    assert database.write_now(lambda c: store.expunge(c, inbox, ids[:1], now=NOW))
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == set()


def test_new_mail_is_not_taken_for_one_that_is_gone(
    database: Database, store: MailboxStore, taken: Taken
) -> None:
    """A colleague had removed the newest message before QUIT, SQLite gave its id again, and the new
    mail was never shown."""
    inbox, ids = database.write_now(lambda c: filled(c, store, 2))
    database.write_now(lambda c: store.expunge(c, inbox, ids[1:], now=NOW))
    database.write_now(lambda c: filled(c, store, 1))
    assert database.write_now(lambda c: taken.take(c, inbox, [2], "wang", NOW)) == 0
    assert database.read_now(lambda c: taken.of(c, inbox, "wang")) == set()


def test_what_a_program_marks_as_read_nobody_has_opened(
    database: Database, metadata: MetaData, blobs: MemoryBlobs
) -> None:
    events = Told()
    store = MailboxStore(make_tables(metadata), blobs.open, events)
    inbox, ids = database.write_now(lambda c: filled(c, store, 1))
    flagged = database.write_now(
        lambda c: store.flag(c, inbox, ids, add=["\\Seen"], now=NOW, by=WANG, unasked=True)
    )
    assert flagged.flags == {ids[0]: ("\\Seen",)}
    assert events.heard == []
    again = database.write_now(
        lambda c: store.flag(c, inbox, ids, add=["\\Seen"], now=NOW, by=Person("li"))
    )
    assert again.changed == tuple(ids)
    assert events.heard == ["opened by li"]
