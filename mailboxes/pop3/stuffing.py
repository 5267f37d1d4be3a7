"""Messages in the form of a multi-line answer (RFC 1939, 3)."""

from __future__ import annotations

from collections.abc import Iterator


class Stuffing:
    """Doubles the dot at the start of each line, whatever pieces the octets come in.

    A line here ends with LF, with or without CR: what somebody has filed by IMAP may hold a bare
    LF, and nearly all programs take that for the end of a line. Were the dot behind it not doubled,
    the message could end the answer where it likes, and say the next one itself.
    """

    def __init__(self) -> None:
        self._starts = True  # the next octet begins a line
        self._last = b"\r\n"  # the last two octets

    def piece(self, octets: bytes) -> bytes:
        """These octets as they are sent."""
        if not octets:
            return b""
        dotted = self._starts and octets.startswith(b".")
        self._starts = octets.endswith(b"\n")
        self._last = (self._last + octets[-2:])[-2:]
        stuffed = octets.replace(b"\n.", b"\n..")
        return b"." + stuffed if dotted else stuffed

    def end(self) -> bytes:
        """The line that ends the answer; before it CRLF, should the message not end so."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"


def first_lines(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """So many lines of what comes in pieces."""
    while most > 0:
        piece = next(pieces, b"")
        if not piece:
            return
        lines = piece.count(b"\n")
        if lines < most:
            most -= lines
            yield piece
            continue
        end = 0
        for _ in range(most):
            end = piece.index(b"\n", end) + 1
        yield piece[:end]
        return
