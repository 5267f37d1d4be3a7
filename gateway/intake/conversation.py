"""One connection as a sequence of command lines and replies, within its limits.

It is aiosmtpd's SMTP with the reading side, the command loop and every ending of a session
replaced. A session ends only where it waits for the client: neither a lost connection nor a
stopping daemon cancels work that has begun, so a commit is never cut off, and a spool never closed
under a thread that writes to it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import structlog
from aiosmtpd.smtp import SMTP

from gateway.directory.logins import LoginFailed
from gateway.errors import Deferred, Refused, Reply, YizhanError, as_reply
from gateway.intake import replies
from gateway.intake.data import Flood
from gateway.intake.limits import Budget, client_address
from gateway.intake.login import LONGEST_ANSWER
from gateway.intake.parameters import refusal
from gateway.intake.services import Services
from mailboxes.connection import HANDSHAKE_SECONDS
from mailboxes.wire import Gone, Interrupted, LongLine, TimeUp, Wire

log = structlog.get_logger("intake")

# RFC 5321's 512 and all that our extensions add to MAIL (about 1,250) and RCPT (about 1,050).
LONGEST_COMMAND = 2_048
LINGER_SECONDS = 2.0  # for the last reply to be read; TLS would go on listening to a flood for 30

# A web page can make a browser speak to a mail port; RFC 5321 has no command of these names.
_WEB = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "HOST:"})

_GREETINGS = frozenset({"EHLO", "HELO"})

_CAUSES = {
    replies.COMMAND_TIMEOUT: "command_seconds",
    replies.DATA_TIMEOUT: "data_seconds",
    replies.SESSION_TIMEOUT: "session_seconds",
    replies.TOO_MANY_ERRORS: "errors",
    replies.TOO_MANY_COMMANDS: "commands",
    replies.STOPPING: "stopping",
}


_NO_HANDLER = object()


class Farewell(Exception):
    """The session ends with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Conversation(SMTP):
    """The protocol object of one connection; commands are methods `smtp_<NAME>` of a subclass."""

    def __init__(self, services: Services, peer: str) -> None:
        """`peer` is the client's IP address; its place is already taken."""
        loop = asyncio.get_running_loop()
        limits = services.limits
        self.services = services
        self.peer = peer
        self.address = client_address(peer)
        self.wire = Wire()
        self.budget = Budget(limits, loop.time())
        self.utf8 = services.listener.utf8_replies == "always"
        self.language = "en"  # of the first line where two may be sent
        self.certificate: bytes | None = None
        self.tls_version = ""
        self._cut: asyncio.TimerHandle | None = None
        self.leaving: Reply | None = None
        self._unsent = b""  # replies that go out with the next
        super().__init__(
            # No hooks. Not `services`: aiosmtpd reads every attribute of a handler, and in Python
            # 3.11.2 (Debian 12) a slotted dataclass raises at its __weakref__ (CPython gh-102069).
            _NO_HANDLER,
            hostname=services.host,
            ident="Yizhan",
            loop=loop,
            enable_SMTPUTF8=True,
            # The last resort; the wire and the budget have deadlines of their own.
            timeout=limits.session_seconds + 2 * limits.data_seconds,
        )

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        both_ways = cast(asyncio.Transport, transport)
        self.wire.attach(both_ways)
        self._note_tls(both_ways)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.wire.feed(data)

    def eof_received(self) -> bool:
        self.wire.end()
        # A client that has only closed its sending half still gets its replies; TLS has no halves.
        return not self.tls_version

    def connection_lost(self, error: Exception | None) -> None:
        for timer in (self._timeout_handle, self._cut):
            if timer is not None:
                timer.cancel()
        self.wire.end()
        # Not aiosmtpd's, which would cancel the session in the middle of a commit.
        super(SMTP, self).connection_lost(error)

    async def encrypt(self) -> None:
        """Answer STARTTLS and do the handshake.

        Raises Gone if the handshake fails: then the connection is unusable.
        """
        stream = self._stream()
        context = await self.services.handshake_context()
        # From here on the socket is read by TLS alone. What came in the clear behind STARTTLS may
        # be an attacker's (CVE-2011-0411), and must not be taken for something said under TLS.
        self._socket().pause_reading()
        self.wire.detach()
        await self.say(replies.READY_FOR_TLS)
        try:
            await stream.start_tls(context, ssl_handshake_timeout=HANDSHAKE_SECONDS)
        except (OSError, ssl.SSLError) as error:
            self.services.metrics.turned_away("tls")
            log.info("tls-failed", peer=self.peer, cause=str(error))
            raise Gone from error
        self.transport = stream.transport
        self.wire.attach(self._socket())
        self._note_tls(self._socket())

    def _note_tls(self, transport: asyncio.Transport) -> None:
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.tls_version = tls.version() or ""
            self.certificate = tls.getpeercert(binary_form=True)

    def _stream(self) -> asyncio.StreamWriter:
        return self._writer

    def _socket(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self._writer.transport)

    # Replies

    async def say(self, reply: Reply, *, now: bool = True) -> None:
        """Send a reply. Raises Gone if nobody listens any more.

        One that need not go out `now` waits for the next if the client has sent another command
        already: then the replies to a whole group travel together (RFC 2920, 3.2).
        """
        octets = replies.octets(reply, utf8=self.utf8, first=self.language)
        if not now and self.wire.has_line:
            self._unsent += octets
        else:
            await self.send(octets)

    async def send(self, octets: bytes) -> None:
        """Send what is already in the form of the wire, behind what waits. Raises Gone."""
        if self._unsent:
            octets = self._unsent + octets
            self._unsent = b""
        writer = self._stream()
        if writer.is_closing():
            raise Gone
        try:
            writer.write(octets)
            if self._socket().get_write_buffer_size() == 0:
                return  # all of it is with the kernel
            async with asyncio.timeout(self.services.limits.command_seconds):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise Gone from error

    # The session

    def leave(self, reply: Reply) -> None:
        """End the session with that reply: now if it waits for a command, else after this one."""
        self.leaving = reply
        self.wire.interrupt()

    async def finished(self) -> None:
        """Wait until the session has ended and its work is done."""
        if self._handler_coroutine is not None:
            await asyncio.wait({self._handler_coroutine})

    def abort(self) -> None:
        """Cut the connection without a word; work that has begun goes on."""
        self._socket().abort()

    async def _handle_client(self) -> None:
        try:
            await self.send(f"220 {self.services.host} ESMTP Yizhan\r\n".encode())
            while True:
                await self._one_command()
        except Farewell as farewell:
            await self._end(farewell.reply)
        except Gone:
            pass
        except Exception:
            log.exception("session-failed", peer=self.peer)
            await self._end(replies.FAILED)
        finally:
            self._stream().close()
            self._cut = self.loop.call_later(LINGER_SECONDS, self.abort)

    async def _end(self, reply: Reply) -> None:
        if reply in _CAUSES:
            self.services.metrics.turned_away(_CAUSES[reply])
            log.info("session-ended", peer=self.peer, limit=_CAUSES[reply])
        try:
            await self.say(reply)
        except Gone:
            return

    async def _one_command(self) -> None:
        try:
            line = await self._command_line()
            name, argument = self._parse(line)
            await self._run(name, argument)
        except LongLine:
            await self._complain(replies.LONG_LINE)
        except (Refused, Deferred, LoginFailed) as error:
            await self._complain(error.reply, error)
        except Flood:
            self.services.metrics.turned_away("size")
            raise Farewell(replies.too_large(self.services.limits.size)) from None
        except YizhanError as error:
            log.warning("command-failed", peer=self.peer, cause=str(error))
            await self.say(as_reply(error))

    async def _command_line(self) -> bytes:
        if self.leaving is not None:
            raise Farewell(self.leaving)
        deadline, late = self.budget.command_deadline(self.loop.time())
        try:
            line = await self.wire.line(LONGEST_ANSWER + 2, deadline)
        except TimeUp:
            raise Farewell(late) from None
        except Interrupted:
            raise Farewell(self.leaving or replies.STOPPING) from None
        if (reply := self.budget.spend_command()) is not None:
            raise Farewell(reply)
        return line

    def _parse(self, line: bytes) -> tuple[str, str]:
        """Name and argument of a command line; bytes that are not UTF-8 are refused."""
        ending = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        if ending == b"\n" and not self.services.repairs_for(self.address):
            raise refusal(replies.BARE_LINE_END)
        body = line.removesuffix(ending)
        name, _, argument = body.partition(b" ")
        if len(body) > LONGEST_COMMAND and name.upper() != b"AUTH":
            raise refusal(replies.LONG_LINE)
        try:
            command = name.decode("ascii").upper()
            # A PC's own name comes in whatever script and charset it was given.
            text = argument.decode(errors="replace" if command in _GREETINGS else "strict")
        except UnicodeDecodeError:
            raise refusal(replies.BAD_LINE) from None
        if not (command.isprintable() and text.isprintable()):
            raise refusal(replies.BAD_LINE)
        return command, text.strip(" ")

    async def _run(self, name: str, argument: str) -> None:
        if name in _WEB:
            raise Farewell(replies.WEB_CLIENT)
        method = self._smtp_methods.get(name)
        if method is None:
            raise refusal(replies.UNKNOWN_COMMAND if name else replies.BAD_LINE)
        await method(argument)

    async def ask(self, challenge: bytes) -> bytes:
        """Send a challenge of AUTH and read the answer line. Raises Refused if it is too long."""
        await self.send(b"334 " + challenge + b"\r\n")
        deadline, late = self.budget.command_deadline(self.loop.time())
        try:
            line = await self.wire.line(LONGEST_ANSWER + 2, deadline)
        except TimeUp:
            raise Farewell(late) from None
        except Interrupted:
            raise Farewell(self.leaving or replies.STOPPING) from None
        except LongLine:
            raise refusal(replies.LOGIN_TOO_LONG) from None
        return line.removesuffix(b"\n").removesuffix(b"\r")

    async def _complain(self, reply: Reply, error: YizhanError | None = None) -> None:
        """Say that a command was wrong or refused; too many of those end the session."""
        told = {"peer": self.peer, "code": reply.code, "status": reply.enhanced}
        if isinstance(error, LoginFailed):
            log.warning("login-failed", account=error.account, cause=error.cause, **told)
        else:
            log.info("command-refused", cause=str(error or reply.text), **told)
        if reply.code == replies.STOPPING.code:
            raise Farewell(reply)
        await self.say(reply)
        if (last := self.budget.spend_error()) is not None:
            raise Farewell(last)
