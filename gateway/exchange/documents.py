"""Questions about documents: the list, and everything about one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select

from gateway.directory.snapshot import Directory
from gateway.domain.clock import milliseconds, moment, rfc3339
from gateway.domain.document import DeliveryState, Opening
from gateway.exchange.tables import deliveries, documents, envelope_recipients, refusals
from mailboxes.prepared import Prepared

_HOLD = Prepared(
    select(documents.c.id).where(documents.c.id == bindparam("document")).with_for_update()
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents are wanted; what is empty does not restrict."""

    unit_id: int | None = None  # as sender or as recipient
    since: datetime | None = None
    until: datetime | None = None
    state: str = ""  # of a delivery: consigned, signed, returned, failed
    urgency: str = ""
    message_class: str = ""
    text: str = ""  # in title or number
    limit: int = 50


def list_documents(
    connection: Connection, wanted: Filter, directory: Directory
) -> list[dict[str, Any]]:
    """The newest documents that fit, as plain values for a table or JSON."""
    conditions = _conditions(wanted)
    rows = connection.execute(
        select(documents)
        .where(*conditions)
        .order_by(documents.c.received_at.desc(), documents.c.id.desc())
        .limit(wanted.limit)
    ).all()
    counts = _counts(connection, [row.id for row in rows])
    return [
        {
            "id": row.id,
            "received": rfc3339(moment(row.received_at)),
            "sender": row.mail_from,
            "unit": _unit_code(directory, row.unit_id),
            "class": row.message_class,
            "urgency": row.urgency,
            "number": row.number,
            "title": row.title,
            "seal": row.seal_state,
            "size": row.size,
            "recipients": sum(counts.get(row.id, {}).values()),
            "signed": counts.get(row.id, {}).get(DeliveryState.SIGNED.value, 0),
        }
        for row in rows
    ]


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    mine = deliveries.c.document_id == documents.c.id
    if wanted.unit_id is not None:
        received = select(deliveries.c.id).where(mine, deliveries.c.unit_id == wanted.unit_id)
        found.append(or_(documents.c.unit_id == wanted.unit_id, received.exists()))
    if wanted.since is not None:
        found.append(documents.c.received_at >= milliseconds(wanted.since))
    if wanted.until is not None:
        found.append(documents.c.received_at < milliseconds(wanted.until))
    if wanted.state:
        at_state = select(deliveries.c.id).where(mine, deliveries.c.state == wanted.state)
        found.append(at_state.exists())
    if wanted.urgency:
        found.append(documents.c.urgency == wanted.urgency)
    if wanted.message_class:
        found.append(documents.c.message_class == wanted.message_class)
    if wanted.text:
        found.append(
            or_(
                documents.c.title.icontains(wanted.text, autoescape=True),
                documents.c.number.icontains(wanted.text, autoescape=True),
            )
        )
    return found


def _counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for start in range(0, len(ids), 500):  # SQLite and PostgreSQL limit the parameters
        rows = connection.execute(
            select(deliveries.c.document_id, deliveries.c.state, func.count())
            .where(deliveries.c.document_id.in_(ids[start : start + 500]))
            .group_by(deliveries.c.document_id, deliveries.c.state)
        )
        for document_id, state, number in rows:
            counts.setdefault(document_id, {})[state] = number
    return counts


def show_document(
    connection: Connection, document_id: str, directory: Directory
) -> dict[str, Any] | None:
    """Everything about one document or refusal except its reminders; None if it is unknown."""
    row = connection.execute(select(documents).where(documents.c.id == document_id)).first()
    if row is None:
        return _show_refusal(connection, document_id, directory)
    return {
        "id": row.id,
        "state": row.state,
        "received": rfc3339(moment(row.received_at)),
        "digest": row.digest.hex(),
        "size": row.size,
        "sender": {
            "address": row.mail_from,
            "unit": _unit_code(directory, row.unit_id),
            "account": _login(directory, row.account_id),
            "client": json.loads(row.client),
        },
        "message_id": row.message_id,
        "metadata": {
            "class": row.message_class,
            "urgency": row.urgency,
            "title": row.title,
            "number": row.number,
            "kind": row.kind,
            "warnings": json.loads(row.warnings),
            "possible_duplicate_of": row.possible_duplicate_of,
            "deadline": None if row.deadline is None else rfc3339(moment(row.deadline)),
        },
        "seal": {
            "state": row.seal_state,
            "fingerprint": row.seal_fingerprint,
            "detail": row.seal_detail,
        },
        "opening": row.opening,
        "search": _searched(connection, document_id),
        "dsn": {"envid": row.envid, "ret": row.ret},
        "priority": row.priority,
        "deliver_by": None if row.deliver_by is None else rfc3339(moment(row.deliver_by)),
        "envelope": [
            {"address": r.address, "notify": r.notify, "orcpt": r.orcpt, "group": r.is_group}
            for r in connection.execute(
                select(envelope_recipients)
                .where(envelope_recipients.c.document_id == document_id)
                .order_by(envelope_recipients.c.address)
            )
        ],
        "recipients": [_delivery(r) for r in deliveries_of(connection, document_id)],
        "evidence": _evidence(connection, document_id),
    }


