"""Daemons for the kill matrix, each forked from a process that has read the program once.

To read the modules takes longer than all that a daemon does until it is killed, and there are a
hundred points. What is forked is the command itself, with nothing started and nothing opened yet.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

_MODULES = ["gateway.cli.main", "gateway.cli.serve", "gateway.daemon"]

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(_MODULES)


class Forked:
    """A daemon as `subprocess.Popen` shows one."""

    def __init__(self, config: Path, log: Path, point: str) -> None:
        """Start it; it dies at that point (`gateway.store.fault`)."""
        self._process = _forks.Process(target=_serve, args=(config, log, point), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The status, None while it lives; below 0 is the signal that ended it."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("yizhan serve", timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """By its own pid."""
        os.kill(self.pid, number)


def _serve(config: Path, log: Path, point: str) -> None:
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as file:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from gateway.cli.main import main
    from gateway.store import fault

    fault.arm(point)
    sys.argv = ["yizhan", "serve", "--config", str(config)]
    main()
