"""Clients that mean no good, from addresses of their own on loopback."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE

PACE = 0.05  # seconds between two octets of a client that is slow on purpose


class Stranger:
    """One connection of somebody who says exactly what he wants."""

    def __init__(self, port: int, address: str, *, tls: bool = False) -> None:
        self.socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=30, source_address=(address, 0)
        )
        if tls:
            self._secure()
        self._file = self.socket.makefile("rb")

    def _secure(self) -> None:
        plain = self.socket
        try:
            self.socket = TRUSTING.wrap_socket(plain)
        except OSError:
            plain.close()
            raise

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def starttls(self) -> None:
        """Greeting, EHLO, STARTTLS and EHLO again."""
        self.reply()
        self.ask(b"EHLO stranger.test")
        self.ask(b"STARTTLS")
        self._file.close()
        self._secure()
        self._file = self.socket.makefile("rb")
        self.ask(b"EHLO stranger.test")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> int:
        """The code of the next reply; 0 if the connection has ended."""
        try:
            while line := self._file.readline():
                if line[3:4] != b"-":
                    return int(line[:3])
        except OSError:
            return 0
        return 0

    def ask(self, command: bytes) -> int:
        """The code of the reply to a command."""
        try:
            self.send(command + b"\r\n")
        except OSError:
            return 0
        return self.reply()

    def login(self, login: str, password: str) -> int:
        secret = base64.b64encode(f"\0{login}\0{password}".encode())
        return self.ask(b"AUTH PLAIN " + secret)


@contextmanager
def dripping(clients: list[Stranger], octets: bytes) -> Iterator[None]:
    """Each client sends these octets, one at a time and slowly, for as long as the block runs."""
    stop = threading.Event()

    def drip() -> None:
        for one in octets:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(bytes((one,)))
            if stop.wait(PACE):
                return
        stop.wait()

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for client in clients:
            client.close()


@contextmanager
def at_once(work: list[Callable[[], None]]) -> Iterator[None]:
    """All of these in threads while the block runs; the block's end waits for them."""
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def guess(port: int, address: str, logins: list[str], count: int, seen: Counter[int]) -> None:
    """`count` wrong passwords from one address, over as many connections as that takes."""
    left = count
    while left > 0:
        with Stranger(port, address) as stranger:
            stranger.starttls()
            while left > 0:
                code = stranger.login(logins[left % len(logins)], f"guess {left}")
                if not code:
                    break
                seen[code] += 1
                left -= 1


def resident(pid: int) -> int:
    """Octets of memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
