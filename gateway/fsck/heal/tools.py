"""What a healer works with, and how it makes sure that the fault is still there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.domain.clock import milliseconds
from gateway.exchange.tables import documents
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Fault, Findings
from gateway.fsck.gather import gather
from gateway.fsck.pieces import Bench, check_dossier
from gateway.fsck.scope import Scope, Span
from gateway.fsck.standing import Standing, read_standing
from gateway.store.blobs import Blobs
from mailboxes.store import MailboxStore

AnswerTo = Callable[[str, datetime], str]  # document, when it came in -> its action address

Healer = Callable[[Connection, Fault, "Tools"], str]
"""Heals inside one transaction and says what it has done; empty if there was nothing to heal or it
cannot be done without inventing something. May run twice."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The store and its surroundings."""

    blobs: Blobs
    mailboxes: MailboxStore
    domain: str
    host: str
    now: datetime
    remove_orphans: bool = False
    answer_to: AnswerTo = lambda _document, _received: ""

    def standing(self, connection: Connection) -> Standing:
        """The office as this transaction sees it."""
        return read_standing(connection, self.domain)

    def confirm(
        self, connection: Connection, fault: Fault, document_id: str
    ) -> tuple[Dossier, Fault] | None:
        """The dossier and the same fault as they are now, the document locked as the verbs do.

        None if it is no longer so: the daemon may have gone on since the check.
        """
        connection.execute(
            select(documents.c.id).where(documents.c.id == document_id).with_for_update()
        )
        standing, scope = self.standing(connection), Scope()
        found = Findings()
        for dossier in gather(connection, Span(only=document_id), scope):
            bench = Bench(standing, False, milliseconds(self.now), self.blobs)
            check_dossier(dossier, bench, found, frozenset({fault.family}))
            for one in found.faults:
                if (one.code, one.subject) == (fault.code, fault.subject):
                    return dossier, one
        return None
