"""Rows of mailboxes in a real SQLite file: UIDs, flags, modification sequences, events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, MetaData, event

from gateway.store.blobs import MemoryBlobs
from gateway.store.database import Database
from mailboxes.content import Content
from mailboxes.encode import from_json, to_json
from mailboxes.errors import NoSuchFolder, NoSuchMessage, Veto
from mailboxes.events import Act, NoEvents, Person
from mailboxes.scan import scan
from mailboxes.store import FolderSpec, MailboxStore
from mailboxes.tables import make_tables
from mailboxes.tree import Fill, FolderTree
from mailboxes.view import restructure, view_of

NOW = datetime(2026, 11, 21, 9, 30, 0, 123_000, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
FOLDERS = [FolderSpec("INBOX"), FolderSpec("Sent", "\\Sent"), FolderSpec("回执", subscribed=False)]
MAIL = b"Subject: x\r\nX-Yizhan-A: forged\r\nFrom: a@x\r\n\r\nhello\r\n"
WANG, LI = Person("wang", "192.0.2.1"), Person("li", "192.0.2.2", "certificate")
PREFIX = b"X-Yizhan-A: b\r\n"


def receipt(key: str = "k") -> Content:
    return Content.of_octets(MAIL, key=key, kind="receipt")


def document(blobs: MemoryBlobs) -> Content:
    blobs.put("blob", [MAIL])
    part = scan(MAIL)
    view = view_of(part, len(MAIL), PREFIX, lambda f: f.name == "X-Yizhan-A")
    digest = hashlib.sha256(b"".join(view.pieces(lambda: blobs.open("blob")))).hexdigest()
    shown = restructure(part, view)
    header = view.read(lambda: blobs.open("blob"), 0, shown.body_start)
    return Content.of_view(
        "blob", view, shown, header=header, digest=digest, key="doc", kind="document"
    )


def filled(
    conn: Connection, store: MailboxStore, content: Content, owner: str = "unit:water"
) -> int:
    """A mailbox with that content in its INBOX; the message's id."""
    store.ensure_mailbox(conn, owner, FOLDERS, NOW)
    content_id = store.add_content(conn, content, NOW)
    folder = store.folder_id(conn, owner, "inbox")
    return store.append(conn, [folder], content_id, now=NOW)[0].message_id


def inbox_of(conn: Connection, store: MailboxStore) -> int:
    return store.folder_id(conn, "unit:water", "INBOX")


def test_a_mailbox_is_made_once_and_gets_what_is_missing(
    database: Database, store: MailboxStore
) -> None:
    first = database.write_now(lambda c: store.ensure_mailbox(c, "unit:water", FOLDERS[:1], NOW))
    again = database.write_now(lambda c: store.ensure_mailbox(c, "unit:water", FOLDERS, NOW))
    assert first == again
    database.write_now(lambda c: store.ensure_mailbox(c, "unit:fire", [], NOW))
    assert database.read_now(store.owners) == ["unit:fire", "unit:water"]
    folders = database.read_now(lambda c: store.folders(c, "unit:water"))
    assert [(f.name, f.special_use, f.subscribed) for f in folders] == [
        ("INBOX", "", True),
        ("Sent", "\\Sent", True),
        ("回执", "", False),
    ]
    assert len({f.uidvalidity for f in folders}) == 3
    assert all(f.uidvalidity >= int(NOW.timestamp()) for f in folders)
    assert database.read_now(lambda c: store.folders(c, "unit:fire")) == []


@pytest.mark.parametrize("name", ["", "a//b", "/a", " a", "a\nb", "a\x00"])
def test_a_bad_folder_name_is_refused(database: Database, store: MailboxStore, name: str) -> None:
    with pytest.raises(ValueError, match="folder name"):
        database.write_now(lambda c: store.ensure_mailbox(c, "u", [FolderSpec(name)], NOW))


def test_missing_folders_and_messages_are_said_so(database: Database, store: MailboxStore) -> None:
    with pytest.raises(NoSuchFolder):
        database.read_now(lambda c: store.folder_id(c, "unit:water", "INBOX"))
    with pytest.raises(NoSuchFolder):
        database.read_now(lambda c: store.folders(c, "unit:water"))
    with pytest.raises(NoSuchFolder):
        database.write_now(lambda c: store.append(c, [99], 1, now=NOW))
    with pytest.raises(NoSuchFolder):
        database.write_now(lambda c: store.expunge(c, 99, [1], now=NOW))
    with pytest.raises(NoSuchMessage):
        database.read_now(lambda c: store.pieces(c, 99))


