"""The tamper-evident log: an RFC 6962 tree over the octets of all records, sealed in steps.

Records enter in the transaction of their act; the sealer later numbers them, extends the tree and
signs a checkpoint. Sealers take turns; without that two would give one number twice, and the
database refuses the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.domain.clock import milliseconds, moment
from gateway.evidence import tree
from gateway.evidence.checkpoint import Checkpoint, sign_checkpoint
from gateway.evidence.keys import EvidenceKey
from gateway.evidence.tables import checkpoints, evidence_records, log_entries, log_nodes
from gateway.store.postgres import take_turn
from mailboxes.prepared import Prepared

_CHUNK = 500  # parameters in one IN list: SQLite and PostgreSQL both take it

_UNSEALED = Prepared(
    select(evidence_records.c.id, evidence_records.c.octets)
    .join(log_entries, log_entries.c.record_id == evidence_records.c.id)
    .where(log_entries.c.number.is_(None))
    .order_by(evidence_records.c.at, evidence_records.c.document_id, evidence_records.c.sequence)
    .limit(bindparam("limit"))
)
_NUMBER = Prepared(
    update(log_entries)
    .where(log_entries.c.record_id == bindparam("record"))
    .values(number=bindparam("given"))
)
_INSERT_NODES = Prepared(insert(log_nodes))
_NEWEST = Prepared(select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1))
_WAITING = Prepared(
    select(func.count().label("waiting"))
    .select_from(log_entries)
    .where(log_entries.c.number.is_(None))
)
_NUMBERS = Prepared(
    select(log_entries.c.record_id, log_entries.c.number).where(
        log_entries.c.record_id.in_(bindparam("records", expanding=True)),
        log_entries.c.number < bindparam("size"),
    ),
    some="records",
)
_HASHES = Prepared(
    select(log_nodes.c.index, log_nodes.c.hash).where(
        log_nodes.c.level == bindparam("level"),
        log_nodes.c.index.in_(bindparam("positions", expanding=True)),
    ),
    some="positions",
)
_INSERT_CHECKPOINT = Prepared(insert(checkpoints))


@dataclass(frozen=True, slots=True)
class Proof:
    """That a record is leaf `number` of the tree with `size` leaves (RFC 6962 §2.1.1)."""

    record_id: str
    number: int
    size: int
    hashes: tuple[bytes, ...]  # from the leaf upwards


class Log:
    """The log of one office (its mail domain), sealed by its evidence key."""

    def __init__(self, key: EvidenceKey, office: str) -> None:
        self._key = key
        self._office = office

    def seal(
        self, connection: Connection, now: datetime, *, limit: int = 2_000
    ) -> Checkpoint | None:
        """Number the records that wait (at most `limit`), extend the tree, sign a checkpoint.

        None if no record waits. Call again while `waiting` says that there are more.
        """
        take_turn(connection, "seal the log")
        rows = _UNSEALED.all(connection, {"limit": limit})
        if not rows:
            return None
        last = newest(connection)
        size = 0 if last is None else last.size
        known = _nodes(connection, tree.edge(size))
        made = tree.extend(size, known, (tree.leaf_hash(row.octets) for row in rows))
        known.update(made)
        _NUMBER.run_each(
            connection,
            [{"record": row.id, "given": number} for number, row in enumerate(rows, start=size)],
        )
        _INSERT_NODES.run_each(
            connection,
            [{"level": node[0], "index": node[1], "hash": value} for node, value in made],
        )
        size += len(rows)
        checkpoint = sign_checkpoint(self._key, self._office, size, tree.root(size, known), now)
        _INSERT_CHECKPOINT.run(
            connection,
            {
                "size": checkpoint.size,
                "root": checkpoint.root,
                "note": checkpoint.note,
                "at": milliseconds(now),
            },
        )
        return checkpoint


def newest(connection: Connection) -> Checkpoint | None:
    """The last checkpoint; None before the first."""
    row = _NEWEST.first(connection)
    return None if row is None else Checkpoint(row.size, row.root, row.note, moment(row.at))


def waiting(connection: Connection) -> int:
    """How many records no checkpoint covers yet."""
    return int(_WAITING.scalar(connection))


def inclusion_proof(connection: Connection, record_id: str) -> Proof | None:
    """The proof of one record in the newest checkpoint; None if it is not sealed yet."""
    return next(iter(inclusion_proofs(connection, [record_id])), None)


def inclusion_proofs(
    connection: Connection, record_ids: Sequence[str], last: Checkpoint | None = None
) -> list[Proof]:
    """The proofs of records in the newest checkpoint, in the order asked; unsealed are left out.

    `last` is that checkpoint, if the caller has it. Few statements for many records: their paths
    share most nodes.
    """
    last = last or newest(connection)
    if last is None:
        return []
    numbers: dict[str, int] = {}
    for start in range(0, len(record_ids), _CHUNK):
        some = {"records": record_ids[start : start + _CHUNK], "size": last.size}
        rows = _NUMBERS.all(connection, some)
        numbers.update((row.record_id, row.number) for row in rows)
    ranges = {number: tree.audit_ranges(number, last.size) for number in numbers.values()}
    spans = {span for path in ranges.values() for span in path}
    known = _nodes(connection, {node for span in spans for node in tree.range_nodes(*span)})
    hashes = {span: tree.range_hash(*span, known) for span in spans}
    return [
        Proof(
            record_id,
            numbers[record_id],
            last.size,
            tuple(hashes[span] for span in ranges[numbers[record_id]]),
        )
        for record_id in record_ids
        if record_id in numbers
    ]


def verify_inclusion(octets: bytes, proof: Proof, root: bytes) -> bool:
    """Whether the proof leads from the record's octets to that root."""
    return tree.proved_root(tree.leaf_hash(octets), proof.number, proof.size, proof.hashes) == root


def _nodes(connection: Connection, wanted: Iterable[tree.Node]) -> dict[tree.Node, bytes]:
    found: dict[tree.Node, bytes] = {}
    for level, nodes in groupby(sorted(wanted), key=lambda node: node[0]):
        positions = [position for _, position in nodes]
        for start in range(0, len(positions), _CHUNK):
            some = {"level": level, "positions": positions[start : start + _CHUNK]}
            for row in _HASHES.all(connection, some):
                # `index` is a method of a row, so the column is taken by position
                found[(level, row[0])] = row[1]
    return found
