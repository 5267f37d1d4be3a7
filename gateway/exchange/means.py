"""What the verbs work with, composed once by the daemon or a command."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.evidence.notary import Notary
from gateway.exchange.action_address import ActionAddresses
from gateway.exchange.hooks import Ladder
from gateway.policy.signing import LiveSigning
from mailboxes.store import MailboxStore


@dataclass(frozen=True, slots=True)
class Means:
    """The parts that a verb writes through, and the few numbers that it must know."""

    mailboxes: MailboxStore
    notary: Notary
    ladder: Ladder
    host: str
    addresses: ActionAddresses
    signing: LiveSigning
    summary_minutes: float = 10
    deadline_minutes: dict[str, float] = field(default_factory=dict)  # by urgency

    def answer_to(self, document_id: str, received_at: datetime) -> str:
        """The address for answers about a document: in its views from the first one on."""
        return self.addresses.make(document_id, received_at, self.signing.now.good_for)