def test_a_message_is_a_view_of_its_blob(
    database: Database, store: MailboxStore, blobs: MemoryBlobs
) -> None:
    message = database.write_now(lambda c: filled(c, store, document(blobs)))
    expected = PREFIX + b"Subject: x\r\nFrom: a@x\r\n\r\nhello\r\n"

    def look(conn: Connection) -> None:
        row = store.message(conn, message)
        assert (row.uid, row.size, row.key, row.kind) == (1, len(expected), "doc", "document")
        assert row.arrived == NOW
        assert b"".join(store.pieces(conn, message)) == expected
        assert store.read(conn, message, 5, 20) == expected[5:25]
        assert store.structure(conn, message) == from_json(to_json(scan(expected)))
        envelope, structure = store.imap_data(conn, message)
        assert '"x"' in envelope
        assert "us-ascii" in structure
        located = store.find_by_key(conn, "doc")
        assert [(found.owner, found.folder, found.message) for found in located] == [
            ("unit:water", "INBOX", row)
        ]
        assert store.find_by_key(conn, "none") == []

    database.read_now(look)


def test_an_inline_message_reads_as_it_was_given(database: Database, store: MailboxStore) -> None:
    message = database.write_now(lambda c: filled(c, store, receipt()))
    assert database.read_now(lambda c: b"".join(store.pieces(c, message))) == MAIL
    assert database.read_now(lambda c: store.read(c, message, 9, 1)) == b"x"


def test_a_notice_to_a_thousand_folders_is_a_handful_of_statements(
    database: Database, store: MailboxStore
) -> None:
    owners = [f"unit:{n}" for n in range(1000)]
    database.write_now(
        lambda c: [store.ensure_mailbox(c, owner, FOLDERS[:1], NOW) for owner in owners]
    )
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "BEGIN")):
            statements.append(statement)

    def deliver(conn: Connection) -> None:
        content_id = store.add_content(conn, receipt(), NOW)
        found = store.folder_ids(conn, owners, "INBOX")
        appended = store.append(conn, list(found.values()), content_id, now=NOW)
        assert {one.folder_id for one in appended} == set(found.values())
        assert {(one.uid, one.modseq) for one in appended} == {(1, 2)}
        assert len({one.message_id for one in appended}) == 1000

    event.listen(database.engine, "before_cursor_execute", note)
    database.write_now(deliver)
    assert len(statements) <= 8
    folder = database.read_now(lambda c: store.folders(c, "unit:999"))[0]
    assert (folder.messages, folder.unseen, folder.size) == (1, 1, len(MAIL))


def test_uids_and_modification_sequences_grow(database: Database, store: MailboxStore) -> None:
    def work(conn: Connection) -> None:
        filled(conn, store, receipt())
        filled(conn, store, receipt())
        inbox = store.folder_id(conn, "unit:water", "INBOX")
        first, second = store.messages(conn, inbox)
        assert [(m.uid, m.modseq) for m in (first, second)] == [(1, 2), (2, 3)]
        flagged = store.flag(conn, inbox, [first.id], add=["\\seen", "$Forwarded"], now=NOW)
        assert flagged.flags == {first.id: ("$Forwarded", "\\Seen")}
        assert (flagged.changed, flagged.modseq) == ((first.id,), 4)
        assert [m.id for m in store.messages(conn, inbox, changed_since=3)] == [first.id]
        assert store.messages(conn, inbox, after_uid=1) == [second]
        assert len(store.messages(conn, inbox, limit=1)) == 1
        same = store.flag(conn, inbox, [first.id], add=["$forwarded"], now=NOW)
        assert (same.changed, same.modseq) == ((), 4)  # no change, no new modseq
        folder = store.folders(conn, "unit:water")[0]
        assert (folder.modseq, folder.uidnext, folder.unseen) == (4, 3, 1)
        gone = store.flag(conn, inbox, [first.id], remove=["\\SEEN"], now=NOW)
        assert gone.flags == {first.id: ("$Forwarded",)}
        late = store.flag(
            conn, inbox, [first.id, second.id], replace=["\\Draft"], unchanged_since=4, now=NOW
        )
        assert (late.flags, late.failed) == ({second.id: ("\\Draft",)}, [1])
        assert store.expunge(conn, inbox, [second.id], now=NOW) == [2]
        assert store.expunge(conn, inbox, [second.id], now=NOW) == []
        assert store.expunged(conn, inbox, 4) == [(2, 7)]
        assert store.expunged(conn, inbox, 7) == []
        folder = store.folders(conn, "unit:water")[0]
        assert (folder.uidnext, folder.messages, folder.size) == (3, 1, len(MAIL))

    database.write_now(work)


