"""An exported Maildir is what another program reads: octets, flags, dates, folders."""

from __future__ import annotations

import mailbox
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from gateway.store.database import Database
from mailboxes import utf7
from mailboxes.content import Content
from mailboxes.errors import NoSuchFolder
from mailboxes.maildir import Progress, export
from mailboxes.store import FolderSpec, MailboxStore

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def _receipt(octets: bytes) -> Content:
    return Content.of_octets(octets, key="k", kind="receipt")


@pytest.fixture
def office(database: Database, store: MailboxStore) -> Database:
    def work(conn: Connection) -> None:
        names = ("INBOX", "回执", "文件柜/收文 v1.2")
        store.ensure_mailbox(conn, "unit:water", [FolderSpec(name) for name in names], NOW)
        for number, name in enumerate(names):
            mail = b"Subject: %d\r\n\r\nbody\r\n" % number
            content_id = store.add_content(
                conn, Content.of_octets(mail, key="k", kind="receipt"), NOW
            )
            folder = store.folder_id(conn, "unit:water", name)
            store.append(conn, [folder], content_id, flags=["\\Seen", "urgent"], now=NOW)

    database.write_now(work)
    return database


def test_another_program_reads_the_export(
    office: Database, store: MailboxStore, tmp_path: Path
) -> None:
    target, told = tmp_path / "out", list[Progress]()
    done = office.read_now(lambda c: export(store, c, "unit:water", target, progress=told.append))
    assert (done.done, done.total, [p.done for p in told]) == (3, 3, [1, 2, 3])
    maildir = mailbox.Maildir(target, create=False)
    assert sorted(maildir.list_folders()) == ["&Vt5iZw-", "&ZYdO9mfc-.&ZTZlhw- v1&AC4-2"]
    (message,) = list(maildir)
    assert message["Subject"] == "0"
    assert "S" in message.get_flags()
    assert message.get_date() == NOW.timestamp()
    (file,) = (target / ".&Vt5iZw-" / "cur").iterdir()
    assert file.read_bytes() == b"Subject: 1\r\n\r\nbody\r\n"
    assert file.stat().st_mtime == NOW.timestamp()
    assert (target / "dovecot-keywords").read_text() == "0 urgent\n"
    assert not list((target / "tmp").iterdir())


def test_an_export_that_is_repeated_writes_nothing_twice(
    office: Database, store: MailboxStore, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    office.read_now(lambda c: export(store, c, "unit:water", target))
    (before,) = (target / "cur").iterdir()

    def unflag(conn: Connection) -> None:
        folder = store.folder_id(conn, "unit:water", "INBOX")
        message = store.messages(conn, folder)[0].id
        store.flag(conn, folder, [message], add=["\\Flagged"], remove=["\\Seen"], now=NOW)

    office.write_now(unflag)
    again = office.read_now(lambda c: export(store, c, "unit:water", target))
    assert again.octets == 0
    (after,) = (target / "cur").iterdir()
    assert before.name.endswith(":2,Sa")
    assert after.name.endswith(":2,Fa")


def test_another_directory_is_left_alone(
    office: Database, store: MailboxStore, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileExistsError):
        office.read_now(lambda c: export(store, c, "unit:water", tmp_path))
    with pytest.raises(NoSuchFolder):
        office.read_now(lambda c: export(store, c, "unit:none", tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "coded"),
    [("回执", "&Vt5iZw-"), ("a&b", "a&-b"), ("Sent", "Sent"), ("已发送", "&XfJT0ZAB-")],
)
def test_names_are_in_modified_utf7(name: str, coded: str) -> None:
    assert utf7.encode(name) == coded
    assert utf7.decode(coded) == name


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["", "./"]))
def test_any_name_comes_back(name: str, also: str) -> None:
    coded = utf7.encode(name, also)
    assert coded.isascii()
    assert not any(letter in coded.replace("&-", "") for letter in also if letter != "/")
    assert utf7.decode(coded) == name
