"""Counts what happens at the doors; each door tells it through the methods of its own Protocol."""

from __future__ import annotations

from gateway.console.metrics import Metrics


class DoorMeter:
    """One door's events as metrics."""

    def __init__(self, metrics: Metrics, door: str) -> None:
        """`door` is the label: the kind of TLS and the port, e.g. `starttls-587`."""
        self._metrics = metrics
        self._door = door
        self._open = 0

    def connected(self) -> None:
        """A client has got a place."""
        self._open += 1
        self._metrics.count("yizhan_smtp_sessions_total", door=self._door)
        self._metrics.set("yizhan_smtp_connections", self._open, door=self._door)

    def left(self) -> None:
        """Such a client has gone."""
        self._open -= 1
        self._metrics.set("yizhan_smtp_connections", self._open, door=self._door)

    def turned_away(self, why: str) -> None:
        """A limit or trouble ended a connection."""
        self._metrics.count("yizhan_smtp_turned_away_total", door=self._door, why=why)

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
