"""Work that a verb leaves behind, written in its own transaction, done later, exactly once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from gateway.domain.clock import milliseconds
from gateway.errors import Reply
from gateway.exchange.tables import outbox
from mailboxes.prepared import Prepared


class Kind(StrEnum):
    """What is to be done."""

    RECEIPT = "receipt"  # evidence into the sender's mailbox
    SUMMARY = "summary"  # the live list of who has signed
    ALERT = "alert"  # tell the security officer of a marking
    ANSWER = "answer"  # tell a person what became of an act
    FULLNESS = "fullness"  # tell who reads a mailbox that it is full; about an owner


_LEAVE = Prepared(insert(outbox))
_WAITS = Prepared(
    select(outbox.c.id)
    .where(outbox.c.kind == bindparam("kind"), outbox.c.document_id == bindparam("document"))
    .limit(1)
)


def leave(
    connection: Connection,
    kind: Kind,
    document_id: str,
    payload: Mapping[str, object],
    *due: datetime,
) -> None:
    """Put one piece of work into the outbox for each of those times."""
    text = json.dumps(payload, ensure_ascii=False)
    rows = [
        {"kind": kind.value, "document_id": document_id, "payload": text, "due_at": milliseconds(d)}
        for d in due
    ]
    _LEAVE.run_each(connection, rows)


def leave_answer(
    connection: Connection, document_id: str, login: str, said: Reply, now: datetime
) -> None:
    """Have a letter written to the account: what became of what it did with the document."""
    payload = {"login": login, "said": {"en": said.text, "zh-CN": said.text_zh or said.text}}
    leave(connection, Kind.ANSWER, document_id, payload, now)


def waits(connection: Connection, kind: Kind, document_id: str) -> bool:
    """Whether a piece of that kind waits for the document."""
    mine = {"kind": kind.value, "document": document_id}
    return _WAITS.first(connection, mine) is not None


def hasten(connection: Connection, kind: Kind, document_id: str, due: datetime) -> None:
    """Make the document's earliest waiting piece of that kind due, or leave one if none waits.

    The later ones are dropped: one summary that says all is better than three. A piece that is
    being worked on loses its lease, since what it says is no longer so, and is done again.
    """
    mine = (outbox.c.kind == kind.value) & (outbox.c.document_id == document_id)
    first = connection.execute(
        # Locked: one that a worker is about to finish is waited for, and then is not there.
        select(outbox.c.id)
        .where(mine)
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(1)
        .with_for_update()
    ).scalar()
    if first is None:
        leave(connection, kind, document_id, {}, due)
        return
    connection.execute(delete(outbox).where(mine, outbox.c.id != first))
    connection.execute(
        update(outbox).where(outbox.c.id == first).values(due_at=milliseconds(due), lease_until=0)
    )
