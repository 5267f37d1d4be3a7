"""The arithmetic of an RFC 6962 Merkle tree: hashes, ranges, audit paths; no storage, no clock.

A *node* is a complete subtree: `(level, index)` covers the leaves `index << level` up to
`(index + 1) << level`. Every range of an audit path divides into nodes, also where the tree's right
edge is not complete, so storing nodes alone suffices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

Node = tuple[int, int]


def leaf_hash(octets: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + octets).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256 of 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def edge(size: int) -> list[Node]:
    """The largest complete subtrees of a tree with `size` leaves, from left to right."""
    return [
        (level, (size >> level) - 1)
        for level in range(size.bit_length() - 1, -1, -1)
        if size >> level & 1
    ]


def extend(
    size: int, known: Mapping[Node, bytes], leaves: Iterable[bytes]
) -> list[tuple[Node, bytes]]:
    """The new nodes when leaf hashes are appended to a tree of `size` leaves.

    `known` holds at least the nodes of `edge(size)`.
    """
    left = {node: known[node] for node in edge(size)}
    made: list[tuple[Node, bytes]] = []
    for index, leaf in enumerate(leaves, start=size):
        level, position, value = 0, index, leaf
        made.append(((level, position), value))
        while position & 1:
            value = node_hash(left.pop((level, position - 1)), value)
            level, position = level + 1, position >> 1
            made.append(((level, position), value))
        left[(level, position)] = value
    return made


def root(size: int, known: Mapping[Node, bytes]) -> bytes:
    """The tree head of `size` leaves; `known` holds at least the nodes of `edge(size)`."""
    nodes = edge(size)
    if not nodes:
        return hashlib.sha256(b"").digest()
    value = known[nodes[-1]]
    for node in reversed(nodes[:-1]):
        value = node_hash(known[node], value)
    return value


def audit_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaf ranges `[start, end)` whose hashes prove leaf `index`, from the leaf upwards.

    RFC 6962 §2.1.1. Raises ValueError if the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def range_nodes(start: int, end: int) -> list[Node]:
    """The nodes that make up a range of an audit path, from left to right."""
    nodes: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def range_hash(start: int, end: int, known: Mapping[Node, bytes]) -> bytes:
    """The hash of such a range out of its nodes."""
    nodes = range_nodes(start, end)
    value = known[nodes[-1]]
    for node in reversed(nodes[:-1]):
        value = node_hash(known[node], value)
    return value


def _split(size: int) -> int:
    """The largest power of two below `size` (RFC 6962 §2.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def proved_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The tree head that a proof leads to (RFC 9162 §2.1.3.2); None if its length is wrong."""
    if not 0 <= index < size:
        return None
    position, last, value = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            value = node_hash(step, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, step)
        position, last = position >> 1, last >> 1
    return value if last == 0 else None
