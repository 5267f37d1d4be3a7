#!/usr/bin/env python3
"""Audits the lock files: each package pinned with hashes, licensed so that we may use it, and not
older than the advisories of `advisories.toml`; then pip-audit, where it has a database.

    scripts/audit.py [LOCK ...]

One line for each fault; exit status 1 if there is any. Needs no network. What it cannot know: an
advisory that nobody has written into the table.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-dev.lock")
ADVISORIES = Path(__file__).with_name("advisories.toml")

# What may be part of a program under GPL-3.0-or-later, in the words that packages use for it.
LICENCES = re.compile(
    r"(?i)\b(MIT|MIT-0|BSD|BSD-[23]-Clause|0BSD|Apache|Apache-2\.0|ISC|PSF-2\.0|MPL-2\.0|MPL 2\.0|"
    r"LGPL-3\.0-only|GPL-3\.0-only|GPL-2\.0-or-later|GPLv2\+|CNRI-Python)"
)
# Only for other systems than the one on which it is audited, so its licence cannot be read here.
ELSEWHERE = {"colorama": "BSD-3-Clause", "pywin32": "PSF-2.0", "tzdata": "Apache-2.0"}
# Said in the file of the licence alone, where it was read.
UNSAID = {"imapclient": "BSD-3-Clause"}

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*(.*)$")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One package of a lock file."""

    name: str
    rest: str  # version, marker and hashes

    @property
    def version(self) -> str:
        found = re.match(r"==([^\s;\\]+)", self.rest)
        return found[1] if found else ""


def entries(text: str) -> Iterator[Entry]:
    """The packages of a lock file as pip reads it: a backslash continues a line."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ENTRY.match(line.strip())
        if found is None:
            yield Entry(line.strip(), "")
        else:
            yield Entry(re.sub(r"[-_.]+", "-", found[1]).lower(), found[3])


def faults(entry: Entry, advisories: dict[str, dict[str, dict[str, str]]]) -> Iterator[str]:
    """What is wrong with one package, in words."""
    if not entry.version:
        yield f"{entry.name}: not pinned to one version"
        return
    if not _HASH.search(entry.rest):
        yield f"{entry.name} {entry.version}: without a hash"
    for name, advisory in advisories.get(entry.name, {}).items():
        if Version(entry.version) < Version(advisory["fixed"]):
            yield (
                f"{entry.name} {entry.version}: {name}: {advisory['about']}; "
                f"fixed in {advisory['fixed']}"
            )
    words = licence(entry.name)
    if not LICENCES.search(words):
        yield f"{entry.name} {entry.version}: its licence is not one that we know: {words!r}"


def licence(name: str) -> str:
    """What the installed package says of its licence."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ELSEWHERE.get(name, "(not installed)")
    said = [about.get("License-Expression") or "", (about.get("License") or "").partition("\n")[0]]
    said += [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
    return " ".join(said).strip() or UNSAID.get(name, "")


def ask_pip_audit(lock: Path) -> tuple[str, bool]:
    """What pip-audit says, and whether it found something. Without it or its database: neither."""
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent)) or shutil.which(
        "pip-audit"
    )
    if program is None:
        return "pip-audit is not installed: only our own table was asked", False
    done = subprocess.run(  # noqa: S603  # found on our own path, no shell
        [program, "--require-hashes", "--disable-pip", "--requirement", str(lock)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = done.stdout.strip()
    if done.returncode and not found:
        return "pip-audit has no database now: only our own table was asked", False
    return found or "pip-audit knows no vulnerability", bool(done.returncode)


def main(paths: list[Path]) -> int:
    """Audit these files, or our own ones."""
    advisories = tomllib.loads(ADVISORIES.read_text(encoding="utf-8"))
    bad = False
    for lock in paths or list(LOCKS):
        known = list(entries(lock.read_text(encoding="utf-8")))
        wrong = [fault for entry in known for fault in faults(entry, advisories)]
        bad = bad or bool(wrong) or not known
        for fault in wrong:
            sys.stdout.write(f"{lock.name}: {fault}\n")
        sys.stdout.write(f"{lock.name}: {len(known)} packages, {len(wrong)} faults\n")
        if not paths:
            said, found = ask_pip_audit(lock)
            bad = bad or found
            sys.stdout.write(f"{lock.name}: {said}\n")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main([Path(word) for word in sys.argv[1:]]))
