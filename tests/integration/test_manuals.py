"""README and the operator's manual are followed to the letter, against a real post office."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pysequoia import Tsk

from tests import certificates, letters, manuals
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database(
    "a manual is typed as it stands, and it founds an office on SQLite"
)

DOCS = ROOT / "docs"


def put_yizhan(file: Path) -> Path:
    """The command `yizhan` where a page has it."""
    file.parent.mkdir(parents=True)
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def type_in(
    command: str, folder: Path, path: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a shell answers in that folder; the command must succeed."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"],
        input=command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **environment},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def checkout(make_module_office: Callable[..., Office]) -> Iterator[tuple[Path, Office]]:
    """A folder as `make run` leaves it, with the office running in it."""
    office = make_module_office("var/demo")
    folder = office.folder.parent.parent
    put_yizhan(folder / ".venv" / "bin" / "yizhan")
    with office.running():
        yield folder, office


def test_readme_can_be_typed_from_top_to_bottom(
    checkout: tuple[Path, Office], program: Callable[[str], str]
) -> None:
    folder, office = checkout
    for name in ("curl", "swaks"):
        program(name)
    typed = "\n".join(
        command
        for command in manuals.console_commands(ROOT / "README.md")
        if not command.startswith("make ")
    )
    for written, port in ((":2587", office.submission_port), (":2993", office.imaps_port)):
        typed = typed.replace(written, f":{port}")
    said = type_in(typed, folder, os.environ["PATH"])
    replies = re.findall(r"250 2\.0\.0 ([0-9a-z]{26}) accepted", said.stdout + said.stderr)
    assert replies, said.stderr  # swaks shows the dialogue, curl does not
    assert "office has signed for" in said.stdout
    assert "* STATUS INBOX (MESSAGES " in said.stdout
    assert "NOT " not in said.stdout
    assert said.stdout.count("The receipt is genuine.") >= 2


def test_the_demo_plays_its_story_and_shows_every_time_line(
    checkout: tuple[Path, Office],
) -> None:
    folder, _ = checkout
    told = type_in(
        ".venv/bin/yizhan demo --config var/demo/yizhan.toml", folder, os.environ["PATH"]
    )
    codes = re.findall(r"^   (\d{3}) ", told.stdout, re.M)
    assert codes == ["250", "250", "550", "550"]
    assert told.stdout.count("ContentConsignment") == 2
    assert told.stdout.count("SubmissionRejection") == 2
    told_of = re.findall(r"ConsignmentNotification +(?:(\d+) recipients|\S+@)", told.stdout)
    assert sum(int(number or 1) for number in told_of) >= 44  # at night the report's one waits
    for line in told.stdout.splitlines():
        assert "机密" not in line, "a marked subject is quoted"


# What the manual says of the machine, and what stands for it here.
STAND_INS = {
    "10.1.0.25": "127.0.0.1",
    "/var/lib/yizhan-seals": "seals-of-units",
    "--out seals-of-units": "--out seals-of-units --no-passphrase",
    "init --yes": "init --yes --folder etc --state state",
    "/media/safe": "safe",
    "/backup/yizhan": "backup",
    "/srv/": "",
    "/etc/bash_completion.d/yizhan": "completion",
    "/usr/local/share/man": "man",
    "yizhan backup --follow 10 backup": (
        "yizhan backup --follow 1 --json backup > followed & pid=$!; "
        "until test -s followed || ! kill -0 $pid; do sleep 0.1; done; kill $pid; wait $pid"
    ),
}


# What only an office that runs, and has mail, can answer: typed beside one, below.
LIVING = ("yizhan doctor", "yizhan log ", "yizhan search ")
# Pages that are typed from top to bottom by the tests above; both READMEs tell to type the same.
WHOLE = {"README.md", "README.zh-CN.md", "operation.md"}
# What the other pages say of the machine, and what stands for it here.
OTHERS = {
    "/media/usb": "usb",
    "/root/": "",
    "seal issue water --out usb": "seal issue water --out usb --no-passphrase",
    "--out usb      #": "--out usb --no-passphrase  #",
    "/etc/yizhan/policies": str(ROOT / "policies"),
    "change wang --certificate 5F:0C:...:9A": "show water-li",  # needs a CA: test_certificates
}
# Commands of a page that cannot be typed here, and the test that runs them all the same.
ELSEWHERE = {
    "yizhan init": "tests/integration/test_operation.py::"
    "test_init_makes_an_office_that_serves_and_never_overwrites_one",
    "yizhan init --database": "tests/integration/test_postgres.py::"
    "test_the_password_may_lie_in_a_file_of_its_own",
}


def yizhan_lines(page: Path) -> list[str]:
    """Every line of the page's blocks that calls `yizhan`, `<placeholders>` as they stand."""
    lines = [one for one in manuals.console_commands(page) if any(manuals.calls(one))]
    shown = re.findall(r"^ *(yizhan [a-z].*)$", manuals.text(page), re.M)
    return list(dict.fromkeys([*lines, *shown]))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_cannot_be_typed_has_a_test_elsewhere(name: str) -> None:
    file, _, test = ELSEWHERE[name].partition("::")
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
    assert any(line.startswith(name) for page in manuals.PAGES for line in yizhan_lines(page))


