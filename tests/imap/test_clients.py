"""Programs that people read their mail with, from Debian, at a real post office.

Each does its work for a unit of its own; then its side and the server's are compared. The server is
asked by `look`, a client of its own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from imapclient import imap_utf7

from tests.imap import delivered
from tests.imap.delivered import DUTY, LUNCH, MEETING, NUMBER, TOTAL
from tests.imap.look import Look, spelled
from tests.office import Office
from tests.terminal import on_a_terminal

pytestmark = pytest.mark.one_database("what mail clients say and get")

Find = Callable[[str], str]
UNITS = ("finance", "water", "education", "health", "audit")
NEW = b"From: clerk@heping.test\nSubject: draft\nMessage-ID: <%b@heping.test>\n\nline\n.\nlast\n"

THEIRS = re.compile(rb"^X-(?:TUID|OfflineIMAP): .*\n", re.MULTILINE)


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office], shared_data: Path) -> Iterator[Office]:
    with make_module_office(changes=delivered.LENIENT).running() as running:
        delivered.fill(running, shared_data, *UNITS)
        yield running


def run(*words: str | Path, status: int = 0, given: bytes = b"") -> str:
    """What a program printed, both outputs; it must end with that status."""
    done = subprocess.run(
        [str(word) for word in words], input=given, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    assert done.returncode == status, said
    return said


def lf(octets: bytes) -> bytes:
    """As programs keep a message on Unix."""
    return octets.replace(b"\r\n", b"\n")


def everything(look: Look) -> dict[str, list[tuple[int, frozenset[str], bytes]]]:
    """All that lies on the server, by folder."""
    return {
        name: [(one.uid, one.flags, one.octets) for one in look.letters(name)]
        for name in look.folders()
    }


# curl


class Curl:
    """curl with the office's CA as its only authority, and one account."""

    def __init__(self, program: str, look: Look, scheme: str) -> None:
        port = look.office.imaps_port if scheme == "imaps" else look.office.imap_port
        self._place = f"{scheme}://localhost:{port}/"
        self._words = (
            program, "--silent", "--show-error", "--ssl-reqd", "--user",
            f"{look.login}:{look.password}", "--cacert", str(look.office.folder / "ca.crt"),
        )  # fmt: skip

    def __call__(self, place: str, *words: str | Path) -> str:
        return run(*self._words, *words, self._place + place)


def in_url(folder: str) -> str:
    """A folder's name in an address (RFC 5092, but in modified UTF-7 as curl passes it on)."""
    return quote(imap_utf7.encode(folder))


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_curl_lists_fetches_and_searches(scheme: str, office: Office, program: Find) -> None:
    look = Look(office, "finance")
    curl = Curl(program("curl"), look, scheme)
    listed = {line.split('"/" ')[1].strip('"') for line in curl("").splitlines()}
    assert listed == {imap_utf7.encode(name).decode() for name in look.folders()}
    for one in look.letters("INBOX"):
        fetched = run(*curl._words, f"{curl._place}INBOX;UID={one.uid}")
        assert fetched == one.octets.decode("utf-8", "replace")
    assert curl("INBOX;MAILINDEX=2;SECTION=HEADER.FIELDS%20(FROM)").startswith("From: office@")
    assert curl(f"INBOX?CHARSET%20UTF-8%20TEXT%20%22{quote('防汛')}%22") == "* SEARCH 1\r\n"
    assert curl("INBOX", "--request", 'SEARCH CHARSET UTF-8 BODY "二楼会议"') == "* SEARCH 2\r\n"
    assert curl("INBOX?NOT%20ALL") == "* SEARCH\r\n"


