"""Programs that fetch by POP3, from Debian, against a real post office."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import letters
from tests.office import Office
from tests.pop3 import logged_in

pytestmark = pytest.mark.one_database("the wire dialogs of mail clients")

Find = Callable[[str], str]
SUBJECTS = ("防汛", "值班", "大件")
TEXT = "各单位：\n.\n..\n. 一\n请按时参加会议。\n" * 3


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


def fill(office: Office, login: str) -> list[bytes]:
    """Three documents in that unit's INBOX, one of them large; as they are read there."""
    for subject in SUBJECTS:
        octets = letters.plain("water@heping.test", f"{login}@heping.test", subject, TEXT)
        if subject == "大件":
            octets = letters.with_attachment(octets, "大.bin", b"\0.\r\n" * 500_000)
        office.accept("water", octets, login)
    return office.mailbox(f"unit:{login}")["INBOX"]


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "FETCHMAILHOME": str(folder)}
    return subprocess.run(
        list(words), cwd=folder, env=environment, capture_output=True, text=True, timeout=90,
        check=False,
    )  # fmt: skip


def in_the_cabinet(office: Office, login: str) -> int:
    return len(office.mailbox(f"unit:{login}")["INBOX"])


@pytest.mark.parametrize("implicit", [False, True])
def test_fetchmail_fetches_and_deletes_and_the_cabinet_keeps_all(
    office: Office, program: Find, tmp_path: Path, implicit: bool
) -> None:
    login = "health" if implicit else "culture"
    documents = fill(office, login)
    port = office.pop3s_port if implicit else office.pop3_port
    tls = "ssl" if implicit else 'sslproto "TLS1.2+"'
    settings = tmp_path / "rc"
    settings.write_text(
        f"poll localhost protocol POP3 service {port} uidl\n"
        f'  user "{login}" password "{office.accounts[login]["password"]}" fetchall nokeep {tls}\n'
        f'  sslcertck sslcertfile "{office.folder / "tls.crt"}"\n'
        "  mda \"/bin/sh -c 'cat > $(mktemp mail.XXXXXX)'\"\n",
        encoding="utf-8",
    )
    settings.chmod(0o600)
    done = run(program("fetchmail"), "--invisible", "-v", "-f", str(settings), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = {path.read_bytes().replace(b"\r\n", b"\n") for path in tmp_path.glob("mail.*")}
    # It takes the Return-Path away, which is its own to write.
    assert {one.partition(b"Received:")[2] for one in fetched} == {
        one.replace(b"\r\n", b"\n").partition(b"Received:")[2] for one in documents
    }
    again = run(program("fetchmail"), "-f", str(settings), folder=tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr  # no mail
    assert in_the_cabinet(office, login) == len(SUBJECTS)


def test_getmail_fetches_and_deletes_and_the_cabinet_keeps_all(
    office: Office, program: Find, tmp_path: Path
) -> None:
    login = "audit"
    documents = fill(office, login)
    (tmp_path / "rc").write_text(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\n"
        f"port = {office.pop3s_port}\nusername = {login}\n"
        f"password = {office.accounts[login]['password']}\n"
        f"ca_certs = {office.folder / 'tls.crt'}\n"
        "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
        f"arguments = ('-c', 'cat > $(mktemp {tmp_path}/mail.XXXXXX)')\n"
        "[options]\ndelete = true\ndelivered_to = false\nreceived = false\n",
        encoding="utf-8",
    )
    for _ in range(2):
        done = run(
            program("getmail"), "--getmaildir", str(tmp_path), "--rcfile", "rc", folder=tmp_path
        )
        assert done.returncode == 0, done.stdout + done.stderr
    fetched = {path.read_bytes() for path in tmp_path.glob("mail.*")}
    assert len(fetched) == len(SUBJECTS)
    bodies = {one.replace(b"\r\n", b"\n").partition(b"\n\n")[2] for one in fetched}
    assert bodies == {one.replace(b"\r\n", b"\n").partition(b"\n\n")[2] for one in documents}
    with logged_in(office, login) as client:
        assert client.ask(b"STAT") == b"+OK 0 0"
    assert in_the_cabinet(office, login) == len(SUBJECTS)


@pytest.mark.parametrize("way", ["pop3", "pop3s"])
@pytest.mark.parametrize("ahead", ["--sasl-ir", "--no-sasl-ir"])
def test_curl_reads_a_message(
    office: Office, program: Find, tmp_path: Path, way: str, ahead: str
) -> None:
    login = "sports"
    [first, *_] = office.mailbox(f"unit:{login}")["INBOX"] or fill(office, login)
    port = office.pop3s_port if way == "pop3s" else office.pop3_port
    done = run(
        program("curl"), "--silent", "--show-error", "--ssl-reqd", ahead,
        "--cacert", str(office.folder / "tls.crt"), "--login-options", "AUTH=PLAIN",
        "--user", f"{login}:{office.accounts[login]['password']}",
        "--output", "one", f"{way}://localhost:{port}/1", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one").read_bytes() == first
