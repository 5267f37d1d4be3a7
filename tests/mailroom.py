"""The mailboxes' service in one process, without doors: real sessions over a real database, with a
house that knows people by name and takes whatever is filed.

A client's end of the connection is in memory, claims TLS, and hears everything that is said, so a
command costs a millisecond.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from gateway.exchange.mailroom import tables
from gateway.exchange.texts import open_search
from gateway.intake.guest import MailGuest
from gateway.intake.mailhouse import Rows
from gateway.intake.services import NoMetrics
from gateway.store.database import Database
from gateway.store.spool import Spool
from mailboxes.content import Content
from mailboxes.events import Person
from mailboxes.folders import FolderStore
from mailboxes.imap.account import ALL_RIGHTS, Account, Root
from mailboxes.imap.facts import FactBook
from mailboxes.imap.folder_view import Views
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import Limits, Refusal
from mailboxes.imap.remembering import Rendered
from mailboxes.imap.services import Services
from mailboxes.imap.session import Session
from mailboxes.imap.wake import Wakeups
from mailboxes.rows import FolderSpec
from mailboxes.store import MailboxStore
from mailboxes.tree import FolderTree

T = TypeVar("T")

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
FOLDERS = ("INBOX", "Sent")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Pipe(asyncio.Transport):
    """The client's end, as it hears it; `deaf`: it takes nothing, and the server must wait."""

    def __init__(self, *, secure: bool = True) -> None:
        super().__init__({"peername": ("127.0.0.1", 9), "ssl_object": self if secure else None})
        self.heard = bytearray()
        self.closed = False
        self.deaf = False
        self.news = asyncio.Event()
        self.protocol: asyncio.Protocol | None = None

    def version(self) -> str:
        return "TLSv1.3"

    def getpeercert(self, *, binary_form: bool) -> None:  # noqa: ARG002
        return None

    def write(self, data: Any) -> None:
        if not self.closed:
            self.heard += data
            self.news.set()
            if self.deaf and self.protocol is not None:
                self.protocol.pause_writing()

    def listen(self) -> None:
        """Take what comes again."""
        self.deaf = False
        if self.protocol is not None:
            self.protocol.resume_writing()

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def close(self) -> None:
        self.closed = True
        self.news.set()

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class People:
    """A house in which everybody's password is their name. Implements `ports.House`."""

    def __init__(self, folder: Path) -> None:
        self.known: dict[str, Account] = {}
        self._folder = folder

    async def handshake_context(self) -> Any:
        raise AssertionError("the pipe has claimed TLS already")

    async def by_password(self, login: str, password: str, address: str) -> Account:  # noqa: ARG002
        account = self.known.get(login)
        if account is None or password != login:
            raise Refusal("Wrong login or password", code="AUTHENTICATIONFAILED")
        return account

    async def by_certificate(self, certificate: bytes, address: str) -> Account:  # noqa: ARG002
        raise AssertionError("no certificate was shown")

    async def renewed(self, account: Account) -> Account:
        if account.login not in self.known:
            raise Refusal("This account is closed", code="AUTHORIZATIONFAILED")
        return self.known[account.login]

    async def standing(self, owner: str, identifier: str) -> Root | None:
        account = self.known.get(identifier)
        if account is None:
            return None
        return next((root for root in account.roots if root.owner == owner), Root(owner, rights=""))

    def spool(self) -> Spool:
        return Spool(self._folder, 65_536)

    async def admit(self, account: Account, spool: Any) -> Content:  # noqa: ARG002
        octets = spool.read()
        if b"classified" in octets:
            raise Refusal("It bears a marking", code="CANNOT")
        return Content.of_octets(octets, key="filed", kind="filed")

    def twin(self, conn: Any, folder_id: int, content: Content) -> None:
        """Nothing was filed by the office."""

    def is_act(self, folder: str) -> bool:
        return folder.startswith("Signed/")

    def rights_given(self, conn: Any, *what: Any) -> None:
        """Nobody keeps a log here."""


