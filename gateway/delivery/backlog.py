"""What lies in the outbox: how much waits, how much keeps failing; one query, remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select

from gateway.domain.clock import milliseconds, moment
from gateway.exchange.tables import outbox

# A full disk or a card that was pulled out is often put right within a minute, by itself.
STUBBORN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The outbox at one moment."""

    waiting: int = 0  # due or tried in vain; what is planned for later does not count
    stubborn: int = 0  # tried in vain for longer than STUBBORN
    failing_since: datetime | None = None  # the first failure of what still fails

    def sentence(self, now: datetime) -> str:
        """What the health page says; empty if nothing has failed for long."""
        if not self.stubborn or self.failing_since is None:
            return ""
        minutes = round((now - self.failing_since).total_seconds() / 60)
        pieces = "piece has" if self.stubborn == 1 else "pieces have"
        return (
            f"{self.stubborn} {pieces} failed for up to {minutes} minutes (receipts, summaries, "
            "alerts); each is tried again, the log says why it failed"
        )


def measure(connection: Connection, now: datetime) -> Backlog:
    """Count what lies there."""
    since = outbox.c.failing_since
    row = connection.execute(
        select(
            func.count().filter(or_(outbox.c.due_at <= milliseconds(now), since.is_not(None))),
            func.count().filter(since <= milliseconds(now - STUBBORN)),
            func.min(since),
        )
    ).one()
    return Backlog(row[0], row[1], None if row[2] is None else moment(row[2]))
