"""CAPA, STLS, UTF8, NOOP, QUIT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from mailboxes.imap.farewell import Leave
from mailboxes.imap.ports import FEW, Unavailable
from mailboxes.pop3.errors import Wrong
from mailboxes.wire import Gone

if TYPE_CHECKING:
    from mailboxes.pop3.session import Session

log = structlog.get_logger("pop3")

_ALWAYS = (
    "TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER", "UTF8 USER",
)  # fmt: skip


async def capa(session: Session, _argument: bytes) -> None:
    """CAPA (RFC 2449, 5): what there is, at this moment of the session."""
    words = [*_ALWAYS]
    if session.connection.tls_version:
        external = " EXTERNAL" if session.connection.certificate is not None else ""
        words += ["USER", f"SASL PLAIN{external}"]
    else:
        words.append("STLS")
    if session.account is not None:
        words.append(f"IMPLEMENTATION Yizhan {session.services.version}")
    session.ok("This is what there is")
    session.write("".join(f"{word}\r\n" for word in (*words, ".")).encode("ascii"))


async def stls(session: Session, _argument: bytes) -> None:
    """STLS (RFC 2595, 4): what was said before does not count."""
    connection = session.connection
    if connection.tls_version:
        raise Wrong("TLS is on already")
    context = await session.services.logins.handshake_context()
    await session.flush()
    session.user, session.utf8 = None, False
    try:
        await connection.encrypt(context, b"+OK Begin TLS now\r\n")
    except Gone as gone:
        session.services.meter.turned_away("tls")
        log.info("tls-failed", peer=session.peer, cause=str(gone.__cause__))
        raise


async def utf8(session: Session, _argument: bytes) -> None:
    """UTF8 (RFC 6856, 2): messages are given as they are anyhow; sentences may be Chinese now."""
    session.utf8 = True
    session.ok("UTF-8 it is")


async def noop(session: Session, _argument: bytes) -> None:
    """NOOP"""
    session.ok("Nothing done")


async def quit_(session: Session, _argument: bytes) -> None:
    """QUIT: messages that were marked are not shown to this account any more."""
    account = session.account
    if account is None:
        session.ok("Goodbye")
        raise Leave
    services, drop = session.services, session.drop
    uids = [drop.rows[number - 1].uid for number in sorted(drop.marked)]
    if not uids:
        session.ok("Goodbye")
        raise Leave
    now = services.now()
    try:
        taken = await services.database.write(
            lambda c: services.taken.take(c, drop.folder_id, uids, account.login, now),
            long=len(uids) > FEW,
        )
    except Unavailable as error:
        log.warning("pop3-unavailable", peer=session.peer, cause=str(error))
        session.error("The messages could not be deleted, try again later", "SYS/TEMP")
    else:
        log.info("pop3-taken", account=account.login, messages=taken)
        session.ok("Goodbye, the messages are deleted here and stay in the mailbox")
    raise Leave