@dataclass
class Client:
    """One mail program, logged in."""

    guest: MailGuest
    pipe: Pipe
    at: int = 0
    number: int = 0
    lines: list[bytes] = field(default_factory=list)

    @property
    def session(self) -> Session:
        return self.guest._session

    def send(self, octets: bytes) -> None:
        """Say these octets."""
        self.guest.data_received(octets)

    async def line(self, seconds: float = 20) -> bytes:
        """The next response, literals included, without its end."""
        found = bytearray()
        while True:
            end = self.pipe.heard.find(b"\r\n", self.at)
            if end < 0:
                await self._more(seconds)
                continue
            found += self.pipe.heard[self.at : end + 2]
            self.at = end + 2
            literal = _LITERAL.search(found)
            if literal is None:
                return bytes(found[:-2])
            size = int(literal[1])
            while len(self.pipe.heard) < self.at + size:
                await self._more(seconds)
            found += self.pipe.heard[self.at : self.at + size]
            self.at += size

    async def _more(self, seconds: float) -> None:
        assert not self.pipe.closed, f"hung up after {bytes(self.pipe.heard[-300:])!r}"
        self.pipe.news.clear()
        async with asyncio.timeout(seconds):
            await self.pipe.news.wait()

    async def hears(self, octets: bytes) -> None:
        """Wait until the server has said that, in a line that may not be finished."""
        while octets not in self.pipe.heard[self.at :]:
            await self._more(20)

    async def until(self, tag: str) -> list[bytes]:
        """All responses up to the tagged one of that command."""
        found = [await self.line()]
        while not found[-1].startswith(tag.encode() + b" "):
            found.append(await self.line())
        return found

    async def say(self, command: str | bytes) -> list[bytes]:
        """Say a command, with its literals unasked; all responses to it, the tagged one last."""
        octets = command.encode() if isinstance(command, str) else command
        self.number += 1
        tag = f"t{self.number}"
        self.send(tag.encode() + b" " + octets + b"\r\n")
        found = await self.until(tag)
        found[-1] = found[-1].removeprefix(tag.encode() + b" ")
        return found

    async def ok(self, command: str | bytes) -> list[bytes]:
        """The untagged responses to a command that must succeed."""
        *untagged, last = await self.say(command)
        assert last.startswith(b"OK"), (command, last)
        return untagged

    async def fails(self, command: str | bytes, how: str = "NO") -> bytes:
        """The tagged response to a command that must fail that way."""
        last = (await self.say(command))[-1]
        assert last.startswith(how.encode() + b" "), (command, last)
        return last

    async def append(self, octets: bytes, folder: str = "INBOX", flags: str = "") -> int:
        """File a message; its UID."""
        head = f"APPEND {folder} {f'({flags}) ' if flags else ''}{{{len(octets)}+}}\r\n"
        last = (await self.say(head.encode() + octets))[-1]
        match = re.match(rb"OK \[APPENDUID \d+ (\d+)\]", last)
        assert match is not None, last
        return int(match[1])

    async def uids(self) -> list[int]:
        """The UIDs in the selected folder, in order."""
        found = await self.ok("UID SEARCH RETURN () ALL")
        texts = [re.search(rb" ALL ([0-9:,]+)", line) for line in found if b"ESEARCH" in line]
        return [uid for text in texts if text for uid in _spread(text[1].decode())]

    async def hang_up(self) -> None:
        self.guest.eof_received()
        self.pipe.closed = True
        self.guest.connection_lost(None)
        await self.guest.finished()


def _spread(text: str) -> list[int]:
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


class Mailroom:
    """Sessions, and what they share."""

    def __init__(self, database: Database, folder: Path, **limits: Any) -> None:
        self.database = database
        database.start()
        self.people = People(folder)
        rows = Rows(database, lambda: None)
        self.store = MailboxStore(tables, _no_blob)
        self.tree = FolderTree(tables)
        loader = Loader(tables, _no_blob, database.read_now)
        self.services = Services(
            host="mail.heping.test", version="0", tls=True, store=self.store, tree=self.tree,
            database=rows, house=self.people, search=open_search(_no_blob),
            views=Views(tables, rows), loader=loader, facts=FactBook(loader), rendered=Rendered(),
            wakeups=Wakeups(tables, rows), limits=Limits(**limits), zone=UTC, meter=NoMetrics(),
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        database.written = self.services.wakeups.hint
        self._waking: asyncio.Task[None] | None = None
        self.clients: list[Client] = []

    def of_another_process(self) -> Mailroom:
        """What another process of the office would have: the same rows, memory of its own."""
        twin = Mailroom.__new__(Mailroom)
        twin.__dict__.update(self.__dict__)
        rows = self.services.database
        twin.services = replace(
            self.services, views=Views(tables, rows), rendered=Rendered(),
            wakeups=Wakeups(tables, rows),
        )  # fmt: skip
        twin._waking, twin.clients = None, []
        return twin

    def add(self, login: str, *roots: Root, shared: str = "Units/") -> Account:
        """Let somebody log in by that name. Without roots: with a mailbox of their own."""
        own = roots or (Root(f"person:{login}", "", ALL_RIGHTS),)
        for root in own:
            self.mailbox(root.owner)
        account = Account(
            login=login, name=login, language="en", person=Person(login, "127.0.0.1", "password"),
            roots=own, shared=shared if len(own) > 1 else "",
        )  # fmt: skip
        self.people.known[login] = account
        return account

    def mailbox(self, owner: str, *folders: str) -> None:
        """Make a mailbox, if it is missing."""
        specs = [FolderSpec(name) for name in (*FOLDERS, *folders)]
        self.now(lambda c: FolderStore(tables).ensure_mailbox(c, owner, specs, NOW))

    def now(self, work: Callable[[Connection], T]) -> T:
        """Change rows as another process would."""
        return self.database.write_now(work)

    async def connect(self, *, secure: bool = True) -> Client:
        """A client that has heard the greeting."""
        if self._waking is None:
            self._waking = asyncio.create_task(self.services.wakeups.run())
        pipe = Pipe(secure=secure)
        guest = MailGuest(lambda connection: Session(self.services, connection, "127.0.0.1"))
        pipe.protocol = guest
        guest.connection_made(pipe)
        client = Client(guest, pipe)
        self.clients.append(client)
        assert (await client.line()).startswith(b"* OK ")
        return client

    async def client(self, login: str = "wang", select: str = "") -> Client:
        """A client that has logged in and, perhaps, selected a folder."""
        if login not in self.people.known:
            self.add(login)
        client = await self.connect()
        await client.ok(f"LOGIN {login} {login}")
        if select:
            await client.ok(f"SELECT {select}")
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.hang_up()
        if self._waking is not None:
            self._waking.cancel()
            await asyncio.wait({self._waking})


def _no_blob(name: str) -> Any:
    raise AssertionError(f"nothing here is in a blob: {name}")
