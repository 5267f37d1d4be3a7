"""What the machine owes the office: a right clock, a name that is found, room, files of its own."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from gateway.config import Config
from gateway.survey.finding import Finding, advice
from gateway.survey.status import measure_disks

_STA_UNSYNC = 0x0040  # <sys/timex.h>
_TIMEX_WORDS = 32  # longs; struct timex has 26 of them at most
_STATUS_WORD = 5  # after modes, offset, freq, maxerror, esterror, each padded to a long
_LEFTOVERS = (".tmp", ".new", "~", ".part")
_MOST = 3


def check_clock() -> Iterator[Finding]:
    """Whether the kernel says that somebody keeps the clock right (adjtimex(2), reading only)."""
    words = (ctypes.c_long * _TIMEX_WORDS)()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(words)
    except (OSError, AttributeError):
        return
    if answer >= 0 and words[_STATUS_WORD] & _STA_UNSYNC:
        yield advice(
            "nobody keeps this machine's clock right, and every record bears its time",
            "install chrony or systemd-timesyncd and let it ask a time server of your network "
            "(`timedatectl` shows whether it does)",
        )


def check_name(config: Config) -> Iterator[Finding]:
    """Whether the name that clients connect to is known here."""
    host = config.office.host
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        yield advice(
            f"the name {host} is not found by this machine",
            "enter it in your DNS (or /etc/hosts), or correct office.hostname; clients and the "
            "certificate go by that name",
        )


def check_disks(config: Config) -> Iterator[Finding]:
    """Whether there is room."""
    for disk in measure_disks(config):
        said = f"{disk.free / 1e9:.1f} GB are free on the disk of {disk.path}"
        if disk.free < disk.least:
            yield Finding(
                f"no mail is taken: only {said}, below submission.limits.free_space",
                "make room or enlarge the disk; mail is taken again by itself",
            )
        elif disk.short:
            yield advice(f"only {said}", "make room, or enlarge the disk")


def check_files(config: Config) -> Iterator[Finding]:
    """Files of the state directory and secrets beside the configuration, and what was left over."""
    state = config.state.directory
    owner = state.stat().st_uid
    strangers, leftovers = [], []
    for folder in (state, state / "gnupg"):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if entry.lstat().st_uid != owner:
                strangers.append(entry)
            if entry.name.endswith(_LEFTOVERS) and entry.is_file():
                leftovers.append(entry)
    if strangers:
        yield Finding(
            f"{_some(strangers)}: does not belong to the owner of {state}",
            f"chown --recursive --reference={state} {state}",
        )
    for path in leftovers[:_MOST]:
        yield advice(
            f"{path}: was left over by something that was interrupted",
            "remove it if nothing runs that writes it",
        )
    for name, secret in _secrets(config):
        if secret.exists() and secret.stat().st_mode & 0o077:
            yield Finding(f"{secret}: {name}: others can read it", f"chmod 600 {secret}")


def _secrets(config: Config) -> Iterator[tuple[str, Path]]:
    found = (
        ("tls.key", config.tls.key),
        ("blobs.storage_key_file", config.blobs.storage_key_file),
        ("seals.passphrase_file", config.seals.passphrase_file),
        ("the evidence key", config.state.directory / "evidence-key.pem"),
        ("blobs.s3.access_key_file", config.blobs.s3.access_key_file if config.blobs.s3 else None),
    )
    kept = os.environ.get("CREDENTIALS_DIRECTORY")
    for name, path in found:
        if path is not None and not (kept and path.is_relative_to(kept)):
            yield name, path


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
    return ", ".join(str(path) for path in paths[:_MOST]) + more
