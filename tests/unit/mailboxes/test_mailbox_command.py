"""`yizhan mailbox` on a real office's database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from gateway import config_file
from gateway.cli.mailbox import app
from gateway.directory import changes, demo_office
from gateway.errors import CommandError
from gateway.exchange.mailroom import open_mailboxes
from gateway.store import identity
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from gateway.store.drivers import open_blobs
from mailboxes.content import Content
from mailboxes.store import FolderSpec, MailboxStore, MessageRow
from tests.databases import Databases, migrated

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MAIL = "Subject: 水\r\n\r\nhello\r\n".encode()
CONFIG = """\
[office]
domain = "heping.test"
name = "和平区"
[state]
directory = "state"
[submission]
listeners = [{ port = 2587 }]
[tls]
certificate = "tls.pem"
key = "tls.key"
"""


@pytest.fixture
def config(tmp_path: Path, databases: Databases) -> str:
    """The configuration of an office with one mailbox and one message."""
    path = tmp_path / "yizhan.toml"
    url = databases.copy("migrated", migrated)
    path.write_text(CONFIG.replace("[state]\n", f'[state]\ndatabase = "{url}"\n'), encoding="utf-8")
    (tmp_path / "tls.pem").touch()
    (tmp_path / "tls.key").touch()
    state = tmp_path / "state"
    state.mkdir()
    database = Database(url)
    identity.create(database, state, "heping.test", NOW)
    store = open_mailboxes(FileBlobs(state / "blobs"))

    def fill(conn: Connection) -> None:
        demo_office.populate(conn, "heping.test", {}, "test", NOW)
        store.ensure_mailbox(conn, "unit:water", [FolderSpec("INBOX"), FolderSpec("回执")], NOW)
        content_id = store.add_content(
            conn, Content.of_octets(MAIL, key="doc", kind="receipt"), NOW
        )
        folder = store.folder_id(conn, "unit:water", "回执")
        store.append(conn, [folder], content_id, flags=["\\Seen"], now=NOW)

    database.write_now(fill)
    database.stop()
    return str(path)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_shows_folders_and_counts(config: str) -> None:
    (found,) = json.loads(run("list", "--json", "-c", config))
    assert found["owner"] == "unit:water"
    counts = [(f["name"], f["messages"], f["unseen"], f["size"]) for f in found["folders"]]
    assert counts == [("INBOX", 0, 0, 0), ("回执", 1, 0, len(MAIL))]
    assert "unit:water" in run("list", "-c", config)


def test_show_tells_everything_but_the_subject(config: str) -> None:
    (found,) = json.loads(run("show", "unit:water", "--json", "-c", config))
    assert (found["folder"], found["uid"], found["flags"]) == ("回执", 1, ["\\Seen"])
    assert (found["kind"], found["key"], found["size"]) == ("receipt", "doc", len(MAIL))
    assert "水" not in run("show", "unit:water", "-c", config)
    assert json.loads(run("show", "unit:water", "-f", "INBOX", "--json", "-c", config)) == []


def test_export_writes_a_maildir(config: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    said = json.loads(run("export", "unit:water", "--maildir", str(target), "--json", "-c", config))
    assert (said["messages"], said["octets"]) == (1, len(MAIL))
    (file,) = (target / ".&Vt5iZw-" / "cur").iterdir()
    assert file.read_bytes() == MAIL


def test_what_is_removed_during_an_export_is_in_it(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL it broke off: each statement saw what was so at that moment."""
    office = config_file.load(Path(config))
    database = Database(office.state.database_url, readers=1)
    store = open_mailboxes(open_blobs(office))
    whole = MailboxStore.messages

    def remove(self: MailboxStore, conn: Connection, folder_id: int) -> list[MessageRow]:
        found = whole(self, conn, folder_id)
        ids = [row.id for row in found]
        database.write_now(lambda c: store.expunge(c, folder_id, ids, now=NOW))
        return found

    monkeypatch.setattr(MailboxStore, "messages", remove)
    said = json.loads(
        run("export", "unit:water", "--maildir", str(tmp_path / "out"), "--json", "-c", config)
    )
    assert said["messages"] == 1
    monkeypatch.undo()
    assert json.loads(run("show", "unit:water", "--json", "-c", config)) == []
    database.stop()


@pytest.mark.one_database("words of the command; the tree has tests on both")
def test_a_wrong_name_is_one_sentence(config: str, tmp_path: Path) -> None:
    for words in (
        ["show", "unit:none"],
        ["show", "unit:water", "-f", "None"],
        ["export", "unit:none", "--maildir", str(tmp_path / "out")],
        ["export", "unit:water", "--maildir", str(tmp_path)],
    ):
        with pytest.raises(CommandError):
            run(*words, "-c", config)


@pytest.mark.one_database("words of the command; the tree has tests on both")
def test_a_quota_is_shown_set_and_taken_back(config: str) -> None:
    def quota(*words: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(run("quota", *words, "--json", "-c", config))
        return found

    assert quota("water") == {
        "owner": "unit:water", "octets": len(MAIL), "messages": 1, "limit": None, "own": False,
    }  # fmt: skip
    assert quota("water", "2GB")["limit"] == 2 * 10**9
    assert quota("water", "1.5 MiB")["limit"] == 3 * 2**19
    assert quota("water")["own"] is True
    assert "1.6 MB may be in it (0% of it), set for" in run("quota", "water", "-c", config)
    assert (quota("water", "none")["limit"], quota("water")["own"]) == (None, True)
    assert quota("water", "office")["own"] is False
    for wrong in ("2XB", "-1GB", "0", "iB", "much"):
        with pytest.raises(CommandError, match="is no size"):
            run("quota", "water", "-c", config, "--", wrong)
    with pytest.raises(CommandError, match="no mailbox unit:none"):
        run("quota", "none", "-c", config)


@pytest.mark.one_database("words of the command; the tree has tests on both")
def test_rights_are_shown_given_and_taken_back(config: str) -> None:
    def rights(*words: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(
            run("rights", "water", "INBOX", *words, "--json", "-c", config)
        )
        return found

    usual = rights()["accounts"]
    assert usual["water"] and "finance" not in usual
    assert rights("--set", "water", "lr")["accounts"] == {**usual, "water": "lr"}
    assert rights()["given"] == {"water": "lr"}
    assert rights("--set", "$clerk", "none")["given"] == {"water": "lr", "$clerk": ""}
    rights("--set", "$clerk", "role")
    assert rights("--set", "water", "role") == {
        "owner": "unit:water", "folder": "INBOX", "given": {}, "accounts": usual,
    }  # fmt: skip
    assert "water" in run("rights", "water", "INBOX", "-c", config)
    for who, letters in (("nobody", "lr"), ("$king", "lr"), ("water", "lrz")):
        with pytest.raises(CommandError):
            rights("--set", who, letters)
    with pytest.raises(CommandError, match="has no folder None"):
        run("rights", "water", "None", "-c", config)


@pytest.mark.one_database("words of the command; the tree has tests on both")
def test_what_was_set_stands_in_the_log_of_changes(config: str) -> None:
    run("quota", "water", "2GB", "-c", config)
    run("rights", "water", "INBOX", "--set", "water", "lr", "-c", config)
    settings = config_file.load(Path(config))
    database = Database(settings.state.database_url, readers=1)
    found = database.read_now(lambda c: changes.log(c, kind="mailbox"))
    database.stop()
    assert [(one.action, one.key) for one in found] == [
        ("rights", "unit:water"), ("quota", "unit:water"),
    ]  # fmt: skip
    assert json.loads(found[1].after) == {"octets": 2 * 10**9}
