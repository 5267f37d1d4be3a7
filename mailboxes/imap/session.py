"""One client's session: reads its commands, has them carried out, answers (RFC 3501, RFC 9051).

A command is read whole, literals included, within limits that are tighter before the login; only
the messages of APPEND are not held but streamed. Whatever is wrong with a command is said in its
tagged response, and the session goes on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass, field

import structlog

from mailboxes.connection import Connection
from mailboxes.errors import FolderExists, NoSuchFolder, NoSuchMessage, Veto
from mailboxes.imap.account import Account
from mailboxes.imap.commands import COMMANDS, LOGGED_OUT, SELECTED, capabilities
from mailboxes.imap.done import Done
from mailboxes.imap.farewell import Leave, Silent
from mailboxes.imap.grammar import Grammar, SyntaxFault, UnknownCharset, announced
from mailboxes.imap.places import rights_now
from mailboxes.imap.ports import Refusal, Unavailable, no_such_folder
from mailboxes.imap.selected import Selected
from mailboxes.imap.services import Services
from mailboxes.wire import Gone, Interrupted, LongLine, TimeUp

log = structlog.get_logger("imap")

_TAGGED = re.compile(
    rb"([^\x00-\x20\x7f-\xff(){%*\"\\+]{1,250}) +(?:(?:(UID) +)?([A-Z]+)(?=[ \r\n]))?", re.I
)
_RENEW_SECONDS = 1.0  # how long an account's roles are believed to be what they were
_FLUSH = 65_536  # octets of answers that wait to be sent together


@dataclass(slots=True)
class State:
    """What the client has made of its session."""

    account: Account | None = None
    selected: Selected | None = None
    enabled: set[str] = field(default_factory=set)  # ENABLE, in capital letters
    subscribes: bool = False  # the client has subscribed to a folder itself
    created: list[int] = field(default_factory=list)  # folders that it has made before that

    @property
    def utf8(self) -> bool:
        """Names of mailboxes are UTF-8."""
        return not self.enabled.isdisjoint(("UTF8=ACCEPT", "IMAP4REV2"))

    @property
    def rev2(self) -> bool:
        return "IMAP4REV2" in self.enabled

    @property
    def condstore(self) -> bool:
        return not self.enabled.isdisjoint(("CONDSTORE", "QRESYNC"))

    @property
    def qresync(self) -> bool:
        return "QRESYNC" in self.enabled


class Session:
    """From the greeting to the end."""

    def __init__(self, services: Services, connection: Connection, peer: str) -> None:
        """`peer` is the client's IP address."""
        self.services = services
        self.connection = connection
        self.peer = peer
        self.state = State()
        self.client = ""  # what ID said
        self.tag = ""  # of the command that runs
        self._out = bytearray()
        self._loop = asyncio.get_running_loop()
        self._login_by = self._loop.time() + services.limits.login_seconds
        self._errors = services.limits.errors
        self._leaving = ""
        self._renew_at = 0.0

    # The whole

    async def run(self) -> None:
        """Serve the client until it leaves, or is sent away."""
        try:
            self.write(b"* OK [CAPABILITY %s] %s ready\r\n" % (
                self.capability(), self.services.host.encode("ascii", "replace"),
            ))  # fmt: skip
            await self.flush()
            while True:
                await self._one_command()
                if self.connection.wire.has_line:  # a client that sends many gets them in turn
                    await asyncio.sleep(0)
        except Leave as farewell:
            await self._say_bye(str(farewell))
        except Gone:
            pass
        except Exception:
            log.exception("imap-session-failed", peer=self.peer)
            await self._say_bye("The post office has failed here; please connect again")
        finally:
            self.unselect()
            self.connection.close()

    def leave(self, sentence: str) -> None:
        """End the session with that BYE: now if it waits for a command, else after this one."""
        self._leaving = sentence
        self.connection.wire.interrupt()

    async def _say_bye(self, sentence: str) -> None:
        if not sentence:
            return
        try:
            self.write(b"* BYE %s\r\n" % sentence.encode())
            await self.flush()
        except Gone:
            return

    # Sending

    def write(self, octets: bytes) -> None:
        """Say this; it goes out with what follows, at the end of the command at the latest."""
        self._out += octets

    def untagged(self, text: str) -> None:
        """An untagged response."""
        self._out += f"* {text}\r\n".encode()

    async def flush(self) -> None:
        """Send what was said, and wait until there is room for more. Raises Gone."""
        if self._out:
            out, self._out = self._out, bytearray()
            self.connection.write(bytes(out))
        await self.connection.drain(self.services.limits.write_seconds)

    @property
    def has_much(self) -> bool:
        """Whether so much was said that it should go out."""
        return len(self._out) >= _FLUSH

    async def flush_some(self) -> None:
        """Send what was said, if it is much; lets others have their turn then."""
        if self.has_much:
            await self.flush()
            await asyncio.sleep(0)

    # Reading

    @property
    def deadline(self) -> float:
        """Until when the next line must have come, in loop time."""
        if self.state.account is None:
            return self._login_by
        return self._loop.time() + self.services.limits.idle_seconds

    async def line(self, *, nudged: bool = False) -> bytes:
        """The next line with its end. Raises Leave, Gone, LongLine, Nudged."""
        if self._leaving:
            raise Leave(self._leaving)
        try:
            limits = self.services.limits
            return await self.connection.wire.line(limits.line, self.deadline, nudged=nudged)
        except TimeUp:
            raise Leave("You were silent for too long; please connect again") from None
        except Interrupted:
            raise Leave(self._leaving or "The post office closes") from None

    async def octets(self, number: int) -> bytes:
        """The next octets, all of them."""
        found = bytearray()
        while len(found) < number:
            found += await self.piece(number - len(found))
        return bytes(found)

    async def piece(self, most: int) -> bytes:
        """Some of the next octets, at least one. Raises Leave, Gone."""
        try:
            return await self.connection.wire.piece(self.deadline, most)
        except TimeUp:
            raise Leave("You were silent for too long; please connect again") from None

    async def skip(self, number: int) -> None:
        """Read that many octets and forget them."""
        while number:
            number -= len(await self.piece(min(number, _FLUSH)))

    async def skip_from(self, line: bytes) -> None:
        """Read and forget what a client sends unasked behind that line of a command: a literal,
        the line behind it, and so on. It is not to be taken for commands."""
        while (literal := announced(line)) is not None and literal[2]:
            await self.skip(int(literal[1]))
            try:
                line = await self.line()
            except LongLine as error:
                line = error.end

    # Commands

    async def _one_command(self) -> None:  # noqa: PLR0912  # one for each kind of error
        tag = ""
        try:
            command = bytearray(await self.line())
            match = _TAGGED.match(command)
            tag = match[1].decode("ascii") if match else "*"
            name = self._name(match)
            if name == "APPEND" and self.state.account is not None:
                done = await self._run(tag, name, command)
            else:
                command = await self.rest(command)
                done = await self._run(tag, name, command)
        except LongLine as error:
            await self.skip_from(error.end)
            match = _TAGGED.match(error.start)
            tag = tag or (match[1].decode("ascii") if match else "*")
            done = self._wrong("The line is too long")
        except SyntaxFault as fault:
            done = self._wrong(f"{fault}")
        except UnknownCharset:
            done = Done("That charset is not known here", "BADCHARSET (UTF-8 GB18030)", "NO")
        except Refusal as refusal:
            done = self._refused(refusal)
        except Unavailable as error:
            log.warning("imap-unavailable", peer=self.peer, cause=str(error))
            done = Done("The post office cannot answer now, try again", "UNAVAILABLE", "NO")
        except NoSuchFolder:
            done = self._refused(no_such_folder())
        except FolderExists:
            done = self._refused(
                Refusal("There is such a mailbox already", "已有同名文件夹", code="ALREADYEXISTS")
            )
        except NoSuchMessage:
            done = Done("A message is gone", "EXPUNGEISSUED", "NO")
        except Veto as veto:
            done = Done(str(veto), "NOPERM", "NO")
        except Silent:
            return
        except (Gone, Leave):
            raise
        except Exception:
            log.exception("imap-command-failed", peer=self.peer, tag=tag)
            done = Done("The post office has failed at this command", "SERVERBUG", "NO")
        code = f"[{done.code}] " if done.code else ""
        self.write(f"{tag} {done.status} {code}{_one_line(done.text)}\r\n".encode())
        await self.flush()
        if self._errors <= 0:
            self.services.meter.turned_away("errors")
            raise Leave("Too many commands that are no IMAP")

    def _name(self, match: re.Match[bytes] | None) -> str:
        if match is None or match[3] is None:
            return ""
        prefix = "UID " if match[2] else ""
        return prefix + match[3].decode("ascii").upper()

    async def rest(self, command: bytearray) -> bytearray:
        """The command with its literals, and the lines behind them. Raises SyntaxFault when they
        are too long; then all of them have been skipped."""
        limits = self.services.limits
        most = limits.command if self.state.account else limits.command_before_login
        line = bytes(command)
        while (literal := announced(line)) is not None:
            size = int(literal[1])
            if len(command) + size > most:
                await self.skip_from(line)
                raise SyntaxFault(f"a command has at most {most} octets")
            if not literal[2]:
                self.write(b"+ OK\r\n")
                await self.flush()
            command += await self.octets(size)
            line = await self.line()
            command += line
        return command

    async def _run(self, tag: str, name: str, command: bytearray) -> Done:
        if not name:
            Grammar(bytes(command)).tag()
            raise SyntaxFault("a command is a tag, a blank and a name such as NOOP")
        found = COMMANDS.get(name)
        if found is None:
            raise SyntaxFault(f"there is no command {name}")
        await self.renew()
        state = self.state
        if found.needs > LOGGED_OUT and state.account is None:
            raise Refusal("Please log in first", "请先登录", code="BAD")
        if found.needs == SELECTED and state.selected is None:
            raise Refusal("Please select a mailbox first", "请先打开一个文件夹", code="BAD")
        octets = bytes(command)
        if name != "APPEND" or announced(octets) is None:
            octets = octets.removesuffix(b"\n").removesuffix(b"\r")
        grammar = Grammar(octets, utf8=state.utf8)
        grammar.tag()
        for _ in name.split():
            grammar.space()
            grammar.word()
        self.tag = tag
        done = await found.run(self, grammar, uid=name.startswith("UID "))
        if state.account is not None:
            await self.tell(expunges=found.expunges or name.startswith("UID "))
        return done

    def _wrong(self, sentence: str) -> Done:
        if self.state.account is None:
            self._errors -= 1
        return Done(sentence, status="BAD")

    def _refused(self, refusal: Refusal) -> Done:
        if self.state.account is None:
            self._errors -= 1
        chinese = self.state.account is not None and self.state.account.language == "zh-CN"
        sentence = refusal.chinese if chinese else refusal.sentence
        if refusal.code == "BAD":
            return Done(sentence, status="BAD")
        return Done(sentence, refusal.code, "NO")

    # The account and the selected folder

    async def renew(self) -> None:
        """See what the account may do by now, in the selected folder too, once a second.

        Raises Refusal if it is closed, and the session ends after that; Unavailable.
        """
        account, services = self.state.account, self.services
        if account is None or self._loop.time() < self._renew_at:
            return
        try:
            account = await services.house.renewed(account)
        except Refusal as refusal:
            self._leaving = refusal.sentence
            raise
        self.state.account = account
        selected = self.state.selected
        if selected is not None:
            owner, folder = selected.owner, selected.folder_id
            rights = await services.database.glance(
                lambda c: rights_now(services.tree, c, account, owner, folder)
            )
            if "r" not in rights:
                self.unselect()
                self.untagged("OK [CLOSED] You may not read this folder any more")
            selected.rights = rights
        self._renew_at = self._loop.time() + _RENEW_SECONDS

    async def tell(self, *, expunges: bool, told: Collection[int] = ()) -> None:
        """Tell the client what has changed in its folder, but nothing of the UIDs that it is
        `told` of otherwise.

        Where that cannot be read it is told later: a command that has filed a message must not fail
        for it, or the client files the message again.
        """
        selected = self.state.selected
        if selected is None:
            return
        try:
            await self.services.views.refresh(selected.view)
            if selected.claimed < selected.view.state.uidnext and not selected.readonly:
                await self.claim_recent(selected)
        except NoSuchFolder:
            self.unselect()
            self.untagged("OK [CLOSED] The folder was removed")
            return
        except Unavailable as error:
            log.warning("imap-unavailable", peer=self.peer, cause=str(error))
            return
        for line in selected.news(
            expunges=expunges, vanished=self.state.qresync, modseqs=self.state.condstore,
            uids=self.state.condstore or self.state.rev2, told=told,
        ):  # fmt: skip
            self.write(line)
            await self.flush_some()

    def unselect(self) -> None:
        """Leave the selected folder, if there is one."""
        selected, self.state.selected = self.state.selected, None
        if selected is not None:
            self.services.views.close(selected.view)

    async def claim_recent(self, selected: Selected) -> None:
        """Make this client the one that is told of what is \\Recent, unless another was."""
        services, view = self.services, selected.view
        up_to = view.state.uidnext
        if view.claimed >= up_to:  # another client of this process was told
            selected.claimed = up_to
            return
        before, view.claimed = view.claimed, up_to
        try:
            first = await services.database.write(
                lambda c: services.tree.claim_recent(c, view.folder_id, up_to)
            )
        except BaseException:
            view.claimed = before
            raise
        selected.claim(first, up_to)

    # Small things

    @property
    def account(self) -> Account:
        """Who is logged in."""
        if self.state.account is None:
            raise Refusal("Please log in first", "请先登录", code="BAD")
        return self.state.account

    @property
    def selected(self) -> Selected:
        """The folder that is selected."""
        if self.state.selected is None:
            raise Refusal("Please select a mailbox first", "请先打开一个文件夹", code="BAD")
        return self.state.selected

    def enable_condstore(self) -> None:
        """The client has shown that it knows CONDSTORE (RFC 7162, 3.1)."""
        if not self.state.condstore and self.state.selected is not None:
            highest = self.state.selected.view.state.modseq
            self.untagged(f"OK [HIGHESTMODSEQ {highest}] The newest change")
        self.state.enabled.add("CONDSTORE")

    def capability(self) -> bytes:
        """What there is, at this moment."""
        return capabilities(self)


def _one_line(text: str) -> str:
    """The text of a response, which may quote what a client has said."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