def test_every_command_of_every_other_page_can_be_typed_beside_a_running_office(
    make_office: Callable[..., Office],
) -> None:
    office = make_office("others")
    folder = office.folder
    path = f"{put_yizhan(folder / 'bin' / 'yizhan').parent}:{os.environ['PATH']}"
    (folder / "usb").mkdir()
    certificates.make(folder, "water-li")
    key = Tsk.generate("Finance <finance@heping.test>").extract_certificate()
    (folder / "finance-public.asc").write_bytes(bytes(key))
    [seal] = office.json("seal", "list", "--unit", "water")
    wanted = [
        (page, line)
        for page in manuals.PAGES
        for line in yizhan_lines(page)
        if (page.name not in WHOLE or line.startswith(LIVING))
        and not line.startswith(tuple(ELSEWHERE))
    ]
    assert {"fsck.md", "seals.md", "submission.md", "operation.md"} <= {p.name for p, _ in wanted}
    with office.running():
        report = letters.plain("water", "office", "和水报〔2026〕13号 关于河道水位的报告")
        office.accept("water", report, "office")
        office.accept("water", letters.plain("water", "office", "关于防汛值守的报告"), "office")
        until_found(office, "防汛", "值守")
        for page, line in wanted:
            if line.startswith("yizhan doctor"):  # a page has renewed the certificate
                office.reload()
            here = re.sub(r"<[\w ]+>", seal["fingerprint"], line)
            for words, instead in OTHERS.items():
                here = here.replace(words, instead)
            done = type_in(here, folder, path, YIZHAN_CONFIG=str(office.config))
            assert "error of the program" not in done.stderr, f"{page.name}: {line}"


def until_found(office: Office, *words: str) -> None:
    """Wait until the index has it."""
    ends = time.monotonic() + 30
    while office.run("search", *words, check=False).returncode:
        assert time.monotonic() < ends, office.log
        time.sleep(0.2)


@pytest.fixture
def machine() -> Iterator[Path]:
    """A folder with a short path, as gpg wants it, that stands for an empty machine."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_operators_manual_founds_an_office_that_works(machine: Path) -> None:
    path = f"{put_yizhan(machine / 'bin' / 'yizhan').parent}:{os.environ['PATH']}"
    (machine / "seals-of-units").mkdir()
    shutil.copy(DOCS / "directory.sample.csv", machine / "units.csv")
    answers: dict[str, str] = {}
    for command in manuals.console_commands(DOCS / "operation.md"):
        if not command.startswith("yizhan ") or command == "yizhan init":
            continue  # which asks: see test_start_errors and test_founding
        if command.startswith(LIVING):
            continue
        here = command
        for words, instead in STAND_INS.items():
            here = here.replace(words, instead)
        if "restore /backup/yizhan --recovery-key" in command:  # the machine is lost
            for folder in ("etc", "state"):
                (machine / folder).rename(machine / f"lost-{folder}")
        told = type_in(here, machine, path, YIZHAN_CONFIG="etc/yizhan.toml")
        answers[command] = told.stdout
        if command.startswith("yizhan init"):  # the recovery key is moved to the safe
            (machine / "safe").mkdir()
            secret = machine / "etc" / "recovery-secret.asc"
            secret.rename(machine / "safe" / secret.name)
    assert "The office is ready" in next(iter(answers.values()))
    assert "nothing is wrong" in answers["yizhan check"]
    assert "3 unit" in answers["yizhan directory import units.csv --passwords new-passwords.toml"]
    assert "BEGIN PGP PUBLIC KEY BLOCK" in answers["yizhan seal export office"]
    assert (machine / "new-passwords.toml").stat().st_mode & 0o077 == 0
    assert len(list((machine / "seals-of-units").iterdir())) == 2
    assert (
        "It is held"
        in answers["yizhan restore /backup/yizhan --recovery-key /media/safe/recovery-secret.asc"]
    )
    assert (
        "released\n"
        in answers["yizhan restore release --drop-reminders-before 2026-11-22T08:00:00 --yes"]
    )
    assert (machine / "trial" / "yizhan.toml").exists()
    assert (machine / "export" / "verify.py").exists()
