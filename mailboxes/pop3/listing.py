"""STAT, LIST, UIDL, DELE, RSET."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailboxes.imap.folder_view import Row
from mailboxes.pop3.errors import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailboxes.pop3.session import Session

_NUMBERS = re.compile(rb" *(\d{1,10})(?: +(\d{1,10}))? *", re.ASCII)
_SOME = 500  # lines, after which what was said is sent if it is much


def numbers(argument: bytes, how_many: int) -> list[int]:
    """That many numbers. Raises Wrong."""
    match = _NUMBERS.fullmatch(argument)
    found = [int(one) for one in match.groups() if one is not None] if match else []
    if len(found) != how_many:
        raise Wrong(
            "That command takes the number of a message"
            + (" and a number of lines" if how_many == 2 else "")
        )
    return found


async def stat(session: Session, _argument: bytes) -> None:
    """STAT"""
    session.ok(f"{session.drop.count} {session.drop.octets}")


async def list_(session: Session, argument: bytes) -> None:
    """LIST, of one message or of all."""
    await _scan(session, argument, lambda row: str(row.size))


async def uidl(session: Session, argument: bytes) -> None:
    """UIDL, of one message or of all."""
    await _scan(session, argument, session.drop.unique_id)


async def dele(session: Session, argument: bytes) -> None:
    """DELE: marks the message until QUIT."""
    [number] = numbers(argument, 1)
    drop = session.drop
    drop.find(number)
    drop.marked.add(number)
    session.ok(f"Message {number} is marked")


async def rset(session: Session, _argument: bytes) -> None:
    """RSET: takes all marks back."""
    drop = session.drop
    drop.marked.clear()
    session.ok(f"{drop.count} messages ({drop.octets} octets)")


async def _scan(session: Session, argument: bytes, tell: Callable[[Row], str]) -> None:
    drop = session.drop
    if argument.strip():
        [number] = numbers(argument, 1)
        session.ok(f"{number} {tell(drop.find(number))}")
        return
    session.ok(f"{drop.count} messages ({drop.octets} octets)")
    for lines, (number, row) in enumerate(drop.there(), 1):
        session.write(b"%d %s\r\n" % (number, tell(row).encode("ascii")))
        if not lines % _SOME:
            await session.flush_some()
    session.write(b".\r\n")
