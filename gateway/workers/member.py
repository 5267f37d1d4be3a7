"""One worker as the daemon sees it: its process, who is inside, and when it last answered."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from gateway.intake.sessions import Left
from gateway.workers import messages
from gateway.workers.channel import Channel, Hear

PATIENCE_SECONDS = 5.0  # for the answer to one ping
START_SECONDS = 60.0
_END_SECONDS = 5.0  # between a worker's last word and its end
_NOT_THEIRS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # the daemon speaks with systemd


@dataclass(slots=True)
class Inside:
    """A client that the worker serves."""

    door: int
    left: Left


@dataclass(eq=False, slots=True)
class Member:
    """A worker, from its start to its end."""

    number: int
    process: subprocess.Popen[bytes]
    channel: Channel
    begun: float = field(default_factory=time.monotonic)
    ready: bool = False
    clients: dict[int, Inside] = field(default_factory=dict)  # by session
    asked: float = 0.0  # when the ping was sent that it has not answered; 0: it has
    last: messages.Pong = field(default_factory=lambda: messages.Pong(0, 0, 0, 0, ""))

    @property
    def hangs(self) -> bool:
        """Whether it has not answered for too long."""
        now = time.monotonic()
        if not self.ready:
            return now - self.begun > START_SECONDS
        return bool(self.asked) and now - self.asked > PATIENCE_SECONDS

    def ping(self, failed: str) -> None:
        """Ask whether it is there, unless it still owes an answer."""
        if self.ready and not self.asked:
            self.asked = time.monotonic()
            self.channel.tell(messages.Ping(failed))

    def answered(self, pong: messages.Pong) -> None:
        """It is there."""
        self.asked, self.last = 0.0, pong

    def end(self) -> int:
        """Wait for the end of a process that has hung up, in a thread; its status."""
        try:
            return self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def enlist(number: int, hear: Hear, lost: Left) -> Member:
    """Start a worker; it reads its program and waits for `Go`.

    By exec, so it does not matter what threads and libraries the daemon has by now; in a session of
    its own, so that Ctrl-C reaches the daemon alone, which then says what is to be done. Raises
    OSError without descriptors or memory.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        process = _start(theirs)
    except OSError:
        ours.close()
        raise
    return Member(number, process, Channel(ours, hear, lost))


def _start(theirs: socket.socket) -> subprocess.Popen[bytes]:
    with theirs:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [
                sys.executable, *(f"-W{one}" for one in sys.warnoptions), "-P",
                "-m", "gateway.workers", str(theirs.fileno()),
            ],
            stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True,
            env=_environment(), cwd="/",
        )  # fmt: skip


def _environment() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name not in _NOT_THEIRS}
    root = str(Path(__file__).resolve().parents[2])
    return found | {"PYTHONPATH": os.pathsep.join(filter(None, (root, found.get("PYTHONPATH"))))}
