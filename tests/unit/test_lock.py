"""What is installed is what was locked, may be used, and is not known to be broken."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from tests.office import ROOT

ADVISORIES = tomllib.loads((ROOT / "scripts" / "advisories.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")


def audit(*locks: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "audit.py"), *map(str, locks)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout


def test_the_lock_files_pass_the_audit() -> None:
    status, said = audit(*(ROOT / name for name in LOCKS))
    assert status == 0, said
    assert re.search(r"^requirements\.lock: [0-9]{2,} packages, 0 faults$", said, re.M)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"aiosmtpd==[0-9.]+", "aiosmtpd==1.4.5", "CVE-2024-34083"),
        (r"jinja2==[0-9.]+", "jinja2>=3.1.6", "jinja2: not pinned"),
        (r"(rich==[0-9.]+) \\\n(.*--hash.*\\\n)*.*--hash.*\n", r"\1" + "\n", "rich .*: without"),
        (r"rich==", "proprietary-thing==", "its licence is not one that we know"),
    ],
)
def test_an_audit_finds_what_is_wrong(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text, count = re.subn(old, new, (ROOT / LOCKS[0]).read_text(encoding="utf-8"), count=1)
    assert count == 1
    changed = tmp_path / "changed.lock"
    changed.write_text(text, encoding="utf-8")
    status, said = audit(changed)
    assert status == 1
    assert re.search(fault, said), said


def test_a_lock_file_that_is_empty_is_no_lock_file(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").write_text("# nothing\n", encoding="utf-8")
    assert audit(tmp_path / "empty.lock")[0] == 1


def test_every_advisory_is_of_a_package_that_we_lock() -> None:
    locked = (ROOT / LOCKS[1]).read_text(encoding="utf-8")
    for package, rows in ADVISORIES.items():
        assert re.search(rf"^{re.escape(package)}==", locked, re.M), package
        for row in rows.values():
            assert set(row) == {"fixed", "about"}
            assert Version(row["fixed"])


def test_every_rule_of_security_that_is_set_aside_says_why() -> None:
    kept = []
    for path in sorted([*ROOT.glob("gateway/**/*.py"), *ROOT.glob("mailboxes/**/*.py"),
                        *ROOT.glob("scripts/*.py")]):  # fmt: skip
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if (found := re.search(r"# noqa: S[0-9]+(.*)", line)) and not found[1].strip(" #"):
                kept.append(f"{path.relative_to(ROOT)}:{number}")
    assert kept == []
