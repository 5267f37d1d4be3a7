"""What an operator does around the daemon: found an office, run it as its own user, by systemd."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import letters, postbox
from tests.office import ROOT, Office, free_ports, renumbered

pytestmark = pytest.mark.one_database("founding, users, systemd and backups of an office on SQLite")

ANALYZE = shutil.which("systemd-analyze")
UNIT = ROOT / "systemd" / "yizhan.service"
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder with a short path, as gpg wants it."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def yizhan(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def found(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return yizhan(
        "init", "--yes", "--folder", str(place / "o"), "--state", str(place / "o" / "state"),
        "--domain", "nankai.test", "--name", "南开区电子邮局", "--unit", "office",
        "--unit-name", "区政府办", "--operator", "zhou", *more,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_init_makes_an_office_that_serves_and_never_overwrites_one(place: Path) -> None:
    made = found(place)
    assert made.returncode == 0, made.stderr
    shown = re.search(r"first login +zhou, password (\S+)", made.stdout)
    assert shown
    before = contents(place)
    for again in (found(place), found(place, "--folder", str(place / "elsewhere"))):
        assert again.returncode == 1
        assert "there is an office here already; nothing was changed" in again.stderr
    assert contents(place) == before
    assert not (place / "elsewhere").exists()
    for secret in ("o/tls.key", "o/state/evidence-key.pem"):
        assert (place / secret).stat().st_mode & 0o077 == 0
    assert (place / "o" / "state").stat().st_mode & 0o077 == 0

    office = Office(place / "o", *free_ports(8))
    text = office.config.read_text(encoding="utf-8")
    text = renumbered(text, (587, 465, 2580, 443, 143, 993, 110, 995), office.ports)
    office.config.write_text(text, encoding="utf-8")
    assert office.run("check").stdout == f"{office.config}: nothing is wrong\n"
    with office.running():
        with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30) as client:
            client.starttls(context=office.trust)
            client.login("zhou", shown[1])
            client.mail("office@nankai.test")
            assert client.rcpt("postmaster")[0] == 250
            octets = letters.plain("office@nankai.test", "postmaster@nankai.test", "开张")
            code, text = client.data(octets)
            assert code == 250, text
        document_id = text.decode().split()[1]
        office.settled(document_id)
        [view] = postbox.letters(office, "person:zhou", document_id)
        assert view.mail["Subject"] == "开张"
        assert len(postbox.receipts(office, "unit:office", document_id)) == 1


def test_init_without_an_answer_that_it_needs_does_nothing(place: Path) -> None:
    done = yizhan("init", "--yes", "--folder", str(place / "etc"), "--state", str(place / "state"))
    assert done.returncode == 1
    assert "give it as an option" in done.stderr
    assert list(place.iterdir()) == []


# The interpreter may lie where only root can read, so all is imported before anybody steps down.
STEP_DOWN = """
import os, sys
from pathlib import Path
from gateway.cli.office import become_owner
from gateway.errors import CommandError
state, user = Path(sys.argv[1]), int(sys.argv[2])
os.setresuid(user, user, user)
try:
    become_owner(state)
except CommandError as error:
    sys.exit(str(error))
(state / "made").touch()
print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ["HOME"])
"""


def step_down(state: Path, user: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STEP_DOWN, str(state), str(user)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_root_steps_down_to_the_owner_of_the_state_directory_and_others_are_refused(
    place: Path,
) -> None:
    me = os.geteuid()
    if me == 0:
        os.chown(place, NOBODY.pw_uid, NOBODY.pw_gid)
        uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
        done = step_down(place, 0)
        assert done.stdout.strip() == f"{(uid,) * 3} {(gid,) * 3} [{gid}] {place}", done.stderr
        assert (place / "made").stat().st_uid == uid, "the daemon must be able to write it"
        done = step_down(place, pwd.getpwnam("daemon").pw_uid)
        assert (done.returncode, done.stdout) == (1, "")
        assert "only its owner and root may run this command" in done.stderr or (
            "belongs to nobody: run the command as nobody" in done.stderr
        )
        assert step_down(place, uid).returncode == 0
    else:
        done = step_down(Path("/"), me)
        assert "belongs to root: run the command as root" in done.stderr
        assert step_down(place, me).returncode == 0


@pytest.mark.parametrize("words", [["verify"], ["security", "--offline=yes", "--threshold=20"]])
def test_systemd_finds_nothing_to_say_against_the_unit(words: list[str], tmp_path: Path) -> None:
    if ANALYZE is None:
        return  # not every machine has systemd; what the file says is tested beside the console
    unit = tmp_path / "yizhan.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/yizhan/bin/yizhan", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        [ANALYZE, *words, str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