_DELIVERIES = Prepared(
    select(deliveries)
    .where(deliveries.c.document_id == bindparam("document"))
    .order_by(deliveries.c.id)
)


def deliveries_of(connection: Connection, document_id: str) -> list[Row[Any]]:
    """The document's deliveries in the order in which they were made."""
    return _DELIVERIES.all(connection, {"document": document_id})


def hold(connection: Connection, document_id: str) -> None:
    """Lock the document until the transaction ends, as each verb does before anything else: so no
    two deadlock over it and its deliveries or reminders, and none numbers its evidence alike.
    """
    _HOLD.first(connection, {"document": document_id})


def find_delivery(connection: Connection, document_id: str, owner: str) -> int | None:
    """The delivery of that document to that owner (`unit:water`)."""
    return connection.execute(
        select(deliveries.c.id).where(
            deliveries.c.document_id == document_id, deliveries.c.owner == owner
        )
    ).scalar()


def _delivery(row: Row[Any]) -> dict[str, Any]:
    return {
        "delivery": row.id,
        "owner": row.owner,
        "address": row.address,
        "via": row.via,
        "role": row.role,
        "state": row.state,
        "consigned": None if row.consigned_at is None else rfc3339(moment(row.consigned_at)),
        "signed": None if row.signed_at is None else rfc3339(moment(row.signed_at)),
        "signed_by": row.signed_by,
        "signed_way": row.signed_way,
        "returned": None if row.returned_at is None else rfc3339(moment(row.returned_at)),
        "returned_by": row.returned_by,
        "returned_way": row.returned_way,
        "returned_reason": row.returned_reason,
    }


def _searched(connection: Connection, document_id: str) -> dict[str, str]:
    """What of it search knows: whole, partly, header, or not indexed; and what is missing."""
    from gateway.exchange.mailroom import search_tables  # noqa: PLC0415  # as below

    texts = search_tables.texts
    mine = (texts.c.key == document_id, texts.c.blob == document_id)
    row = connection.execute(select(texts.c.state, texts.c.reason).where(*mine)).first()
    if row is None:
        return {"state": "not indexed", "reason": ""}
    return {"state": row.state, "reason": row.reason}


def _evidence(connection: Connection, document_id: str) -> list[dict[str, Any]]:
    from gateway.evidence.notary import records_of  # noqa: PLC0415  # a list need not wait for it

    found = []
    for record in records_of(connection, document_id):
        data = json.loads(record.octets)
        found.append(
            {
                "id": record.id,
                "sequence": record.sequence,
                "event": record.event.value,
                "time": rfc3339(record.at),
                "recipient": record.recipient,
                "reasons": data["reasons"],
                "actor": data["actor"],
                "digest": record.digest,
                "key": record.key_id,
            }
        )
    return found


def _show_refusal(
    connection: Connection, refusal_id: str, directory: Directory
) -> dict[str, Any] | None:
    row = connection.execute(select(refusals).where(refusals.c.id == refusal_id)).first()
    if row is None:
        return None
    return {
        "id": row.id,
        "state": "refused",
        "received": rfc3339(moment(row.at)),
        "digest": row.digest.hex(),
        "size": row.size,
        "sender": {
            "address": row.mail_from,
            "unit": _unit_code(directory, row.unit_id),
            "account": _login(directory, row.account_id),
        },
        "message_id": row.message_id,
        "rule": row.rule,
        "reasons": json.loads(row.reasons),
        "reply": row.reply,
        "envelope": [
            {"address": address, "notify": ",".join(notify), "orcpt": orcpt}
            for address, notify, orcpt in json.loads(row.envelope)
        ],
        "recipients": [],
        "evidence": _evidence(connection, refusal_id),
    }


def stated_number(number: str, opening: str) -> str:
    """The 文号 as evidence may state it: of encrypted content the office claims nothing."""
    return number if opening == Opening.PLAIN.value else ""


def newest_refusal(connection: Connection) -> str:
    """The id of the last refusal; empty if there is none."""
    query = select(refusals.c.id).order_by(refusals.c.at.desc(), refusals.c.id.desc()).limit(1)
    return connection.execute(query).scalar() or ""


def _unit_code(directory: Directory, unit_id: int) -> str:
    unit = directory.unit_by_id(unit_id)
    return unit.code if unit else f"(unit {unit_id})"


def _login(directory: Directory, account_id: int) -> str:
    account = directory.account_by_id(account_id)
    return account.login if account else f"(account {account_id})"
