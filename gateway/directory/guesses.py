"""Wrong passwords of late: which pair of account and address is locked, and how slow an answer is.

Nothing here depends on whether a login exists, so nothing here can betray it. The tables are
bounded; a flood that pushes entries out costs the flooder more guesses than it frees.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from gateway.config import Submission

K = TypeVar("K")
V = TypeVar("V")

_LIMIT = 10_000


class Bounded(OrderedDict[K, V], Generic[K, V]):
    """A table that forgets its oldest entry when it is full."""

    def put(self, key: K, value: V) -> None:
        """Add or renew an entry."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > _LIMIT:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Wrong:
    count: int
    last: datetime
    locked_until: datetime | None = None


class Guesses:
    """Counts wrong passwords by pair (account, place) and by account."""

    def __init__(self, settings: Submission) -> None:
        self._settings = settings
        self._memory = timedelta(seconds=settings.lock_seconds)
        self._pairs: Bounded[tuple[str, str], _Wrong] = Bounded()
        self._names: Bounded[str, _Wrong] = Bounded()
        self._places: Bounded[str, datetime] = Bounded()

    def locked_for(self, name: str, at: str, now: datetime, pardon: datetime | None) -> float:
        """Seconds for which the pair is still locked, 0 if it is not.

        `pardon` is the time at which an operator last unlocked the account.
        """
        found = self._pairs.get((name, at))
        if found is None or found.locked_until is None or _forgiven(found, pardon):
            return 0.0
        return max(0.0, (found.locked_until - now).total_seconds())

    def wrong(self, name: str, at: str, now: datetime, pardon: datetime | None) -> float:
        """Note a wrong password; gives the seconds to wait before the answer."""
        settings = self._settings
        self._places.put(at, now)
        count = self._count(self._pairs.get((name, at)), now, pardon)
        locked = now + self._memory if count >= settings.lock_after else None
        self._pairs.put((name, at), _Wrong(count, now, locked))
        count = self._count(self._names.get(name), now, pardon)
        self._names.put(name, _Wrong(count, now))
        doublings = min(count - 1, 30)
        return float(min(settings.delay_seconds * 2**doublings, settings.delay_limit_seconds))

    def is_suspect(self, at: str, now: datetime) -> bool:
        """Whether any wrong password came from there lately; right ones do not make up for it."""
        last = self._places.get(at)
        return last is not None and now - last < self._memory

    def right(self, name: str, at: str) -> None:
        """The pair has shown the right password. The account's delay stays: it is for others."""
        self._pairs.pop((name, at), None)

    def forget(self, name: str) -> None:
        """Forget all wrong passwords for the account."""
        self._names.pop(name, None)
        for pair in [pair for pair in self._pairs if pair[0] == name]:
            del self._pairs[pair]

    def locked(self, now: datetime) -> int:
        """How many pairs are locked."""
        return sum(1 for w in self._pairs.values() if w.locked_until and w.locked_until > now)

    def _count(self, found: _Wrong | None, now: datetime, pardon: datetime | None) -> int:
        """Which wrong password this is; one after a quiet time, a lock or a pardon is the first."""
        if found is None or _forgiven(found, pardon) or now - found.last >= self._memory:
            return 1
        return found.count + 1


def _forgiven(found: _Wrong, pardon: datetime | None) -> bool:
    return pardon is not None and found.last <= pardon


def place(client_ip: str) -> str:
    """The address that guesses are counted by: one IPv4 address, or a whole IPv6 /64.

    Any host on IPv6 has 2^64 addresses to guess from.
    """
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return client_ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)
