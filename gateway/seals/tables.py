"""Tables of the seals: the book, its version, its log, and where each seal was used."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from gateway.store.schema import metadata

seals = Table(
    "seals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit_id", Integer, nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False, unique=True),  # upper-case hex
    Column("certificate", LargeBinary, nullable=False),
    # Made with the key, for publishing a cancellation; we never judge by it.
    Column("revocation", LargeBinary, nullable=False),
    Column("origin", String(16), nullable=False),  # issued, imported
    Column("kept", Boolean, nullable=False),  # the private half stays with the office
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("replaced_at", BigInteger),
    Column("replaced_by", Integer, ForeignKey("seals.id")),
    Column("cancelled_at", BigInteger),
    Column("cancel_reason", Text, nullable=False),
)

seal_uses = Table(
    "seal_uses",
    metadata,
    Column("document_id", String(26), primary_key=True),
    Column("seal_id", Integer, ForeignKey("seals.id"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Index(None, "seal_id", "at"),
)

seal_log = Table(
    "seal_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("event", String(32), nullable=False),  # SealIssued, SealReplaced, SealCancelled
    Column("seal_id", Integer, ForeignKey("seals.id"), nullable=False, index=True),
    Column("detail", Text, nullable=False),
)

# One row: its version goes up with each change, so that a daemon sees what a command has done.
seal_book = Table(
    "seal_book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("office_certificate", LargeBinary, nullable=False),
)
