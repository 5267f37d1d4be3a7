"""A lock that a power cut has left behind does not hold up the keyring."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.seals import locks
from gateway.seals.keyring import Keyring

# gpg waits for each of these, the first while it starts its agent.
NAMES = ("gnupg_spawn_agent_sentinel.lock", "pubring.kbx.lock")
HOST = socket.gethostname()
LEFT = {
    "without a number": b"",
    "torn": b"\0" * 20,
    "of a number that is another program's by now": f"{os.getpid():10d}\n{HOST}\n".encode(),
    "with a torn name of the machine": f"{os.getpid():10d}\n".encode() + b"\0\0",
    "from before the machine was renamed": f"{os.getpid():10d}\nelsewhere.test\n".encode(),
    "of a number that nobody has": f"{2**22 + 1:10d}\n{HOST}\n".encode(),
}


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="yz") as folder:
        yield Path(folder)


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_a_lock_of_the_dead_is_removed(left: bytes, home: Path) -> None:
    for name in NAMES:
        (home / name).write_bytes(left)
    with Keyring(home, seconds=10) as keyring:
        keyring.create("Office", "postmaster@heping.test", passphrase="", years=0)


def test_a_lock_of_gnupgs_other_programs_stays(home: Path) -> None:
    program = home / "keyboxd"  # of GnuPG 2.4; here it only sleeps
    shutil.copy("/bin/sleep", program)
    holder = subprocess.Popen([program, "60"])
    # The kernel closes the pipe for which Popen waits before it gives the process its new name.
    while Path(f"/proc/{holder.pid}/comm").read_text() != "keyboxd\n":
        assert holder.poll() is None
    try:
        lock = home / "pubring.db.lock"
        lock.write_text(f"{holder.pid:10d}\n{HOST}\n")
        locks.remove_dead(home)
        assert lock.exists()
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_that_a_gpg_holds_stays(home: Path) -> None:
    agent = subprocess.Popen(
        ["gpg-agent", "--homedir", home, "--server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    lock = home / "pubring.kbx.lock"
    try:
        assert agent.stdout is not None
        agent.stdout.readline()  # it is up
        lock.write_text(f"{agent.pid:10d}\n{HOST}\n")
        locks.remove_dead(home)
        assert lock.exists()
    finally:
        agent.communicate(b"BYE\n", timeout=20)
    locks.remove_dead(home)
    assert not lock.exists()
