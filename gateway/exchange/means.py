"""What the verbs work with, composed once by the daemon or a command."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.evidence.notary import Notary
from gateway.exchange.hooks import Ladder
from mailboxes.store import MailboxStore


@dataclass(frozen=True, slots=True)
class Means:
    """The parts that a verb writes through, and the few numbers that it must know."""

    mailboxes: MailboxStore
    notary: Notary
    ladder: Ladder
    host: str
    summary_minutes: float = 10
    deadline_minutes: dict[str, float] = field(default_factory=dict)  # by urgency
