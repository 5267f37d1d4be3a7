"""The log: its numbers have no hole, its tree is that of the records, each checkpoint is signed.

The tree is recomputed in blocks of 2^13 leaves, each by itself; `Spine` then joins the blocks. The
leaves are compared with the records where those are read anyhow (`evidence.check_entry`), so a
block only reads hashes, unless one of them is wrong: then it asks the records which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from gateway.evidence import tree
from gateway.evidence.checkpoint import InvalidNote, origin, read_note, signed_by
from gateway.evidence.tables import (
    checkpoints,
    evidence_keys,
    evidence_records,
    log_entries,
    log_nodes,
)
from gateway.fsck.codes import Code
from gateway.fsck.fault import Findings

LEVEL = 13
BLOCK = 1 << LEVEL
_MOST = 10  # holes that are named in one block

_NUMBERS = (
    select(log_entries.c.number)
    .where(log_entries.c.number >= bindparam("start"), log_entries.c.number < bindparam("end"))
    .order_by(log_entries.c.number)
)
_NODES = select(log_nodes.c.index, log_nodes.c.hash).where(
    log_nodes.c.level == bindparam("level"),
    log_nodes.c.index >= bindparam("start"),
    log_nodes.c.index < bindparam("end"),
)
_OCTETS = (
    select(log_entries.c.number, evidence_records.c.octets, evidence_records.c.digest)
    .join(evidence_records, evidence_records.c.id == log_entries.c.record_id)
    .where(log_entries.c.number >= bindparam("start"), log_entries.c.number < bindparam("end"))
)
_CHECKPOINTS = (
    select(checkpoints)
    .where(checkpoints.c.size > bindparam("start"), checkpoints.c.size <= bindparam("end"))
    .order_by(checkpoints.c.size)
)


@dataclass(frozen=True, slots=True)
class Block:
    """What a block leaves for the spine: hashes as recomputed."""

    start: int
    edge: tuple[bytes, ...]  # its largest complete subtrees, from left to right
    heads: tuple[tuple[int, bytes, bytes], ...]  # checkpoint: size, fold of the block, stored root


def newest_size(connection: Connection) -> int:
    """Leaves that the newest checkpoint covers."""
    return int(connection.scalar(select(func.max(checkpoints.c.size))) or 0)


def check_ends(connection: Connection, found: Findings) -> int:
    """What lies beyond the newest checkpoint; returns how many leaves it covers."""
    size = newest_size(connection)
    found.counts["entries"] += size
    beyond = select(func.count()).select_from(log_entries).where(log_entries.c.number >= size)
    if number := connection.scalar(beyond):
        found.add(
            Code.LOG_NUMBER, size,
            f"{number} entries of the log are numbered from {size} on, which no checkpoint covers",
        )  # fmt: skip
    surplus = select(log_nodes.c.level, log_nodes.c.index).limit(_MOST)
    for level in range(size.bit_length() + 1):
        last = size >> level
        mine = surplus.where(log_nodes.c.level == level, log_nodes.c.index >= last)
        for row in connection.execute(mine):
            _name_node(found, row[0], row[1], "stands beyond the end of the log")
    high = surplus.where(log_nodes.c.level > size.bit_length())
    for row in connection.execute(high):
        _name_node(found, row[0], row[1], "stands beyond the end of the log")
    return size


def check_block(
    connection: Connection, start: int, end: int, office: str, found: Findings
) -> Block:
    """The leaves start..end, at most one block, and the checkpoints within."""
    numbers = list(connection.scalars(_NUMBERS, {"start": start, "end": end}))
    if len(numbers) != end - start:
        for hole in sorted(set(range(start, end)) - set(numbers))[:_MOST]:
            found.add(Code.LOG_NUMBER, hole, f"entry {hole} of the log is missing")
    stored = _stored(connection, start, end)
    nodes = {node: value for node, value in stored.items() if node[0] == 0}
    if len(nodes) < end - start or _raise(start, end, nodes) != stored:
        nodes = _from_records(connection, start, end, nodes)
        for node, value in _raise(start, end, nodes).items():
            # A leaf is compared with its record elsewhere; here only if there is none any more.
            if node[0] > 0 and stored.get(node) != value:
                _name_node(found, *node, "is not the one that the records lead to")
    nodes = _raise(start, end, nodes)
    publics = [bytes(public) for public in connection.scalars(select(evidence_keys.c.public))]
    heads = []
    for row in connection.execute(_CHECKPOINTS, {"start": start, "end": end}):
        found.counts["checkpoints"] += 1
        if not _is_sound(row.note, row.size, bytes(row.root), office, publics):
            found.add(
                Code.CHECKPOINT_NOTE, row.size,
                f"the checkpoint of {row.size} entries is not signed by the office, or its note "
                "says something else",
            )  # fmt: skip
        fold = _fold([nodes[node] for node in _edge(start, row.size)])
        heads.append((row.size, fold, bytes(row.root)))
    return Block(start, tuple(nodes[node] for node in _edge(start, end)), tuple(heads))


class Spine:
    """Joins the blocks, which are handed over in their order, and judges what lies above them."""

    def __init__(self, stored: dict[tree.Node, bytes]) -> None:
        """`stored` are the nodes above LEVEL."""
        self._stored = stored
        self._left: list[tuple[tree.Node, bytes]] = []  # the edge so far

    def take(self, block: Block, found: Findings) -> None:
        """The next block: its checkpoints, then the nodes that it completes."""
        for size, fold, root in block.heads:
            if _fold([*(value for _, value in self._left), fold]) != root:
                found.add(
                    Code.CHECKPOINT_ROOT, size,
                    f"the records do not lead to the signed root of the log with {size} entries",
                )  # fmt: skip
        if len(block.edge) != 1:
            return  # the last one, which is not full
        node, value = (LEVEL, block.start >> LEVEL), block.edge[0]
        while self._left and self._left[-1][0] == (node[0], node[1] - 1) and node[1] & 1:
            _, before = self._left.pop()
            node, value = (node[0] + 1, node[1] >> 1), tree.node_hash(before, value)
            if self._stored.get(node) != value:
                _name_node(found, *node, "is not the one that the records lead to")
        self._left.append((node, value))


def upper_nodes(connection: Connection) -> dict[tree.Node, bytes]:
    """The stored nodes above the blocks: as many as there are blocks."""
    rows = connection.execute(select(log_nodes).where(log_nodes.c.level > LEVEL))
    return {(row[0], row[1]): bytes(row[2]) for row in rows}


def _stored(connection: Connection, start: int, end: int) -> dict[tree.Node, bytes]:
    found: dict[tree.Node, bytes] = {}
    for level in range(LEVEL + 1):
        span = {"level": level, "start": start >> level, "end": end >> level}
        for row in connection.execute(_NODES, span):
            found[(level, row[0])] = bytes(row[1])
    return found


def _from_records(
    connection: Connection, start: int, end: int, stored: dict[tree.Node, bytes]
) -> dict[tree.Node, bytes]:
    """The leaves as the records say. Of a record that is damaged itself the stored hash counts."""
    leaves = dict(stored)
    for row in connection.execute(_OCTETS, {"start": start, "end": end}):
        octets = bytes(row.octets)
        if hashlib.sha256(octets).hexdigest() == row.digest or (0, row.number) not in leaves:
            leaves[(0, row.number)] = tree.leaf_hash(octets)
    for number in range(start, end):
        leaves.setdefault((0, number), b"")
    return leaves


def _raise(start: int, end: int, leaves: dict[tree.Node, bytes]) -> dict[tree.Node, bytes]:
    """All complete subtrees over the leaves of a block."""
    nodes = dict(leaves)
    for level in range(1, LEVEL + 1):
        below = level - 1
        for index in range(start >> level, end >> level):
            nodes[(level, index)] = tree.node_hash(
                nodes[(below, 2 * index)], nodes[(below, 2 * index + 1)]
            )
    return nodes


def _edge(start: int, end: int) -> Iterable[tree.Node]:
    """The largest complete subtrees of the leaves start..end of one block, from left to right."""
    for level, index in tree.edge(end - start):
        yield level, index + (start >> level)


def _fold(values: list[bytes]) -> bytes:
    value = values[-1]
    for left in reversed(values[:-1]):
        value = tree.node_hash(left, value)
    return value


def _is_sound(note: str, size: int, root: bytes, office: str, publics: list[bytes]) -> bool:
    try:
        head = read_note(note)
    except InvalidNote:
        return False
    if (head.origin, head.size, head.root) != (origin(office), size, root):
        return False
    return any(signed_by(note, office, public) for public in publics)


def _name_node(found: Findings, level: int, index: int, what: str) -> None:
    found.add(
        Code.LOG_NODE, f"{level}/{index}", f"node {level}/{index} of the log's tree {what}",
        level=level, index=index,
    )  # fmt: skip
