"""The commands, and when each may be said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailboxes.pop3 import greeting, listing, login, retrieval

if TYPE_CHECKING:
    from mailboxes.pop3.session import Session


class Where(Enum):
    """RFC 1939's states."""

    ANYWHERE = "always"
    OUTSIDE = "AUTHORIZATION"
    INSIDE = "TRANSACTION"


@dataclass(frozen=True, slots=True)
class Command:
    """One command; what is behind its blank is `run`'s to read."""

    run: Callable[[Session, bytes], Awaitable[None]]
    where: Where
    takes: bool = False  # an argument


COMMANDS: Mapping[bytes, Command] = {
    b"CAPA": Command(greeting.capa, Where.ANYWHERE),
    b"QUIT": Command(greeting.quit_, Where.ANYWHERE),
    b"STLS": Command(greeting.stls, Where.OUTSIDE),
    b"UTF8": Command(greeting.utf8, Where.OUTSIDE),
    b"USER": Command(login.user, Where.OUTSIDE, takes=True),
    b"PASS": Command(login.pass_, Where.OUTSIDE, takes=True),
    b"AUTH": Command(login.auth, Where.OUTSIDE, takes=True),
    b"NOOP": Command(greeting.noop, Where.INSIDE),
    b"STAT": Command(listing.stat, Where.INSIDE),
    b"LIST": Command(listing.list_, Where.INSIDE, takes=True),
    b"UIDL": Command(listing.uidl, Where.INSIDE, takes=True),
    b"DELE": Command(listing.dele, Where.INSIDE, takes=True),
    b"RSET": Command(listing.rset, Where.INSIDE),
    b"RETR": Command(retrieval.retr, Where.INSIDE, takes=True),
    b"TOP": Command(retrieval.top, Where.INSIDE, takes=True),
}
