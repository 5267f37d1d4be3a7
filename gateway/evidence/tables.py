"""The tables of evidence: records, the log over them, its checkpoints, the keys that signed.

Rows of `evidence_records` are written once and never changed; the log's number of a record lies
outside its signed octets, in `log_entries`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.store.schema import metadata

evidence_records = Table(
    "evidence_records",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("document_id", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event", String(64), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("octets", LargeBinary, nullable=False),  # the frozen record
    Column("digest", String(64), nullable=False),  # hex SHA-256 of the octets
    Column("signature", LargeBinary, nullable=False),  # raw Ed25519, 64 octets
    Column("key_id", String(32), nullable=False),
    UniqueConstraint("document_id", "sequence"),
)

# One row a record from the start; `number` is null until the sealer has given one.
log_entries = Table(
    "log_entries",
    metadata,
    Column("record_id", String(26), ForeignKey("evidence_records.id"), primary_key=True),
    Column("number", BigInteger, nullable=True, unique=True),  # leaf index in the tree, from 0
)

# Only complete subtrees; level 0 are the leaves.
log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),  # leaves
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),  # C2SP signed note
    Column("at", BigInteger, nullable=False),
)

evidence_keys = Table(
    "evidence_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("public", LargeBinary, nullable=False),  # raw Ed25519, 32 octets
    Column("statement", LargeBinary, nullable=False),  # canonical JSON that the office signed
    Column("certified", Text, nullable=False),  # armoured OpenPGP signature of the office
    Column("created", BigInteger, nullable=False),
)
