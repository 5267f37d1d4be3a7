"""Counts what happens at the doors; each door tells it through the methods of its own Protocol."""

from __future__ import annotations

from gateway.console.metrics import Metrics


class DoorMeter:
    """One door's events as metrics."""

    def __init__(self, metrics: Metrics, door: str, service: str = "smtp") -> None:
        """`door` is the label: the kind of TLS and the port, e.g. `starttls-587`; `service` is smtp
        or mailbox."""
        self._metrics = metrics
        self._sessions = f"yizhan_{service}_sessions_total"
        self._connections = f"yizhan_{service}_connections"
        self._turned_away = f"yizhan_{service}_turned_away_total"
        self._door = door
        self._open = 0

    def connected(self) -> None:
        """A client has got a place."""
        self._open += 1
        self._metrics.count(self._sessions, door=self._door)
        self._metrics.set(self._connections, self._open, door=self._door)

    def left(self) -> None:
        """Such a client has gone."""
        self._open -= 1
        self._metrics.set(self._connections, self._open, door=self._door)

    def turned_away(self, why: str) -> None:
        """A limit or trouble ended a connection."""
        self._metrics.count(self._turned_away, door=self._door, why=why)

    def login(self, mechanism: str, *, good: bool) -> None:
        """Somebody tried to log in."""
        outcome = "ok" if good else "failed"
        self._metrics.count("yizhan_logins_total", mechanism=mechanism, outcome=outcome)

    def message(self, outcome: str, size: int, seconds: float) -> None:
        """DATA has ended."""
        self._metrics.count("yizhan_submissions_total", outcome=outcome)
        if outcome == "accepted":
            self._metrics.count("yizhan_submission_bytes_total", size)
            self._metrics.observe("yizhan_submission_duration_seconds", seconds)
