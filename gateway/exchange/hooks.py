"""What the verbs tell the ladder, inside their own transaction.

The ladder lives above the verbs; it is handed to them as this Protocol, so that a sign-for and the
end of its reminders are one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from gateway.directory.snapshot import Directory
from gateway.domain.document import MessageClass, Urgency


@dataclass(frozen=True, slots=True)
class Delivered:
    """One new delivery to a unit of this office."""

    delivery_id: int
    document_id: str
    unit_id: int
    owner_key: str
    message_class: MessageClass
    urgency: Urgency
    title: str
    number: str
    sender_names: tuple[tuple[str, str], ...]  # language, name of the sending unit


class Ladder(Protocol):
    """Plans and cancels reminders."""

    def delivered(
        self,
        connection: Connection,
        deliveries: Sequence[Delivered],
        directory: Directory,
        now: datetime,
    ) -> None:
        """Plan the first reminder of each delivery."""

    def settled(self, connection: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
        """Cancel what is queued for these deliveries."""


class NoLadder:
    """The fake: reminds nobody."""

    def delivered(
        self,
        connection: Connection,
        deliveries: Sequence[Delivered],
        directory: Directory,
        now: datetime,
    ) -> None:
        """Nothing."""

    def settled(self, connection: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
        """Nothing."""
