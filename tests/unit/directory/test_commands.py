"""`yizhan unit|account|group|duty|directory` as a person types them."""

from __future__ import annotations

import io
import json
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Connection
from typer.testing import CliRunner

from gateway.cli import account, directory, duty, group, unit
from gateway.cli.main import main
from gateway.directory.passwords import verify
from gateway.exchange import mailroom
from gateway.store import identity
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from mailboxes.content import Content
from tests import certificates
from tests.databases import Databases, migrated

from .conftest import DOMAIN, NOW, read

APPS = {
    "unit": unit.app,
    "account": account.app,
    "group": group.app,
    "duty": duty.app,
    "directory": directory.app,
}


class Shell:
    """Runs commands against an office and gives back what they print."""

    def __init__(
        self,
        folder: Path,
        url: str,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
    ) -> None:
        self.patch = patch
        self.capture = capture
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.database = Database(url, readers=1)
        patch.setenv("YIZHAN_CONFIG", str(folder / "yizhan.toml"))
        self.config = folder / "yizhan.toml"
        self.config.write_text(
            f'[office]\ndomain = "{DOMAIN}"\nname = "和平区"\n'
            f'[state]\ndirectory = "state"\ndatabase = "{url}"\n'
            "[[submission.listeners]]\nport = 0\n"
            '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n'
        )

    def run(self, *words: str, stdin: str = "", status: int = 0) -> str:
        """What the command printed: to stdout, or to stderr if it is to fail."""
        self.patch.setattr(sys, "argv", ["yizhan", *words])
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self.capture.readouterr()
        assert (ended.value.code or 0) == status, printed.err
        return str(printed.err if status else printed.out)

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def shell(
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    made = Shell(tmp_path, databases.copy("migrated", migrated), monkeypatch, capsys)
    identity.create(made.database, made.state, DOMAIN, NOW)
    yield made
    made.database.stop()


def test_an_office_is_made_with_commands(shell: Shell) -> None:
    shell.run("unit", "add", "office", "--name", "区政府办", "--class", "organ")
    shell.run("unit", "add", "water", "--name", "水务局", "--parent", "office")
    made = shell.json(
        "account", "add", "water", "--name", "收发室", "--kind", "shared", "--unit", "water:clerk"
    )
    assert made["address"] == f"water@{DOMAIN}"
    stored = read(shell.database).account("water")
    assert stored and verify(stored.password_hash, made["password"])
    shell.run("account", "password", "water", "--password-file", "-", stdin="correct horse\n")
    stored = read(shell.database).account("water")
    assert stored and verify(stored.password_hash, "correct horse")

    shell.run("group", "add", "all", "--title", "全体", "--member", "water", "--sender", "*")
    shell.run("group", "change", "all", "--add", "office")
    assert shell.json("group", "show", "all")["members"] == ["office", "water"]
    shell.run("duty", "add", "water", "--name", "李娜", "--mobile", "13800000001")
    entry = shell.json("duty", "list", "water")[0]
    shell.run("duty", "change", str(entry["id"]), "--mobile", "13800000002")
    assert "13800000002" in shell.run("duty", "list")

    shell.run("unit", "change", "water", "--name", "水务管理局")
    shown = shell.json("unit", "show", "water")
    assert shown["past_names"][0]["name"] == "水务局"
    assert shown["accounts"] == ["water"]
    assert "水务管理局" in shell.run("unit", "list")
    assert "is in use" in shell.run("unit", "remove", "water", status=1)
    shell.run("account", "unlock", "water")
    actions = [line["action"] for line in shell.json("directory", "log", "water")]
    assert actions[:3] == ["unlock", "change", "change"]
    assert "水务局 → 水务管理局" in shell.run("directory", "log", "water")


def test_a_fault_is_one_sentence_on_stderr(shell: Shell) -> None:
    sentence = shell.run("unit", "show", "nowhere", status=1)
    assert sentence == "there is no unit 'nowhere'; `yizhan unit list` shows all\n"


def test_an_import_makes_passwords_that_only_the_owner_reads(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "office.csv"
    file.write_bytes(
        "类型,代码,名称,所属单位,密码\n单位,water,水务局,,\n账号,li,李娜,water,\n"
        "账号,wang,王强,water:领导,correct horse\n".encode("gb18030")
    )
    assert shell.json("directory", "import", str(file), "--check")["rows"] == {
        "unit": 1,
        "account": 2,
    }
    assert read(shell.database).unit("water") is None
    told = shell.json("directory", "import", str(file))
    passwords = Path(told["passwords"])
    assert passwords.parent == shell.state
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    made = tomllib.loads(passwords.read_text())["accounts"]
    assert set(made) == {"li"}
    found = read(shell.database)
    for login, password in (("li", made["li"]["password"]), ("wang", "correct horse")):
        stored = found.account(login)
        assert stored and verify(stored.password_hash, password)
    assert shell.json("directory", "import", str(file))["passwords"] is None


def test_a_bad_import_does_nothing_and_leaves_no_file(shell: Shell, tmp_path: Path) -> None:
    file, passwords = tmp_path / "office.csv", tmp_path / "passwords.toml"
    file.write_text("kind,code,name,units\nunit,water,水务局,\naccount,li,李娜,nowhere\n")
    sentence = shell.run("directory", "import", str(file), "--passwords", str(passwords), status=1)
    assert sentence.startswith(f"{file}: line 3: there is no unit 'nowhere'")
    assert not passwords.exists()
    assert read(shell.database).unit("water") is None


def test_an_export_to_a_file_opens_in_excel(shell: Shell, tmp_path: Path) -> None:
    shell.run("unit", "add", "water", "--name", "水务局")
    file = tmp_path / "out.csv"
    shell.run("directory", "export", str(file), "--chinese")
    assert file.read_bytes().startswith(b"\xef\xbb\xbf" + "类型,".encode())
    assert "already" in shell.run("directory", "export", str(file), status=1)
    assert shell.run("directory", "export").splitlines()[1].startswith("unit,water,水务局")


def test_a_certificate_is_given_as_a_file_and_shown_by_its_subject(
    shell: Shell, tmp_path: Path
) -> None:
    shell.run("unit", "add", "water", "--name", "水务局")
    own, other = certificates.make(tmp_path, "water-li"), certificates.make(tmp_path, "other")
    words = ("--name", "李娜", "--unit", "water", "--no-password", "--certificate", str(own.file))
    shell.run("account", "add", "li", *words)
    [shown] = shell.json("account", "show", "li")["certificates"]
    assert shown["subject"] == "CN=water-li"
    assert shown["fingerprint"] == own.fingerprint
    assert shown["expires"] > NOW.strftime("%Y-%m-%d")
    assert f"CN=water-li, {own.fingerprint}" in shell.run("account", "show", "li")
    assert read(shell.database).client_certificates() == (own.der,)

    change = ("account", "change", "li", "--certificate")
    sentence = shell.run(*change, other.fingerprint, status=1)
    assert "a fingerprint alone opens nothing here" in sentence
    assert "give a file with a certificate" in shell.run(*change, "no-such-file", status=1)
    assert "no certificate" in shell.run(*change, str(other.key), status=1)
    shell.run(*change, own.fingerprint, "--certificate", str(other.file))
    assert len(read(shell.database).client_certificates()) == 2


def test_a_fingerprint_is_enough_where_a_ca_is_configured(shell: Shell, tmp_path: Path) -> None:
    ca = certificates.make(tmp_path, "ca")
    text = shell.config.read_text()
    shell.config.write_text(text.replace("[[sub", f'[submission]\nclient_ca = "{ca.file}"\n[[sub'))
    shell.run("unit", "add", "water", "--name", "水务局")
    own = certificates.make(tmp_path, "water-li", ca)
    words = ("--name", "李娜", "--unit", "water", "--no-password")
    shell.run("account", "add", "li", *words, "--certificate", own.fingerprint)
    [shown] = shell.json("account", "show", "li")["certificates"]
    assert shown == {"subject": None, "fingerprint": own.fingerprint, "expires": None}


def test_whoever_is_added_has_a_mailbox_at_once(shell: Shell, tmp_path: Path) -> None:
    def owners() -> set[str]:
        return {one["owner"] for one in shell.json("mailbox", "list")}

    shell.run("unit", "add", "water", "--name", "水务局")
    assert owners() == {"unit:water"}
    shell.run("account", "add", "li", "--name", "李娜", "--unit", "water")
    shell.run("unit", "desk", "add", "report", "--title", "信息报送", "--unit", "water")
    assert owners() == {"unit:water", "person:li", "desk:report"}
    file = tmp_path / "more.csv"
    file.write_text("kind,code,name,units\nunit,parks,园林局,\naccount,wang,王强,parks\n")
    shell.run("directory", "import", str(file), "--check")
    assert len(owners()) == 3
    shell.run("directory", "import", str(file))
    assert owners() == {"unit:water", "person:li", "desk:report", "unit:parks", "person:wang"}
    folders = {one["owner"]: one["folders"] for one in shell.json("mailbox", "list")}
    assert "文件柜/收文" in {folder["name"] for folder in folders["unit:parks"]}

    shell.run("account", "remove", "wang")
    shell.run("unit", "remove", "parks")
    shell.run("unit", "desk", "remove", "report")
    assert owners() == {"unit:water", "person:li"}


def test_a_name_whose_mailbox_has_had_mail_is_not_given_away(shell: Shell) -> None:
    shell.run("unit", "add", "water", "--name", "水务局")
    shell.run("account", "add", "li", "--name", "李娜", "--unit", "water")
    store = mailroom.open_mailboxes(FileBlobs(shell.state / "blobs"))

    def deliver(conn: Connection) -> None:
        content = store.add_content(
            conn, Content.of_octets(b"a: b\r\n\r\n", key="1", kind="receipt"), NOW
        )
        folder = store.folder_id(conn, "person:li", "INBOX")
        store.append(conn, [folder], content, now=NOW)

    shell.database.write_now(deliver)
    assert "has had mail" in shell.run("account", "remove", "li", status=1)
    assert read(shell.database).account("li") is not None
    assert "person:li" in shell.run("mailbox", "list")


def commands(app: typer.Typer, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [(*path, str(c.name or c.callback.__name__)) for c in app.registered_commands]  # type: ignore[union-attr]
    for inner in app.registered_groups:
        found += commands(inner.typer_instance, (*path, str(inner.name)))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("words", [c for name, app in APPS.items() for c in commands(app, (name,))])
def test_every_commands_help_ends_in_an_example(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(APPS[words[0]], [*words[1:], "--help"]).output
    assert f"Example: yizhan {' '.join(words)}" in " ".join(shown.split())
