"""One client's session: reads its commands, has them carried out, answers (RFC 1939, RFC 2449)."""

from __future__ import annotations

import asyncio

import structlog

from mailboxes.connection import Connection
from mailboxes.imap.account import Account
from mailboxes.imap.farewell import Leave
from mailboxes.imap.ports import Refusal, Unavailable
from mailboxes.pop3.commands import COMMANDS, Where
from mailboxes.pop3.drop import Drop, open_drop, require_access
from mailboxes.pop3.errors import Cut, Wrong
from mailboxes.pop3.services import Services
from mailboxes.wire import Gone, Interrupted, LongLine, TimeUp

log = structlog.get_logger("pop3")

_LONGEST = 1_024  # octets of a command; RFC 2449, 4 allows 255, passwords are longer in UTF-8
_RENEW_SECONDS = 1.0  # how long an account's roles are believed to be what they were
_FLUSH = 65_536  # octets of answers that wait to be sent together
_TURN = 64  # commands, after which others have their turn
_CODES = {  # RFC 2449, 8 and RFC 3206, by the code of a refusal
    "AUTHENTICATIONFAILED": "AUTH", "AUTHORIZATIONFAILED": "AUTH", "EXPIRED": "AUTH",
    "UNAVAILABLE": "SYS/TEMP", "NOPERM": "SYS/PERM", "NONEXISTENT": "SYS/PERM",
}  # fmt: skip


class Session:
    """From the greeting to the end."""

    def __init__(self, services: Services, connection: Connection, peer: str) -> None:
        """`peer` is the client's IP address."""
        self.services = services
        self.connection = connection
        self.peer = peer
        self.user: bytes | None = None  # what USER said
        self.utf8 = False
        self.account: Account | None = None
        self._drop: Drop | None = None
        self._out = bytearray()
        self._loop = asyncio.get_running_loop()
        self._login_by = self._loop.time() + services.limits.login_seconds
        self._errors = services.limits.errors
        self._leaving = ""
        self._renew_at = 0.0
        self._commands = 0

    # The whole

    async def run(self) -> None:
        """Serve the client until it leaves, or is sent away."""
        try:
            self.ok(f"{self.services.host} POP3 ready")
            while True:
                await self._one_command()
        except Leave as farewell:
            await self._say_bye(str(farewell))
        except Gone:
            pass
        except Cut:
            self.connection.abort()
        except Exception:
            log.exception("pop3-session-failed", peer=self.peer)
            await self._say_bye("The post office has failed here; please connect again")
        finally:
            if self._drop is not None:
                self.services.views.close(self._drop.view)
            self.connection.close()

    def leave(self, sentence: str) -> None:
        """End the session with that: now if it waits for a command, else after this one."""
        self._leaving = sentence
        self.connection.wire.interrupt()

    async def _say_bye(self, sentence: str) -> None:
        if sentence:
            self.error(sentence, "SYS/TEMP")
        try:
            await self.flush()
        except Gone:
            return

    # Sending

    def ok(self, text: str) -> None:
        """A good answer, or its first line."""
        self._out += b"+OK %s\r\n" % text.encode("ascii", "replace")

    def error(self, text: str, code: str = "") -> None:
        """A bad answer, with a code of RFC 2449."""
        self._out += f"-ERR [{code}] {text}\r\n".encode() if code else f"-ERR {text}\r\n".encode()

    def write(self, octets: bytes) -> None:
        """Say this; it goes out with what follows."""
        self._out += octets

    async def flush(self) -> None:
        """Send what was said, and wait until there is room for more. Raises Gone."""
        if self._out:
            out, self._out = self._out, bytearray()
            self.connection.write(bytes(out))
        await self.connection.drain(self.services.limits.write_seconds)

    async def flush_some(self) -> None:
        """Send what was said, if it is much; lets others have their turn then."""
        if len(self._out) >= _FLUSH:
            await self.flush()
            await asyncio.sleep(0)

    # Reading

    async def line(self, longest: int) -> bytes:
        """The next line without its end. Raises Leave, Gone, LongLine."""
        if self._leaving:
            raise Leave(self._leaving)
        wire = self.connection.wire
        if not wire.has_line or len(self._out) >= _FLUSH:  # else answered with what is next
            await self.flush()
        deadline = self._login_by
        if self.account is not None:
            deadline = self._loop.time() + self.services.limits.idle_seconds
        try:
            line = await wire.line(longest, deadline)
        except TimeUp:
            raise Leave from None  # RFC 1939, 3: without a word
        except Interrupted:
            raise Leave(self._leaving) from None
        return line.removesuffix(b"\n").removesuffix(b"\r")

    # Commands

    async def _one_command(self) -> None:
        try:
            await self._run(await self.line(_LONGEST))
        except LongLine:
            self._refuse("The line is too long")
        except Wrong as wrong:
            self._refuse(str(wrong))
        except Refusal as refusal:
            sentence = refusal.sentence
            if self.utf8 and self.account is not None and self.account.language == "zh-CN":
                sentence = refusal.chinese
            self._refuse(sentence, _CODES.get(refusal.code, ""))
        except Unavailable as error:
            log.warning("pop3-unavailable", peer=self.peer, cause=str(error))
            self.error("The post office cannot answer now, try again", "SYS/TEMP")
        except (Gone, Leave, Cut):
            raise
        except Exception:
            log.exception("pop3-command-failed", peer=self.peer)
            self.error("The post office has failed at this command", "SYS/TEMP")
        if self._errors <= 0:
            await self.flush()
            self.services.meter.turned_away("errors")
            raise Leave
        self._commands += 1
        if not self._commands % _TURN:
            await asyncio.sleep(0)

    def _refuse(self, sentence: str, code: str = "") -> None:
        if self.account is None:
            self._errors -= 1
        self.error(sentence, code)

    async def _run(self, line: bytes) -> None:
        verb, blank, argument = line.partition(b" ")
        command = COMMANDS.get(verb.upper())
        if command is None:
            raise Wrong("There is no such command")
        if blank and not command.takes:
            if argument.strip():
                raise Wrong("That command takes no argument")
            argument = b""
        if command.where is Where.INSIDE:
            if self.account is None:
                raise Wrong("Please log in first")
            await self._renew(self.account)
        elif command.where is Where.OUTSIDE and self.account is not None:
            raise Wrong("You are logged in already")
        await command.run(self, argument)

    # Who is there

    async def enter(self, account: Account) -> None:
        """Let the account in. Raises Refusal, Unavailable."""
        self._drop = drop = await open_drop(self.services, account)
        self.account = account
        self.ok(f"Welcome, {drop.count} messages ({drop.octets} octets)")

    async def _renew(self, account: Account) -> None:
        """Raises Leave if the account may not be here any more; Unavailable."""
        if self._loop.time() < self._renew_at:
            return
        try:
            renewed = await self.services.logins.renewed(account)
            await require_access(self.services, renewed, self.drop)
        except Refusal as refusal:
            self.error(refusal.sentence, "AUTH")
            raise Leave from None
        self.account = renewed
        self._renew_at = self._loop.time() + _RENEW_SECONDS

    @property
    def drop(self) -> Drop:
        """What this session sees."""
        if self._drop is None:
            raise Wrong("Please log in first")
        return self._drop
