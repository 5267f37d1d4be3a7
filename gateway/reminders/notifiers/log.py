"""The carrier `log`: a line in the daemon's log, for offices that have no SMS gateway yet.

The text is not logged and the number is masked: logs are read by more people than SMS. A crash
between the line and the commit gives a second line; a log has no memory to ask.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from gateway.reminders.notifier import HandedOver, Report
from gateway.reminders.numbers import masked
from gateway.reminders.reminder import Reminder

_log = structlog.stdlib.get_logger("yizhan.reminders")


class LogNotifier:
    """Writes each reminder as one structured line."""

    name = "log"
    patience = 5.0
    reports_back = False

    async def start(self) -> None:
        """Nothing to do."""

    async def send(self, reminder: Reminder) -> HandedOver:
        _log.info(
            "reminder",
            reminder=reminder.id,
            document=reminder.document_id,
            unit=reminder.unit_id,
            number=masked(reminder.number),
            urgency=reminder.urgency.value,
            language=reminder.language,
            letters=len(reminder.text),
        )
        return HandedOver("log")

    async def find(self, reminder_id: str) -> HandedOver | None:  # noqa: ARG002
        """Never: a log is not asked."""
        return None

    async def reports(self, waiting: Sequence[str]) -> Sequence[Report]:  # noqa: ARG002
        """None, ever."""
        return ()

    async def health(self) -> str:
        return ""

    async def close(self) -> None:
        """Nothing to do."""
