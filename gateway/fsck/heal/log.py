"""Heals the stored form of the log from the records, if that leads to the signed checkpoint."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from gateway.evidence import log, tree
from gateway.evidence.checkpoint import Checkpoint
from gateway.evidence.tables import evidence_records, log_entries, log_nodes
from gateway.fsck.fault import Fault
from gateway.fsck.heal.tools import Tools
from gateway.store.postgres import take_turn


class NotProved(Exception):
    """The healed log does not lead to the newest checkpoint: what was changed is evidence."""


def enter_record(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """The record is entered: under its old number if the tree still has it, else to be sealed."""
    take_turn(connection, "seal the log")
    record = fault.subject
    octets = connection.scalar(
        select(evidence_records.c.octets).where(evidence_records.c.id == record)
    )
    known = select(log_entries.c.record_id).where(log_entries.c.record_id == record)
    if octets is None or connection.execute(known).first():
        return ""
    number = connection.scalar(
        select(log_nodes.c.index)
        .outerjoin(log_entries, log_entries.c.number == log_nodes.c.index)
        .where(
            log_nodes.c.level == 0,
            log_nodes.c.hash == tree.leaf_hash(bytes(octets)),
            log_entries.c.number.is_(None),
        )
        .limit(1)
    )
    connection.execute(insert(log_entries).values(record_id=record, number=number))
    if number is None:
        return f"record {record} was entered and waits for the sealer"
    return f"record {record} was entered again as number {number}"


def find_number(connection: Connection, fault: Fault, _tools: Tools) -> str:
    """A hole is closed when the record that had the number was entered again."""
    mine = select(log_entries.c.record_id).where(log_entries.c.number == int(fault.subject))
    return f"entry {fault.subject} is there again" if connection.execute(mine).first() else ""


def renew_nodes(connection: Connection, faults: list[Fault]) -> list[str]:
    """Computes these nodes anew, from the leaves up, all or none; what was done to each.

    Raises NotProved if the records do not lead to the newest checkpoint by them.
    """
    take_turn(connection, "seal the log")
    last = log.newest(connection)
    size = 0 if last is None else last.size
    done: list[str] = []
    renewed: list[tuple[int, int]] = []
    for level, index in ((fault.clue["level"], fault.clue["index"]) for fault in faults):
        mine = (log_nodes.c.level == level) & (log_nodes.c.index == index)
        if index >= size >> level:
            connection.execute(delete(log_nodes).where(mine))
            done.append(f"node {level}/{index} of the log was removed")
            continue
        value = _value(connection, level, index)
        if not connection.execute(update(log_nodes).where(mine).values(hash=value)).rowcount:
            row = {"level": level, "index": index, "hash": value}
            connection.execute(insert(log_nodes), row)
        renewed.append((level, index))
        done.append(f"node {level}/{index} of the log was computed anew")
    for level, index in renewed:
        # The paths of the first leaves of both halves prove both children, and so the node.
        _prove(connection, last, index << level)
        if level:
            _prove(connection, last, (2 * index + 1) << (level - 1))
    return done


def _value(connection: Connection, level: int, index: int) -> bytes:
    if level == 0:
        octets = connection.scalar(
            select(evidence_records.c.octets)
            .join(log_entries, log_entries.c.record_id == evidence_records.c.id)
            .where(log_entries.c.number == index)
        )
        if octets is None:
            raise NotProved
        return tree.leaf_hash(bytes(octets))
    children = connection.execute(
        select(log_nodes.c.hash)
        .where(log_nodes.c.level == level - 1, log_nodes.c.index.in_((2 * index, 2 * index + 1)))
        .order_by(log_nodes.c.index)
    ).all()
    if len(children) != 2:
        raise NotProved
    return tree.node_hash(bytes(children[0][0]), bytes(children[1][0]))


def _prove(connection: Connection, last: Checkpoint | None, number: int) -> None:
    row = connection.execute(
        select(evidence_records.c.id, evidence_records.c.octets)
        .join(log_entries, log_entries.c.record_id == evidence_records.c.id)
        .where(log_entries.c.number == number)
    ).first()
    if row is None or last is None:
        raise NotProved
    try:
        proof = log.inclusion_proof(connection, row.id)
    except KeyError:
        raise NotProved from None
    if proof is None or not log.verify_inclusion(bytes(row.octets), proof, last.root):
        raise NotProved
