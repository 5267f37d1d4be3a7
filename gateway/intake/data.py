"""DATA: from dotted lines on the wire to the exact octets of a message, in bounded memory.

Only CR LF . CR LF ends a message, whatever the line endings inside: a sender and a receiver who
disagree about that let a stranger hide a second message in the first (SMTP smuggling). So the end
is looked for in the octets as they came, and line endings are judged only afterwards.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Executor
from enum import StrEnum

from gateway.errors import Deferred, Refused, Reply
from gateway.intake import replies
from gateway.store.spool import Spool
from mailboxes.wire import Wire

END = b"\r\n.\r\n"

# At most two CRs belong to the LF behind them, so that no more than two must ever be held back.
_LINE_END = re.compile(rb"\r{0,2}\n|\r")


class Fault(StrEnum):
    """What is wrong with the line endings of a message."""

    BARE_CR = "bare-cr"
    BARE_LF = "bare-lf"
    NUL = "nul"


class Flood(Exception):
    """The client went on far beyond the limit; the connection must be closed to stop it."""


class DotReader:
    """Undoes the dots of RFC 5321, 4.5.2, and finds the end; pieces may be cut anywhere."""

    def __init__(self) -> None:
        # DATA's own line end stands before the first line, so a dot there counts too.
        self._held = b"\r\n"
        self._borrowed = 2
        self.finished = False
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """The octets of the message that are certain by now.

        After the end `finished` is true, and `rest` is what the client sent behind it.
        """
        if self.finished:
            raise ValueError("the message has ended")
        octets = self._held + octets
        end = octets.find(END)
        if end >= 0:
            self.finished = True
            self.rest = octets[end + len(END) :]
            self._held = b""
            certain = octets[: end + 2]
        else:
            held = _beginning_of_end(octets)
            self._held = octets[len(octets) - held :]
            certain = octets[: len(octets) - held]
        if not certain:
            return b""
        message = certain.replace(b"\r\n.", b"\r\n")[self._borrowed :]
        self._borrowed = 0
        return message


def _beginning_of_end(octets: bytes) -> int:
    """How many of the last octets may be the beginning of the end."""
    return next(n for n in (4, 3, 2, 1, 0) if octets.endswith(END[:n]))


class LineEndings:
    """Finds bare CR, bare LF and NUL in a message that comes in pieces; repairs them if asked.

    Repairing makes one CR LF of `\\r\\n`, `\\n`, `\\r` and `\\r\\r\\n`, and drops NUL. A message
    without faults passes unchanged.
    """

    def __init__(self, *, repair: bool) -> None:
        self._repair = repair
        self._held = b""
        self.faults: set[Fault] = set()

    def feed(self, octets: bytes) -> bytes:
        """The next piece, as far as its last line end is certain."""
        if b"\0" in octets:
            self.faults.add(Fault.NUL)
            if self._repair:
                octets = octets.replace(b"\0", b"")
        octets = self._held + octets
        held = 2 if octets.endswith(b"\r\r") else octets.endswith(b"\r")
        certain = len(octets) - held
        self._held = octets[certain:]
        return self._judge(octets[:certain])

    def finish(self) -> bytes:
        """No more will come: what was held back."""
        octets, self._held = self._held, b""
        return self._judge(octets)

    def _judge(self, octets: bytes) -> bytes:
        whole = octets.count(b"\r\n")
        bare_cr = octets.count(b"\r") != whole
        bare_lf = octets.count(b"\n") != whole
        if bare_cr:
            self.faults.add(Fault.BARE_CR)
        if bare_lf:
            self.faults.add(Fault.BARE_LF)
        return _LINE_END.sub(b"\r\n", octets) if self._repair and (bare_cr or bare_lf) else octets


class Arrival:
    """One message on its way from the wire into the spool."""

    def __init__(
        self, wire: Wire, spool: Spool, pool: Executor, *, limit: int, memory: int, repair: bool
    ) -> None:
        """`limit` is in octets of message; `memory` is from where on the spool uses the disk."""
        self._wire = wire
        self._spool = spool
        self._pool = pool
        self._limit = limit
        self._memory = memory
        self._repair = repair
        self._size = 0
        self._received = 0
        self._trouble: Refused | Deferred | None = None

    async def receive(self, deadline: float) -> frozenset[Fault]:
        """Read to the end of the message; returns the faults that were repaired.

        What cannot be taken is read to its end all the same, because a client listens for the
        reply only then. Raises Refused or Deferred after the end, Flood long before it, Gone if
        the client left, TimeUp at the deadline (loop time).
        """
        dots, endings = DotReader(), LineEndings(repair=self._repair)
        while not dots.finished:
            octets = await self._wire.piece(deadline)
            self._received += len(octets)
            message = endings.feed(dots.feed(octets))
            del octets  # else each of many clients holds 256 KB twice while it waits for the disk
            if dots.finished:
                self._wire.put_back(dots.rest)
                message += endings.finish()
            if endings.faults and not self._repair and self._trouble is None:
                self._give_up(_refusal(replies.BARE_ENDINGS, "InvalidFormat", endings.faults))
            await self._keep(message)
        self._spool.finish()
        if self._trouble is not None:
            raise self._trouble
        return frozenset(endings.faults)

    async def _keep(self, message: bytes) -> None:
        self._size += len(message)
        if self._size > self._limit and self._trouble is None:
            self._give_up(_refusal(replies.too_large(self._limit), "TooLarge"))
        if self._received > 2 * self._limit + 65_536:
            raise Flood
        if not message:
            return
        try:
            # What is refused is only digested from here on, for the evidence.
            small = self._spool.size + len(message) <= self._memory
            if small or self._trouble is not None:
                self._spool.write(message)
            else:
                await self._write_in_thread(message)
        except OSError as error:
            self._give_up(Deferred.saying(replies.DISK_FULL, cause=str(error)))

    async def _write_in_thread(self, message: bytes) -> None:
        """Encrypt and write where no other client waits for it.

        A cancelled write is waited for: its thread must not find the spool's file closed, and the
        number perhaps given to another file.
        """
        writing = asyncio.get_running_loop().run_in_executor(self._pool, self._spool.write, message)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})
            raise

    def _give_up(self, trouble: Refused | Deferred) -> None:
        self._trouble = trouble
        self._spool.close()


def _refusal(reply: Reply, reason: str, faults: set[Fault] | None = None) -> Refused:
    return Refused.saying(reply, reason=reason, cause=", ".join(sorted(faults or ())))