def test_what_is_no_flag_is_refused(database: Database, store: MailboxStore) -> None:
    message = database.write_now(lambda c: filled(c, store, receipt()))
    inbox = database.read_now(lambda c: inbox_of(c, store))
    for flag in ("", "\\Recent", "a b", "a(", "标"):
        add = partial(store.flag, folder_id=inbox, message_ids=[message], add=[flag], now=NOW)
        with pytest.raises(ValueError, match="flag"):
            database.write_now(add)


def test_a_moved_message_keeps_its_id_and_leaves_a_trace(
    database: Database, store: MailboxStore
) -> None:
    def work(conn: Connection) -> None:
        message = filled(conn, store, receipt())
        inbox = store.folder_id(conn, "unit:water", "INBOX")
        sent = store.folder_id(conn, "unit:water", "Sent")
        store.flag(conn, inbox, [message], add=["\\Flagged"], now=NOW)
        [copied] = store.copy(conn, inbox, [message], sent, now=NOW)
        [moved] = store.move(conn, inbox, [message], sent, now=NOW)
        assert (copied.uid, copied.to.uid) == (1, 1)
        assert (moved.uid, moved.to.uid, moved.to.message_id) == (1, 2, message)
        assert store.move(conn, inbox, [message], sent, now=NOW) == []
        assert store.messages(conn, inbox) == []
        assert store.expunged(conn, inbox, 0) == [(1, 4)]
        assert [m.flags for m in store.messages(conn, sent)] == [("\\Flagged",)] * 2
        assert [m.arrived for m in store.messages(conn, sent)] == [NOW] * 2
        [again] = store.move(conn, sent, [message], sent, now=NOW)
        assert (again.to.uid, store.expunged(conn, sent, 0)) == (3, [(2, again.to.modseq)])
        folders = {one.name: one for one in store.folders(conn, "unit:water")}
        assert [(folders[n].messages, folders[n].size) for n in ("INBOX", "Sent")] == [
            (0, 0),
            (2, 2 * len(MAIL)),
        ]

    database.write_now(work)


def test_nothing_is_put_into_a_folder_that_was_removed_meanwhile(
    database: Database, store: MailboxStore, metadata: MetaData
) -> None:
    """A client had looked for the folder before another one removed it: its id was still good, and
    the message was where nobody would ever see it."""
    tree = FolderTree(make_tables(metadata))

    def work(conn: Connection) -> None:
        message = filled(conn, store, receipt())
        content = store.add_content(conn, receipt("b"), NOW)
        inbox = inbox_of(conn, store)
        gone = tree.create(conn, "unit:water", "办件", NOW).id
        tree.delete(conn, "unit:water", "办件", NOW)
        acts: list[Callable[[], object]] = [
            lambda: store.append(conn, [gone], content, now=NOW),
            lambda: store.append(conn, [inbox, gone], content, now=NOW),
            lambda: store.copy(conn, inbox, [message], gone, now=NOW),
            lambda: store.move(conn, inbox, [message], gone, now=NOW),
        ]
        for act in acts:
            with pytest.raises(NoSuchFolder):
                act()
        assert [one.id for one in store.messages(conn, inbox)] == [message]

    database.write_now(work)


def test_the_fullest_mailboxes_are_named_by_their_own_limit_or_the_general_one(
    database: Database, store: MailboxStore, metadata: MetaData
) -> None:
    tree, size = FolderTree(make_tables(metadata)), len(MAIL)

    def work(conn: Connection) -> None:
        for owner, limit in (("unit:a", size), ("unit:b", None), ("unit:c", 0), ("unit:d", 1)):
            filled(conn, store, receipt(), owner)
            tree.limit(conn, owner, limit)
        assert tree.fullest(conn, 0) == [Fill("unit:d", size, 1), Fill("unit:a", size, size)]
        general = size + 1
        assert [one.owner for one in tree.fullest(conn, general)] == ["unit:d", "unit:a"]
        some = tree.fullest(conn, general, 0.9)
        assert [one.owner for one in some] == ["unit:d", "unit:a", "unit:b"]

    database.write_now(work)


def test_contents_that_nobody_sees_are_swept(database: Database, store: MailboxStore) -> None:
    message = database.write_now(lambda c: filled(c, store, receipt("a")))
    database.write_now(lambda c: filled(c, store, receipt("b")))
    assert database.write_now(lambda c: store.sweep(c, store.unshown(c))) == 0
    database.write_now(lambda c: store.expunge(c, inbox_of(c, store), [message], now=NOW))
    assert database.write_now(lambda c: store.sweep(c, store.unshown(c))) == 1
    assert len(database.read_now(lambda c: store.find_by_key(c, "b"))) == 1