def test_curl_uploads_a_mail_and_sets_a_flag(office: Office, program: Find, tmp_path: Path) -> None:
    look = Look(office, "finance")
    curl = Curl(program("curl"), look, "imaps")
    file = tmp_path / "mail"
    file.write_bytes(NEW.replace(b"\n", b"\r\n") % b"curl")
    drawer = in_url("文件柜/信息")
    curl(drawer, "--upload-file", file)
    [filed] = look.letters("文件柜/信息")
    assert filed.octets == file.read_bytes()
    said = curl(drawer, "--request", r"UID STORE 1 +FLAGS (\Flagged $Done)")
    assert r"\Flagged" in said
    [filed] = look.letters("文件柜/信息")
    assert r"\Flagged" in filed.flags
    curl(drawer, "--request", r"STORE 1 +FLAGS.SILENT (\Deleted)")
    curl(drawer, "--request", "EXPUNGE")
    assert look.letters("文件柜/信息") == []


# mbsync


MBSYNC = """
IMAPAccount office
Host localhost
Port {port}
User {login}
Pass "{password}"
SSLType IMAPS
SystemCertificates no
CertificateFile {trust}
AuthMechs LOGIN

IMAPStore far
Account office

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


def maildirs(folder: Path) -> set[str]:
    """The folders of a tree of Maildirs."""
    return {path.parent.relative_to(folder).as_posix() for path in folder.rglob("cur")}


def messages(folder: Path) -> dict[Path, bytes]:
    """The messages of one Maildir by file, without what the programs add to know them again."""
    return {
        path: THEIRS.sub(b"", path.read_bytes(), count=1)
        for place in ("cur", "new")
        for path in (folder / place).iterdir()
    }


def kept(folder: Path) -> dict[str, bytes]:
    """The same by file name."""
    return {path.name: octets for path, octets in messages(folder).items()}


def file_of(folder: Path, octets: bytes) -> Path:
    """The file in a Maildir that has these octets."""
    return next(path for path, found in messages(folder).items() if found == octets)


def reflag(path: Path, flags: str) -> None:
    """Give a message other flags, as the programs that read Maildirs do."""
    name = f"{path.name.partition(':2,')[0]}:2,{flags}"
    path.rename(path.parent.parent / "cur" / name)


def new_maildir(folder: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
    return folder


def utf7(name: str) -> str:
    return "/".join(imap_utf7.encode(level).decode("ascii") for level in name.split("/"))


def test_mbsync_carries_changes_both_ways_and_then_has_nothing_to_do(
    office: Office, program: Find, tmp_path: Path
) -> None:
    look, near = Look(office, "water"), tmp_path / "mail"
    near.mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        MBSYNC.format(
            port=office.imaps_port, login=look.login, password=look.password,
            trust=office.folder / "ca.crt", folder=near,
        ),
        encoding="utf-8",
    )  # fmt: skip
    mbsync = (program("mbsync"), "-c", settings, "-a")
    run(*mbsync)
    assert maildirs(near) == {utf7(name) for name in look.folders()}
    before = look.letters("INBOX")
    assert sorted(kept(near / "INBOX").values()) == sorted(lf(one.octets) for one in before)
    assert len(before) == TOTAL

    # here: read and flagged, deleted, written into an old folder and into a new one
    inbox = near / "INBOX"
    reflag(file_of(inbox, lf(before[0].octets)), "FS")
    reflag(file_of(inbox, lf(before[1].octets)), "T")
    (near / utf7("文件柜/会议") / "cur" / "1.a.b:2,S").write_bytes(NEW % b"old-folder")
    drawer = new_maildir(near / utf7("文件柜/防汛（二）"))
    (drawer / "new" / "2.a.b").write_bytes(NEW % b"new-folder")
    # there: answered, moved into a new folder
    with look.session("INBOX") as client:
        client.create(spelled("请示 & 报告"))
        client.uid("STORE", str(before[2].uid), "+FLAGS", r"(\Answered)")
        assert client.uid("MOVE", str(before[3].uid), spelled("请示 & 报告"))[0] == "OK"
    run(*mbsync)

    there = {one.uid: one for one in look.letters("INBOX")}
    assert len(there) == TOTAL - 2
    assert there[before[0].uid].flags == {r"\Seen", r"\Flagged"}
    assert before[1].uid not in there
    assert there[before[2].uid].flags == {r"\Answered"}
    [filed] = look.letters("文件柜/会议")
    assert (filed.message_id, filed.flags) == ("<old-folder@heping.test>", {r"\Seen"})
    assert [one.message_id for one in look.letters("文件柜/防汛（二）")] == [
        "<new-folder@heping.test>"
    ]
    assert maildirs(near) == {utf7(name) for name in look.folders()}
    assert file_of(inbox, lf(before[2].octets)).name.endswith(":2,R")
    [moved] = kept(near / utf7("请示 & 报告")).values()
    assert moved == lf(before[3].octets)
    assert len(kept(inbox)) == TOTAL - 2

    here, far = {name: kept(near / name) for name in maildirs(near)}, everything(look)
    run(*mbsync)
    assert {name: kept(near / name) for name in maildirs(near)} == here
    assert everything(look) == far


# OfflineIMAP


OFFLINEIMAP = """
[general]
accounts = office
metadata = {folder}/state
ui = basic
[Account office]
localrepository = near
remoterepository = far
utf8foldernames = yes
[Repository near]
type = Maildir
localfolders = {folder}/mail
sep = /
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {login}
remotepass = {password}
ssl = yes
sslcacertfile = {trust}
"""


def test_offlineimap_carries_changes_both_ways_and_then_has_nothing_to_do(
    office: Office, program: Find, tmp_path: Path
) -> None:
    look, near = Look(office, "education"), tmp_path / "mail"
    settings = tmp_path / "offlineimaprc"
    settings.write_text(
        OFFLINEIMAP.format(
            port=office.imaps_port, login=look.login, password=look.password,
            trust=office.folder / "ca.crt", folder=tmp_path,
        ),
        encoding="utf-8",
    )  # fmt: skip
    offlineimap = (program("offlineimap"), "-o", "-c", settings)
    run(*offlineimap)
    assert maildirs(near) == set(look.folders())
    before = look.letters("INBOX")
    inbox = near / "INBOX"
    assert sorted(kept(inbox).values()) == sorted(lf(one.octets) for one in before)

    reflag(file_of(inbox, lf(before[0].octets)), "FS")
    file_of(inbox, lf(before[1].octets)).unlink()
    (near / "文件柜/会议/cur" / "1_0.2.host:2,S").write_bytes(NEW % b"offlineimap")
    with look.session("INBOX") as client:
        client.uid("STORE", str(before[2].uid), "+FLAGS", r"(\Answered)")
        assert client.uid("MOVE", str(before[3].uid), spelled("文件柜/收文"))[0] == "OK"
    run(*offlineimap)

    there = {one.uid: one for one in look.letters("INBOX")}
    assert len(there) == len(kept(inbox)) == TOTAL - 2
    assert there[before[0].uid].flags == {r"\Seen", r"\Flagged"}
    assert before[1].uid not in there
    [filed] = look.letters("文件柜/会议")
    assert filed.message_id == "<offlineimap@heping.test>"
    assert file_of(inbox, lf(before[2].octets)).name.endswith(":2,R")
    [moved] = kept(near / "文件柜/收文").values()
    assert moved == lf(before[3].octets)

    here, far = {name: kept(near / name) for name in maildirs(near)}, everything(look)
    run(*offlineimap)
    assert {name: kept(near / name) for name in maildirs(near)} == here
    assert everything(look) == far


# NeoMutt


NEOMUTT = """
set imap_user="{login}" imap_pass="{password}"
set ssl_force_tls=yes ssl_ca_certificates_file="{trust}"
set folder="imaps://localhost:{port}/" spoolfile="=INBOX" record="=已发送"
set header_cache="{folder}/headers" message_cachedir="{folder}/bodies"
set from="{address}" envelope_from=yes hostname="heping.test"
set smtp_url="smtp://{login}@localhost:{submission}/" smtp_pass="{password}"
set smtp_authenticators="plain"
set wait_key=no confirmappend=no delete=yes move=no quit=yes sort=mailbox-order pager_stop=yes
"""


def test_neomutt_reads_saves_into_a_folder_deletes_and_keeps_what_it_sends(
    office: Office, program: Find, tmp_path: Path
) -> None:
    look, settings = Look(office, "health"), tmp_path / "neomuttrc"
    settings.write_text(
        NEOMUTT.format(
            login=look.login, password=look.password, trust=office.folder / "ca.crt",
            port=office.imaps_port, folder=tmp_path, submission=office.submission_port,
            address=office.accounts[look.login]["address"],
        ),
        encoding="utf-8",
    )  # fmt: skip
    for cache in ("headers", "bodies"):
        (tmp_path / cache).mkdir()
    neomutt = (program("neomutt"), "-n", "-F", str(settings))
    home = {"HOME": str(tmp_path)}
    before = look.letters("INBOX")
    read = on_a_terminal(
        *neomutt, "-e", 'push "<first-entry><display-message>"', environment=home,
        press={DUTY.encode(): b"qq"},
    )  # fmt: skip
    assert NUMBER in read
    keys = (
        "<first-entry><save-message>=文件柜/收文<enter>"
        "<delete-message><flag-message><sync-mailbox><quit>"
    )
    on_a_terminal(*neomutt, "-e", f'push "{keys}"', environment=home)
    saved = look.letters("文件柜/收文")
    assert [(one.message_id, one.flags) for one in saved] == [(before[0].message_id, {r"\Seen"})]
    left = look.letters("INBOX")
    assert [one.uid for one in left] == [one.uid for one in before[2:]]
    assert r"\Flagged" in left[0].flags

    # One more visit goes by what it remembers, in its caches.
    again = on_a_terminal(
        *neomutt, "-e", 'push "<last-entry><undelete-message><quit>"', environment=home
    )
    assert LUNCH in again
    assert MEETING not in again

    # What it sends it files itself too: the folder has one copy all the same.
    run(*neomutt, "-s", "值班表", "--", "office@heping.test", given="见附件\n".encode())
    [sent] = look.letters("已发送")
    assert str(sent.mail["Subject"]) == "值班表"


# fetchmail


FETCHMAIL = """
poll localhost protocol IMAP port {port} timeout 30
user "{login}" password "{password}"
ssl sslproto "TLS1.2+" sslcertck sslcertfile "{trust}"
folder "INBOX" mda "cat > $(mktemp -p {folder})"
"""


def test_fetchmail_takes_what_is_new_and_at_last_everything_away(
    office: Office, program: Find, tmp_path: Path
) -> None:
    look, settings = Look(office, "audit"), tmp_path / "fetchmailrc"
    place = tmp_path / "mail"
    place.mkdir()
    settings.write_text(
        FETCHMAIL.format(
            port=office.imaps_port, login=look.login, password=look.password,
            trust=office.folder / "ca.crt", folder=place,
        ),
        encoding="utf-8",
    )  # fmt: skip
    settings.chmod(0o700)
    fetchmail = (program("fetchmail"), "-f", settings, "--pidfile", tmp_path / "pid")
    before = look.letters("INBOX")
    run(*fetchmail, "--keep")
    bodies = [lf(one.octets).partition(b"\n\n")[2] for one in before]
    fetched = [path.read_bytes().partition(b"\n\n")[2] for path in place.iterdir()]
    assert sorted(fetched) == sorted(bodies)
    assert all(r"\Seen" in one.flags for one in look.letters("INBOX"))

    assert re.search(rf"{TOTAL} messages \({TOTAL} seen\)", run(*fetchmail, "--keep", status=1))

    run(*fetchmail, "--nokeep", "--fetchall")
    assert len(list(place.iterdir())) == 2 * TOTAL
    assert look.letters("INBOX") == []
