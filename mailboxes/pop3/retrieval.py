"""RETR and TOP: messages, octet for octet, and the record that a client has them.

A message is handed over once a client has all of its octets. That is written down after the last of
them was sent and before the line that ends the answer: a program that sees this line knows that it
has the message, and so does the record. TOP can give a whole message too, and some programs fetch
by it alone, so there the same holds. Only RETR makes the message read for this account; that nobody
has opened it yet stays as it is, since programs fetch without being asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from mailboxes.errors import NoSuchMessage
from mailboxes.imap.farewell import Leave
from mailboxes.imap.folder_view import Row
from mailboxes.imap.loading import OCTETS, Loaded
from mailboxes.imap.ports import Refusal
from mailboxes.pop3.errors import Cut
from mailboxes.pop3.listing import numbers
from mailboxes.pop3.stuffing import Stuffing, first_lines
from mailboxes.wire import Gone

if TYPE_CHECKING:
    from mailboxes.pop3.session import Session

log = structlog.get_logger("pop3")

_LONG = 262_144  # octets of a message that is streamed
_PIECE = 65_536

Chooser = Callable[[Loaded], Iterator[bytes]]


async def retr(session: Session, argument: bytes) -> None:
    """RETR"""
    [number] = numbers(argument, 1)
    row = session.drop.find(number)
    pieces = await _load(session, row, lambda content: content.pieces(0, row.size, _PIECE))
    session.ok(f"{row.size} octets")
    await _send(session, row, pieces, reads=True)


async def top(session: Session, argument: bytes) -> None:
    """TOP: the header, the empty line, and so many lines of the body."""
    number, lines = numbers(argument, 2)
    row = session.drop.find(number)

    def choose(content: Loaded) -> Iterator[bytes]:
        start = content.structure.body_start
        body = content.pieces(start, row.size - start, _PIECE)
        return chain((content.header,), first_lines(body, lines))

    pieces = await _load(session, row, choose)
    session.ok("Here is the top of it")
    await _send(session, row, pieces, reads=False)


async def _load(session: Session, row: Row, choose: Chooser) -> Iterator[bytes]:
    """The octets in pieces; those of a short message have been read already.

    Raises Refusal if the message has left INBOX since the login.
    """
    services = session.services

    def read(conn: Connection) -> Iterator[bytes]:
        if not _is_there(session, conn, row):
            raise NoSuchMessage("it was moved")
        content = services.loader.load(conn, [row.content_id], OCTETS)[row.content_id]
        pieces = choose(content)
        if row.size <= _LONG:
            return iter((b"".join(pieces),))
        # The first is our own; if the blob is not there at all, the second says so in time.
        return chain([*islice(pieces, 2)], pieces)

    try:
        return await services.database.read(read)
    except NoSuchMessage:
        raise Refusal("The message was moved or removed meanwhile", "邮件已被移走或删除") from None


def _is_there(session: Session, conn: Connection, row: Row) -> bool:
    """Whether it is still in INBOX: that very message, for SQLite may give its id to new mail."""
    try:
        message = session.services.store.message(conn, row.id)
    except NoSuchMessage:
        return False
    return (message.folder_id, message.uid) == (session.drop.folder_id, row.uid)


async def _send(session: Session, row: Row, pieces: Iterator[bytes], *, reads: bool) -> None:
    """Send them as a multi-line answer, and record what that means. Raises Gone, Cut."""
    stuffing, sent = Stuffing(), 0
    try:
        while piece := await _next(pieces, row):
            sent += len(piece)
            session.write(stuffing.piece(piece))
            await session.flush_some()
        if reads and sent != row.size:
            raise EOFError(f"{row.size - sent} octets are missing")
        await _record(session, row, whole=sent == row.size, reads=reads)
    except (Gone, Leave):
        raise
    except Exception as error:
        log.exception("pop3-answer-cut", peer=session.peer, message=row.id)
        raise Cut from error
    session.write(stuffing.end())


async def _next(pieces: Iterator[bytes], row: Row) -> bytes:
    if row.size > _LONG:
        return await asyncio.to_thread(next, pieces, b"")
    return next(pieces, b"")


async def _record(session: Session, row: Row, *, whole: bool, reads: bool) -> None:
    """Hand-over, once for each message; \\Seen, of this account."""
    services, drop, account = session.services, session.drop, session.account
    hands = whole and not row.handed and row.uid not in drop.view.handed
    reads = reads and row.id in drop.unread
    if account is None or not (hands or reads):
        return
    await session.flush()
    person, now = account.person, services.now()

    def write(conn: Connection) -> None:
        if not _is_there(session, conn, row):
            return
        if hands:
            services.store.hand_over(conn, drop.folder_id, [row.id], now=now, by=person)
        if reads:
            services.store.flag(
                conn, drop.folder_id, [row.id], add=("\\Seen",), now=now, by=person, unasked=True
            )

    await services.database.write(write)
    if hands:
        drop.view.handed.add(row.uid)
    drop.unread.discard(row.id)
