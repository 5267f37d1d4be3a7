"""Who is logged in at the portal: kept in memory, so a restart logs everybody out.

A session ends when its owner's password changes, wherever that happens, when the account is closed,
after a quiet time, and after a working day. The token in the cookie is known to the browser alone;
what protects the forms is derived from it, so there is one secret to keep and none to mix up.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.directory.guesses import Bounded
from gateway.directory.model import Account
from gateway.domain.clock import Clock

LONGEST = timedelta(hours=8)
_TOKEN_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    account_id: int
    password_hash: str
    began: datetime
    seen: datetime


class Sessions:
    """The sessions of this process; the oldest go when there are too many."""

    def __init__(self, clock: Clock, minutes: float) -> None:
        self._clock = clock
        self._quiet = timedelta(minutes=minutes)
        self._key = secrets.token_bytes(32)
        self._open: Bounded[bytes, Session] = Bounded()

    def new_token(self) -> str:
        """What a cookie holds; worth nothing until `begin`."""
        return secrets.token_urlsafe(_TOKEN_OCTETS)

    def begin(self, account: Account) -> str:
        """Log in; gives a new token, never the one that a stranger may have set before."""
        token, now = self.new_token(), self._clock.now()
        self._open.put(_name(token), Session(account.id, account.password_hash, now, now))
        return token

    def find(self, token: str) -> Session | None:
        """The session of that token, which has now been seen again."""
        found = self._open.get(_name(token))
        if found is None:
            return None
        now = self._clock.now()
        if now - found.seen > self._quiet or now - found.began > LONGEST:
            self.end(token)
            return None
        self._open[_name(token)] = replace(found, seen=now)
        return found

    def end(self, token: str) -> None:
        """Log out."""
        self._open.pop(_name(token), None)

    def form_token(self, token: str) -> str:
        """What each form of that browser carries, which no other site can know."""
        return hmac.new(self._key, token.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, token: str, given: str) -> bool:
        """Whether a form came from a page that we gave to that browser."""
        return bool(token) and hmac.compare_digest(
            self.form_token(token).encode(), given.encode("utf-8", "replace")
        )


def _name(token: str) -> bytes:
    # A table that is looked up by the secret itself could tell by its time how much of it is right.
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
