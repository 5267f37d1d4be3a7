"""APPEND: puts messages into a folder, streamed, several at once (RFC 3502, 6855, 3516).

Nothing of a message is kept before all of it was checked, and either all messages of a command are
filed or none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.content import Content
from mailboxes.events import Person
from mailboxes.imap.done import Done
from mailboxes.imap.farewell import Leave
from mailboxes.imap.grammar import Grammar, SyntaxFault, announced
from mailboxes.imap.places import Spot, demand, locate, rights_now
from mailboxes.imap.ports import FEW, SMALL, Refusal, Spool, Unavailable, not_allowed
from mailboxes.imap.room import make_room
from mailboxes.imap.selected import right_for
from mailboxes.imap.services import Services
from mailboxes.imap.syntax import AppendHead, numbers_text
from mailboxes.imap.unbinary import NotEncodable, without_nul
from mailboxes.tree import Node
from mailboxes.wire import Gone, LongLine

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

_PIECE = 65_536
_MOST = 1_000  # messages in one command
SENT = "\\Sent"


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message that has come whole."""

    head: AppendHead
    spool: Spool


async def append(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """APPEND; the grammar holds the command up to the first literal."""
    reader = _Reader(session, grammar)
    arrivals: list[_Arrival] = []
    try:
        spot = await reader.spot()
        await reader.messages(arrivals)
        return await _file(session, spot, arrivals)
    except (Gone, Leave):
        raise
    except Exception:
        await reader.skip_rest()
        raise
    finally:
        for arrival in arrivals:
            arrival.spool.close()


class _Reader:
    """Reads one command, so that the client and we agree on where it ends, whatever is wrong."""

    def __init__(self, session: Session, grammar: Grammar) -> None:
        self._session = session
        self._grammar = grammar
        self._line = grammar.octets  # the last one; the literal that it announces is not read yet
        self._unread = -1  # octets of the literal that is being read; -1: none is

    async def spot(self) -> Spot:
        """Where to. Raises Refusal, SyntaxFault."""
        session, grammar = self._session, self._grammar
        grammar.space()
        while grammar.waits_for_literal:
            await self._read_literal()
        name = grammar.mailbox()
        account, tree = session.account, session.services.tree

        def find(conn: Connection) -> Spot:
            try:
                return locate(tree, conn, account, name)
            except Refusal as refusal:
                if refusal.code == "NONEXISTENT":
                    refusal.code = "TRYCREATE"
                raise

        spot = await session.services.database.glance(find)
        demand(spot, "i")
        return spot

    async def messages(self, arrivals: list[_Arrival]) -> None:
        """All messages of the command."""
        session = self._session
        while True:
            self._grammar.space()
            head = self._grammar.append_head()
            self._grammar.line_end()
            self._check(head, arrivals)
            arrivals.append(await self._message(head))
            await self._next_line()
            self._grammar = Grammar(self._line, utf8=session.state.utf8)
            if head.utf8:
                self._grammar.expect(b")")
            if self._grammar.at_line_end:
                return

    def _check(self, head: AppendHead, before: Sequence[_Arrival]) -> None:
        limits = self._session.services.limits
        if head.size > limits.size:
            raise Refusal(
                f"A message has at most {limits.size / 1e6:.0f} MB",
                f"单封邮件最大 {limits.size / 1e6:.0f} MB",
                code="TOOBIG",
            )
        if not head.size:
            raise Refusal("The message is empty", "邮件是空的", code="CANNOT")
        if len(before) >= _MOST:
            raise Refusal(f"One command brings at most {_MOST} messages", code="LIMIT")
        if before and head.size + sum(one.head.size for one in before) > limits.size:
            # All are held until the last has come, and then filed together.
            raise Refusal(
                f"The messages of one command have at most {limits.size / 1e6:.0f} MB together",
                f"一次存入的邮件合计最大 {limits.size / 1e6:.0f} MB", code="LIMIT",
            )  # fmt: skip

    async def _message(self, head: AppendHead) -> _Arrival:
        session = self._session
        if head.sync:
            session.write(b"+ OK\r\n")
            await session.flush()
        self._unread = head.size
        spool = session.services.house.spool()
        try:
            while self._unread:
                piece = await session.piece(min(self._unread, _PIECE))
                self._unread -= len(piece)
                spool.write(piece)
            spool.finish()
            if head.binary:
                spool = await self._encoded(spool)
        except OSError as error:
            spool.close()
            raise Unavailable(f"the message cannot be held: {error}") from error
        except BaseException:
            spool.close()
            raise
        return _Arrival(head, spool)

    async def _encoded(self, spool: Spool) -> Spool:
        """The message of a literal8, as every client can read it."""
        try:
            octets = await asyncio.to_thread(lambda: without_nul(spool.read()))
        except NotEncodable:
            raise Refusal(
                "The message has a NUL outside of its parts", "邮件头含有空字符", code="CANNOT"
            ) from None
        other = self._session.services.house.spool()
        other.write(octets)
        other.finish()
        spool.close()
        return other

    async def _read_literal(self) -> None:
        """The literal that stands for the name of the mailbox, and what is behind it."""
        session = self._session
        command = bytearray(self._grammar.octets)
        found = announced(self._line)
        if found is None:
            raise self._grammar.fault("the name of a mailbox")
        size = int(found[1])
        if size > session.services.limits.command_before_login:
            raise SyntaxFault("the name of the mailbox is too long")
        if not found[2]:
            session.write(b"+ OK\r\n")
            await session.flush()
        command += await session.octets(size)
        await self._next_line()
        command += self._line
        self._grammar.more(bytes(command))

    async def _next_line(self) -> None:
        """The line behind a literal that was read."""
        self._line, self._unread = b"", -1  # of a line that is too long the session takes care
        self._line = await self._session.line()

    async def skip_rest(self) -> None:
        """Read what the client has sent already and will not be asked for."""
        session = self._session
        if self._unread >= 0:
            await session.skip(self._unread)
            try:
                await self._next_line()
            except LongLine as error:
                self._line = error.end
        await session.skip_from(self._line)


async def _file(session: Session, spot: Spot, arrivals: list[_Arrival]) -> Done:
    """Check all, then file all in one transaction, if the account may do so still: it was asked
    before the first octet, and a client may take hours to send the last."""
    await session.renew()
    services, account = session.services, session.account
    owner, folder_id = spot.root.owner, spot.node.id
    contents = [await services.house.admit(account, arrival.spool) for arrival in arrivals]
    now = services.now()

    def write(conn: Connection) -> list[int]:
        rights = rights_now(services.tree, conn, account, owner, folder_id)
        if "i" not in rights:
            raise not_allowed()
        make_room(services, conn, owner, sum(one.size for one in contents))
        return [
            _file_one(services, conn, spot.node, rights, arrival.head, content, account.person, now)
            for arrival, content in zip(arrivals, contents, strict=True)
        ]

    long = len(contents) > FEW or sum(one.size for one in contents) > SMALL
    try:
        uids = await services.database.write(write, long=long)
    except ValueError as error:
        raise SyntaxFault(str(error)) from None
    return Done("Filed", f"APPENDUID {spot.node.uidvalidity} {_uid_text(uids)}")


def _file_one(
    services: Services, conn: Connection, node: Node, rights: str, head: AppendHead,
    content: Content, by: Person, now: datetime,
) -> int:  # fmt: skip
    """File one message; its UID. What is here already is not kept twice."""
    store = services.store
    if node.special_use == SENT:
        twin = services.house.twin(conn, node.id, content)
        if twin is not None:
            return twin
    content_id = store.find_content(conn, content) or store.add_content(conn, content, now)
    flags = [flag for flag in head.flags if right_for(flag) in rights]
    [one] = store.append(
        conn, [node.id], content_id, flags=flags, now=now, arrived=head.arrived, by=by
    )
    return one.uid


def _uid_text(uids: list[int]) -> str:
    rising = all(low < high for low, high in pairwise(uids))
    return numbers_text(uids) if rising else ",".join(map(str, uids))
