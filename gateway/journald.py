"""Writes lines of the log to systemd's journal with a field for each value, so that
`journalctl YIZHAN_DOCUMENT=06f3...` finds all about one document.

The form is systemd's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an
entry. What the journal does not take goes to standard error, which systemd reads too.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

SOCKET = Path("/run/systemd/journal/socket")
_IDENTIFIER = "yizhan"


class JournalStream:
    """A stream for a log handler whose lines are made by `entry`."""

    def __init__(self, place: Path, otherwise: TextIO) -> None:
        """Raises OSError if nobody listens at `place`."""
        self._otherwise = otherwise
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(str(place))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)

    def write(self, text: str) -> None:
        """Send one entry; a journal that is busy or gone costs the fields, never the line."""
        octets = text.encode("utf-8", "surrogateescape")
        try:
            self._socket.send(octets)
        except OSError:
            message = octets.partition(b"MESSAGE\n")[2]
            length = int.from_bytes(message[:8], "little")
            self._otherwise.write(message[8 : 8 + length].decode("utf-8", "replace") + "\n")
            self._otherwise.flush()

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Let the socket go."""
        self._socket.close()


def entry(message: str, priority: int, values: Mapping[str, object]) -> str:
    """One entry; each octet of it as `surrogateescape` decodes it, since a formatter gives text."""
    return b"".join(_fields(message, priority, values)).decode("utf-8", "surrogateescape")


def _fields(message: str, priority: int, values: Mapping[str, object]) -> Iterator[bytes]:
    yield f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={_IDENTIFIER}\n".encode()
    yield _field("MESSAGE", message)
    for name, value in values.items():
        yield _field(f"YIZHAN_{name.upper()}", str(value))


def _field(name: str, value: str) -> bytes:
    """With its length, so that no value can begin a field of its own."""
    octets = value.encode("utf-8", "backslashreplace")
    return name.encode() + b"\n" + len(octets).to_bytes(8, "little") + octets + b"\n"
