"""Whether the post office runs on this machine, and what it says of itself, asked without harm.

The daemon holds a lock on the state directory's identity. To try that lock would keep a daemon away
that starts at this moment, so the kernel's own list is read instead.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import Config
from gateway.store.identity import FILE

_LOCKS = Path("/proc/locks")
_SECONDS = 4.0  # the health page gives its probes 3
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Running:
    """The daemon as it looks from outside."""

    process: int = 0  # 0: none holds this state directory
    since: datetime | None = None
    health: str = ""  # ok, attention, degraded; empty: the health page does not answer
    troubles: Mapping[str, str] = field(default_factory=dict)  # by part: one sentence
    locked_logins: int | None = None  # pairs of account and address; None: not known

    @property
    def here(self) -> bool:
        """Whether a daemon runs on this state directory."""
        return bool(self.process) or bool(self.health)


def look(config: Config) -> Running:
    """Look for the daemon and ask it. Never raises for one that does not answer."""
    process = holder_of(config.state.directory / FILE)
    address, port = config.console.address, config.console.port
    answer = ask(address, port, "/health") if port else b""
    health, troubles = _read_health(answer)
    locked = _read_locked(ask(address, port, "/metrics")) if health else None
    return Running(process, _since(process), health, troubles, locked)


def holder_of(file: Path) -> int:
    """The process that holds a lock (flock) on the file; 0 if none does or nobody can say.

    Some file systems (btrfs, overlayfs) show another device to programs than the kernel's list has;
    then a process counts that has the file open.
    """
    try:
        found = file.stat()
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    for line in lines:
        words = line.split()  # 1: FLOCK ADVISORY WRITE 1234 08:01:5678 0 EOF
        if len(words) < 6 or words[1] != "FLOCK":
            continue
        place, _, inode = words[5].rpartition(":")
        process = int(words[4])
        if inode == str(found.st_ino) and (place == device or _has_open(process, file)):
            return max(process, 0)
    return 0


def _has_open(process: int, file: Path) -> bool:
    try:
        opened = [entry.readlink() for entry in Path(f"/proc/{process}/fd").iterdir()]
    except OSError:
        return False
    return file.resolve() in opened


def ask(address: str, port: int, path: str) -> bytes:
    """The body of a page of the console; empty if it does not answer.

    By hand: to import an HTTP client takes longer than the answer.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address in ("0.0.0.0", "::"):  # noqa: S104  # where it listens, not where we do
        address = "::1" if family is socket.AF_INET6 else "127.0.0.1"
    request = f"GET {path} HTTP/1.0\r\nAccept: application/json\r\n\r\n"
    received = b""
    try:
        with socket.create_connection((address, port), _SECONDS) as connection:
            connection.sendall(request.encode("ascii"))
            while piece := connection.recv(65_536):
                received += piece
                if len(received) > _LARGEST:
                    break
    except OSError:
        return b""
    head, _, body = received.partition(b"\r\n\r\n")
    return body if head.startswith(b"HTTP/1.") else b""


def _read_health(body: bytes) -> tuple[str, dict[str, str]]:
    try:
        page = json.loads(body)
        said = {str(name): str(text) for name, text in page["probes"].items() if text != "ok"}
        return str(page["status"]), said
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def _read_locked(body: bytes) -> int | None:
    for line in body.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" ")
        if name == "yizhan_logins_locked":
            return int(float(value))
    return None


def _since(process: int) -> datetime | None:
    """When the process was started."""
    try:
        begun = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(begun.rpartition(")")[2].split()[19])
        kernel = Path("/proc/stat").read_text(encoding="ascii")
    except (OSError, ValueError, IndexError):
        return None
    booted = next(int(line.split()[1]) for line in kernel.splitlines() if line.startswith("btime"))
    return datetime.fromtimestamp(booted + ticks / os.sysconf("SC_CLK_TCK"), UTC)
