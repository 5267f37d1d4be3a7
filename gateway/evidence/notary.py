"""The notary turns statements into signed records, inside the transaction of the act itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, insert, select

from gateway.domain.clock import milliseconds, moment
from gateway.domain.event import Event
from gateway.domain.ids import new_id
from gateway.evidence.keys import EvidenceKey
from gateway.evidence.record import SIGNED_PREFIX, Record, Statement, digest, freeze
from gateway.evidence.tables import evidence_records, log_entries
from mailboxes.prepared import Prepared

_LAST = Prepared(
    select(evidence_records.c.sequence, evidence_records.c.digest)
    .where(evidence_records.c.document_id == bindparam("document"))
    .order_by(evidence_records.c.sequence.desc())
    .limit(1)
)
_INSERT_RECORDS = Prepared(insert(evidence_records))
_INSERT_ENTRIES = Prepared(insert(log_entries))
_NAMED = Prepared(
    select(evidence_records).where(evidence_records.c.id.in_(bindparam("records", expanding=True))),
    some="records",
)


class Notary:
    """Signs for one office (its mail domain) with one evidence key."""

    def __init__(self, key: EvidenceKey, office: str) -> None:
        self._key = key
        self._office = office

    def record(
        self,
        connection: Connection,
        document_id: str,
        statements: Sequence[Statement],
        now: datetime,
    ) -> list[Record]:
        """Write the statements as the document's next records, in their order.

        The verb that calls has locked the document; two that did not would collide on (document,
        sequence), and the second loses. Three statements of SQL however many records. Raises
        ValueError for a negative event without a reason.
        """
        if not statements:
            return []
        sequence, previous = self._last(connection, document_id)
        instant = milliseconds(now)
        records: list[Record] = []
        for statement in statements:
            sequence += 1
            record_id = new_id(instant, os.urandom(10))
            octets = freeze(
                statement,
                record_id=record_id,
                document_id=document_id,
                sequence=sequence,
                previous=previous,
                office=self._office,
                key_id=self._key.id,
            )
            previous = digest(octets)
            records.append(
                Record(
                    id=record_id,
                    document_id=document_id,
                    sequence=sequence,
                    event=statement.event,
                    recipient=statement.recipient,
                    at=statement.at,
                    octets=octets,
                    digest=previous,
                    signature=self._key.sign(SIGNED_PREFIX + octets),
                    key_id=self._key.id,
                )
            )
        _INSERT_RECORDS.run_each(connection, [_row(record) for record in records])
        _INSERT_ENTRIES.run_each(
            connection, [{"record_id": record.id, "number": None} for record in records]
        )
        return records

    def _last(self, connection: Connection, document_id: str) -> tuple[int, str]:
        row = _LAST.first(connection, {"document": document_id})
        return (0, "") if row is None else (row.sequence, row.digest)


def _row(record: Record) -> dict[str, object]:
    return {
        "id": record.id,
        "document_id": record.document_id,
        "sequence": record.sequence,
        "event": record.event.value,
        "recipient": record.recipient,
        "at": milliseconds(record.at),
        "octets": record.octets,
        "digest": record.digest,
        "signature": record.signature,
        "key_id": record.key_id,
    }


def records_of(connection: Connection, document_id: str) -> list[Record]:
    """The document's records in their order."""
    query = (
        select(evidence_records)
        .where(evidence_records.c.document_id == document_id)
        .order_by(evidence_records.c.sequence)
    )
    return [_record(row) for row in connection.execute(query)]


def records_named(connection: Connection, record_ids: Sequence[str]) -> list[Record]:
    """Those records, by document and sequence; ids that do not exist are left out."""
    found: list[Record] = []
    for start in range(0, len(record_ids), 500):
        rows = _NAMED.all(connection, {"records": record_ids[start : start + 500]})
        found.extend(_record(row) for row in rows)
    return sorted(found, key=lambda record: (record.document_id, record.sequence))


def _record(row: Row[tuple[object, ...]]) -> Record:
    return Record(
        id=row.id,
        document_id=row.document_id,
        sequence=row.sequence,
        event=Event(row.event),
        recipient=row.recipient,
        at=moment(row.at),
        octets=row.octets,
        digest=row.digest,
        signature=row.signature,
        key_id=row.key_id,
    )
