"""A program on a terminal of its own, as people use it: what it shows is read, keys are pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping

SECONDS = 30.0


def on_a_terminal(
    *words: str, environment: Mapping[str, str], press: Mapping[bytes, bytes] | None = None
) -> str:
    """Run a program until it ends; what its screen showed, control sequences included.

    `press` has keys by what must be shown first; each is pressed once. Raises AssertionError if the
    program did not end by itself, and well.
    """
    screen, terminal = pty.openpty()
    # Without a size the first screen is never drawn.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    # setsid: it reads its keys from the terminal that controls it.
    child = subprocess.Popen(
        ["setsid", "--ctty", *words], stdin=terminal, stdout=terminal, stderr=terminal,
        env={
            **os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "LINES": "40", "COLUMNS": "120",
            **environment,
        },
    )  # fmt: skip
    os.close(terminal)
    try:
        text = _converse(screen, dict(press or {})).decode("utf-8", "replace")
        assert child.wait(5) == 0, text
    finally:
        os.close(screen)
        child.kill()
        child.wait()
    return text


def _converse(screen: int, press: dict[bytes, bytes]) -> bytes:
    shown = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            more = os.read(screen, 65536)
        except OSError:  # the other side has closed the terminal
            return shown
        if not more:
            return shown
        shown += more
        for text in [text for text in press if text in shown]:
            os.write(screen, press.pop(text))
    return shown
