"""Tells systemd how the daemon is: ready, reloading, stopping, alive (sd_notify(3), Type=notify).

Own lines because the protocol is one datagram of `KEY=value` lines to a socket that systemd names
in the environment; the libraries for it bind libsystemd, which a virtual environment cannot bring.
Without that socket every call does nothing, so a daemon on a terminal needs no other code.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(*lines: str) -> bool:
    """Send the lines; whether there was somebody to tell. Never raises, never waits."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name.startswith(("/", "@")):
        return False
    # A leading @ stands for the abstract namespace, which the kernel writes as NUL.
    address = "\0" + name[1:] if name.startswith("@") else name
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.setblocking(False)
        channel.sendto("\n".join(lines).encode(), address)
        return True
    return False


def ready(status: str = "") -> bool:
    """All doors are open (also the end of a reload)."""
    return notify("READY=1", *_status(status))


def reloading() -> bool:
    """SIGHUP came; `ready` ends it. The time is for newer systemd (Type=notify-reload)."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str = "") -> bool:
    """SIGTERM came; the daemon drains."""
    return notify("STOPPING=1", *_status(status))


def alive() -> bool:
    """Feed the watchdog."""
    return notify("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds between two calls of `alive`: half the limit; None if systemd does not watch us."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not ours or not limit.isascii() or not limit.isdigit() or int(limit) == 0:
        return None
    return int(limit) / 2_000_000


def _status(status: str) -> list[str]:
    return [f"STATUS={' '.join(status.split())}"] if status else []
