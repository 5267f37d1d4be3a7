"""Counts how much an account has offered lately, so that a rule can say how much is too much."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages that an account offered, the present one included."""

    last_minute: int
    last_hour: int


class Rates:
    """Sliding windows of one minute and one hour for each account, in memory.

    Every offer counts, also one that is then turned away: a client that hammers gets no faster.
    The limits are numbers in the rules. Bounded: an account costs at most `most` times, and one
    that was silent for an hour costs nothing. A restart forgets, which does no harm.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._offers: dict[int, deque[float]] = {}
        self._swept = 0.0

    def note(self, account_id: int, now: datetime) -> Sent:
        """Count one offer at that moment and say how many there were."""
        moment = now.timestamp()
        if not 0 <= moment - self._swept <= HOUR:
            self._sweep(moment)
        offers = self._offers.setdefault(account_id, deque(maxlen=self._most))
        while offers and offers[-1] > moment:
            offers.pop()  # the clock was set back: what lies ahead would count for too long
        offers.append(moment)
        while offers[0] <= moment - HOUR:
            offers.popleft()
        last_minute = 0
        for offer in reversed(offers):
            if offer <= moment - MINUTE:
                break
            last_minute += 1
        return Sent(last_minute, len(offers))

    async def count(self, account_id: int, now: datetime) -> Sent:
        """The same for who may have to ask another process."""
        return self.note(account_id, now)

    def __len__(self) -> int:
        """Accounts that are remembered."""
        return len(self._offers)

    def _sweep(self, moment: float) -> None:
        self._swept = moment
        for account_id in [k for k, v in self._offers.items() if v[-1] <= moment - HOUR]:
            del self._offers[account_id]
