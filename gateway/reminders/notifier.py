"""The seam to a carrier: `Notifier`, what it answers, and a fake.

The promise that a driver must keep: `send` with the id of a reminder that the carrier already has
does nothing and says `repeated`. The worker calls it again after every crash and every unknown
outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.errors import YizhanError
from gateway.reminders.reminder import Reminder


class CannotHandOver(YizhanError):
    """The carrier did not take the reminder, or that is unknown; the same id is tried again."""


class NeverDeliverable(YizhanError):
    """The carrier will never take this reminder, e.g. its number is no number."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The carrier has it. `repeated`: it had it before this call, from before a crash."""

    reference: str
    repeated: bool = False


class Fate(StrEnum):
    """What a carrier later says of a reminder."""

    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """A carrier's report on one reminder; `detail` is its own cause, one line."""

    reminder_id: str
    fate: Fate
    detail: str = ""


class Notifier(Protocol):
    """短信通道: hands reminders to one carrier. All methods are called in the event loop."""

    name: str
    """Short name, kept with each reminder."""
    patience: float
    """Seconds that one `send` may take; later its outcome counts as unknown."""
    reports_back: bool
    """Whether `reports` will ever say anything."""

    async def start(self) -> None:
        """Get ready. Raises ConfigurationError if the carrier cannot be used as configured."""

    async def send(self, reminder: Reminder) -> HandedOver:
        """Hand one reminder over, once for each id.

        Raises CannotHandOver (try again) or NeverDeliverable (do not).
        """

    async def find(self, reminder_id: str) -> HandedOver | None:
        """The reminder if the carrier already has it, else None.

        Raises CannotHandOver if that cannot be said now.
        """

    async def reports(self, waiting: Sequence[str]) -> Sequence[Report]:
        """What has become of these reminders (ids); those that are still on their way are left out.

        The same report may come again until its reminder is no longer in `waiting`. Raises
        CannotHandOver if that cannot be said now.
        """

    async def health(self) -> str:
        """A sentence for the operator about what is wrong; empty: nothing."""

    async def close(self) -> None:
        """Let go."""


@dataclass(slots=True)
class FakeNotifier:
    """The fake: a carrier in memory that a test can make fail."""

    name: str = "fake"
    patience: float = 5.0
    reports_back: bool = True
    sent: dict[str, Reminder] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)  # raised by the next sends, in order
    fates: dict[str, Report] = field(default_factory=dict)
    trouble: str = ""

    async def start(self) -> None:
        """Nothing to do."""

    async def send(self, reminder: Reminder) -> HandedOver:
        self.calls.append(reminder.id)
        if self.errors:
            raise self.errors.pop(0)
        repeated = reminder.id in self.sent
        self.sent.setdefault(reminder.id, reminder)
        return HandedOver(f"fake-{reminder.id}", repeated)

    async def find(self, reminder_id: str) -> HandedOver | None:
        return HandedOver(f"fake-{reminder_id}", True) if reminder_id in self.sent else None

    async def reports(self, waiting: Sequence[str]) -> Sequence[Report]:
        return [self.fates[one] for one in waiting if one in self.fates]

    async def health(self) -> str:
        return self.trouble

    async def close(self) -> None:
        """Nothing to do."""
