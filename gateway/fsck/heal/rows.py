"""Heals rows of documents: texts, uses of seals, the outbox, reminders."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select, update

from gateway.domain.clock import milliseconds, moment
from gateway.exchange import outbox as work
from gateway.exchange.tables import document_texts, outbox
from gateway.fsck.fault import Fault
from gateway.fsck.heal.tools import Tools
from gateway.reminders import book
from gateway.reminders.tables import reminders
from gateway.seals import custody
from gateway.seals.tables import seal_uses


def forget_text(connection: Connection, fault: Fault, tools: Tools) -> str:
    """What was encrypted or refused has no text in the clear."""
    if tools.confirm(connection, fault, fault.subject) is None:
        return ""
    mine = document_texts.c.document_id == fault.subject
    connection.execute(delete(document_texts).where(mine))
    return f"the text of {fault.subject} was deleted"


def register_use(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The register of seals says of the document what its row says."""
    confirmed = tools.confirm(connection, fault, fault.subject)
    if confirmed is None:
        return ""
    dossier, _ = confirmed
    connection.execute(delete(seal_uses).where(seal_uses.c.document_id == fault.subject))
    row = dossier.document
    if row is not None and row.seal_fingerprint in tools.standing(connection).seals:
        at = dossier.records[0].at if dossier.records else row.received_at
        custody.log_use(connection, row.id, row.seal_fingerprint, now=moment(at))
    return f"the register of seals was corrected for document {fault.subject}"


def leave_receipt(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The missing receipt is put into the outbox."""
    confirmed = tools.confirm(connection, fault, fault.subject)
    if confirmed is None:
        return ""
    dossier, found = confirmed
    payload: dict[str, Any] = {"records": found.clue["records"]}
    if dossier.refusal is not None:
        payload["refusal"] = True
    work.leave(connection, work.Kind.RECEIPT, fault.subject, payload, tools.now)
    return f"a receipt of {len(payload['records'])} records of {fault.subject} will be mailed"


def drop_piece(connection: Connection, fault: Fault, tools: Tools) -> str:
    """What would be mailed a second time is not."""
    piece = _piece(connection, fault)
    if piece is None or tools.confirm(connection, fault, piece.document_id) is None:
        return ""
    connection.execute(delete(outbox).where(outbox.c.id == piece.id))
    return f"the outbox piece {piece.id} was removed"


def end_lease(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The piece is due for whoever comes first."""
    piece = _piece(connection, fault)
    if piece is None or tools.confirm(connection, fault, piece.document_id) is None:
        return ""
    connection.execute(update(outbox).where(outbox.c.id == piece.id).values(lease_until=0))
    return f"the lease of outbox piece {piece.id} was ended"


def settle_reminder(connection: Connection, fault: Fault, tools: Tools) -> str:
    """Nobody is reminded of what was signed for."""
    confirmed = tools.confirm(connection, fault, fault.clue["document"])
    if confirmed is None:
        return ""
    book.settle(connection, [confirmed[1].clue["delivery"]], tools.now)
    return f"reminder {fault.subject} was stopped"


def end_reminder_lease(connection: Connection, fault: Fault, tools: Tools) -> str:
    """The reminder is looked at again: its carrier knows whether it has it."""
    if tools.confirm(connection, fault, fault.clue["document"]) is None:
        return ""
    mine = reminders.c.id == fault.subject
    now = milliseconds(tools.now)
    connection.execute(update(reminders).where(mine).values(lease_until=now))
    return f"the lease of reminder {fault.subject} was ended"


def _piece(connection: Connection, fault: Fault) -> Any:
    query = select(outbox.c.id, outbox.c.document_id).where(outbox.c.id == int(fault.subject))
    return connection.execute(query.with_for_update()).first()
