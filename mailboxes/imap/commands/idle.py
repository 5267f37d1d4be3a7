"""IDLE (RFC 2177): the client is told of changes as they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.ports import Unavailable
from mailboxes.wire import LongLine, Nudged

if TYPE_CHECKING:
    from mailboxes.imap.session import Session


log = structlog.get_logger("imap")


async def idle(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """IDLE, until DONE."""
    grammar.end()
    selected, wakeups = session.state.selected, session.services.wakeups
    await session.tell(expunges=True)
    session.write(b"+ Idling\r\n")
    await session.flush()
    if selected is not None and session.state.selected is not None:
        wire = session.connection.wire
        wakeups.watch(selected.folder_id, selected.told, session, wire.nudge)
    try:
        while True:
            try:
                line = await session.line(nudged=True)
                break
            except Nudged:
                try:
                    await session.renew()
                    await session.tell(expunges=True)
                except Unavailable as error:  # only the client ends this command
                    log.warning("imap-unavailable", peer=session.peer, cause=str(error))
                await session.flush()
    except LongLine:
        raise SyntaxFault("IDLE ends with DONE") from None
    finally:
        if selected is not None:
            wakeups.leave(selected.folder_id, session)
    if line.strip().upper() != b"DONE":
        raise SyntaxFault("IDLE ends with DONE")
    return Done("Done idling")
