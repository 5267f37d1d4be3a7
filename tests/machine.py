"""A machine of a test's own: this one, but what changes on it is gone with the test.

Its file system is an overlay in a mount namespace, so a package can be installed for real without
touching the machine on which the tests run. Where the kernel does not allow that, as in some
containers, CI uses the machine itself, which is thrown away anyhow, and anybody else skips.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OVERLAY = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mount -t tmpfs tmpfs "$1/root/run"
echo ready
exec cat
"""
# A machine that systemd has booted: namespaces of its own, and its own part of the cgroups.
_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs sys/fs
mkdir sys/fs/cgroup sys/fs/bpf
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs tmpfs $folder; done
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm old
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
rm -f etc/systemd/system/*.wants/*  # nothing of this machine starts there
: > etc/fstab
pivot_root . old
umount -l old
export container=other
exec /lib/systemd/systemd --system --show-status=no systemd.unit=basic.target
"""
_OURS = ("/opt/yizhan", "/etc/yizhan", "/var/lib/yizhan", "/usr/bin/yizhan")


class NoMachine(Exception):
    """This machine cannot be copied, and is not to be changed."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where commands run as root, or as another user without any capability."""

    enter: tuple[str, ...]

    def run(self, *words: str, user: str = "", status: int = 0) -> str:
        """What a command prints, both outputs; it must end with that status."""
        step_down = (
            ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
             "--bounding-set=-all", "--inh-caps=-all")
            if user else ()
        )  # fmt: skip
        done = subprocess.run(
            [*self.enter, *step_down, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, timeout=120, check=False,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == status, f"{words}: {done.returncode}: {done.stdout}"
        return done.stdout

    def bring(self, file: Path) -> str:
        """A copy of the file in the machine; its path there."""
        target = f"/root/brought{file.suffix}"
        with file.open("rb") as octets:
            subprocess.run([*self.enter, "sh", "-c", f"cat > {target}"], stdin=octets, check=True)
        return target

    def named(self) -> set[str]:
        """Every path of its system that bears our name, and is not within another one that does."""
        but = ("-path", "/root", "-prune", "-o", "-path", "/tmp", "-prune", "-o")  # noqa: S108
        found = self.run("find", "/", "-xdev", *but, "-name", "*yizhan*", "-print", "-prune")
        return set(found.splitlines())


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """A machine while the block runs; `folder` is empty. Raises NoMachine."""
    if os.geteuid() != 0:
        raise NoMachine("only root can install a package")
    if any(Path(one).exists() for one in _OURS):
        raise NoMachine("Yizhan is installed on this machine")
    keeper = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _OVERLAY, "overlay", folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert keeper.stdin is not None and keeper.stdout is not None
    try:
        if keeper.stdout.readline() == b"ready\n":
            within = ("nsenter", f"--target={keeper.pid}", "--mount")
            yield Machine((*within, "chroot", str(folder / "root")))
        elif os.environ.get("CI"):
            try:
                yield Machine(())
            finally:
                subprocess.run(["dpkg", "--purge", "yizhan"], capture_output=True, check=False)
                for one in ("/etc/yizhan", "/var/lib/yizhan"):
                    shutil.rmtree(one, ignore_errors=True)
        else:
            raise NoMachine("the kernel allows no overlay here, and this machine is in use")
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        keeper.wait(30)


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """A machine with its own systemd while the block runs; `folder` is empty. Raises NoMachine."""
    if os.geteuid() != 0 or any(Path(one).exists() for one in _OURS):
        raise NoMachine("only root, where Yizhan is not installed, can boot a machine for a test")
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    groups = [Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2"]
    if not groups:
        raise NoMachine("there are no cgroups of version 2 here")
    group = groups[0] / f"yizhan-test-{os.getpid()}"
    group.mkdir()
    keeper = subprocess.Popen(
        ["sh", "-c", 'echo $$ > "$2/cgroup.procs"; exec unshare --mount --pid --fork --uts --ipc '
         '--net --cgroup --kill-child sh -c "$3" boot "$1"', "boot", folder, group, _BOOT],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield _up(keeper.pid)
    finally:
        keeper.kill()  # systemd and all that it has started go with it
        keeper.wait(30)
        _remove(group)


def _remove(group: Path) -> None:
    """Remove a part of the cgroups, the innermost first, once all in it have gone."""
    inner = sorted((one for one in group.rglob("*") if one.is_dir()), reverse=True)
    for one in [*inner, group]:
        for _ in range(50):
            try:
                one.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def _up(keeper: int) -> Machine:
    """The machine once its systemd answers."""
    spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
    for _ in range(300):
        time.sleep(0.1)
        children = Path(f"/proc/{keeper}/task/{keeper}/children")
        first = children.read_text().split() if children.exists() else []
        if not first:
            continue
        made = Machine(("nsenter", f"--target={first[0]}", *spaces))
        asked = subprocess.run(
            [*made.enter, "systemctl", "is-system-running"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.stdout.strip() in ("running", "degraded"):
            return made
    raise NoMachine("systemd does not boot in a namespace here")