@dataclass
class Told(NoEvents):
    """Notes what it is told; forbids to expunge."""

    heard: list[tuple[object, ...]] = field(default_factory=list)

    def note(self, connection: Connection, *what: object) -> None:
        assert connection.in_transaction()
        self.heard.append(what)

    def opened(self, connection: Connection, act: Act) -> None:
        self.note(connection, "opened", act.by.login, act.owner, act.folder, act.key, act.at)

    def handed_over(self, connection: Connection, act: Act) -> None:
        self.note(connection, "handed over", act.message_id)

    wants_locks = True

    def lock(self, connection: Connection, keys: Sequence[str]) -> None:
        self.note(connection, "lock", *keys)

    def moved(self, connection: Connection, act: Act, owner: str, target: str) -> None:
        self.note(connection, "moved", act.folder, owner, target)

    def copied(
        self, connection: Connection, act: Act, owner: str, target: str, copy_id: int
    ) -> None:
        self.note(connection, "copied", owner, target, copy_id != act.message_id)

    def appended(self, connection: Connection, act: Act) -> None:
        self.note(connection, "appended", act.folder)

    def expunged(self, connection: Connection, act: Act) -> None:
        assert connection.in_transaction()
        raise Veto(f"{act.key} is kept")


def test_acts_at_a_client_are_told_once_and_may_be_forbidden(
    database: Database, metadata: MetaData, blobs: MemoryBlobs
) -> None:
    events = Told()
    store = MailboxStore(make_tables(metadata), blobs.open, events)
    message = database.write_now(lambda c: filled(c, store, receipt()))
    assert events.heard == []

    def work(conn: Connection) -> None:
        inbox, sent = inbox_of(conn, store), store.folder_id(conn, "unit:water", "Sent")
        for _ in range(2):
            store.flag(conn, inbox, [message], add=["\\Seen"], now=LATER, by=WANG)
            store.flag(conn, inbox, [message], remove=["\\Seen"], now=LATER, by=WANG)
            store.hand_over(conn, inbox, [message], now=LATER, by=WANG)
        store.copy(conn, inbox, [message], sent, now=LATER, by=WANG)
        store.move(conn, inbox, [message], sent, now=LATER, by=WANG)
        content_id = store.add_content(conn, receipt(), NOW)
        store.append(conn, [sent], content_id, now=NOW, by=WANG)

    database.write_now(work)
    assert events.heard == [
        ("lock", "k"),
        ("opened", "wang", "unit:water", "INBOX", "k", LATER),
        ("lock", "k"),
        ("handed over", message),
        ("lock", "k"),
        ("lock", "k"),
        ("lock", "k"),
        ("copied", "unit:water", "Sent", True),
        ("lock", "k"),
        ("moved", "INBOX", "unit:water", "Sent"),
        ("lock", "k"),
        ("appended", "Sent"),
    ]
    sent = database.read_now(lambda c: store.folder_id(c, "unit:water", "Sent"))
    with pytest.raises(Veto):
        database.write_now(lambda c: store.expunge(c, sent, [message], now=LATER, by=WANG))
    assert database.read_now(lambda c: store.message(c, message)).id == message


def test_what_one_account_has_read_is_new_to_the_other(
    database: Database, store: MailboxStore
) -> None:
    def work(conn: Connection) -> None:
        message = filled(conn, store, receipt())
        inbox, sent = inbox_of(conn, store), store.folder_id(conn, "unit:water", "Sent")

        def flags(by: Person, **change: Sequence[str]) -> tuple[str, ...]:
            return store.flag(conn, inbox, [message], now=NOW, by=by, **change).flags[message]

        assert flags(WANG, add=["\\Seen", "\\Flagged"]) == ("\\Flagged", "\\Seen")
        assert flags(LI, add=["\\Flagged"]) == ("\\Flagged",)
        assert flags(LI, replace=["\\Seen"]) == ("\\Seen",)
        assert flags(WANG, remove=["\\Seen"]) == ()
        assert flags(LI) == ("\\Seen",)
        [copied] = store.copy(conn, inbox, [message], sent, now=NOW, by=WANG)
        moved = store.move(conn, inbox, [message], sent, now=NOW, by=WANG)
        for one in (copied.to, moved[0].to):
            seen = store.flag(conn, sent, [one.message_id], now=NOW, by=LI)
            assert seen.flags == {one.message_id: ("\\Seen",)}
            unseen = store.flag(conn, sent, [one.message_id], now=NOW, by=WANG)
            assert unseen.flags == {one.message_id: ()}
        store.expunge(conn, sent, [copied.to.message_id, message], now=NOW, by=LI)

    database.write_now(work)


def test_tables_are_made_once_on_one_metadata(metadata: MetaData) -> None:
    assert make_tables(metadata) == make_tables(metadata)
    assert all(name.startswith("mailbox_") for name in metadata.tables)
