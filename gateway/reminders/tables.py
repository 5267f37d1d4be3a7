"""The table of reminders: one row for each message to each person, kept after it was sent."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from gateway.store.schema import metadata

reminders = Table(
    "reminders",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("document_id", String(26), nullable=False),
    Column("delivery_id", Integer, nullable=False),
    Column("unit_id", Integer, nullable=False),
    Column("person_id", Integer),  # as it was then; a duty person may be removed later
    Column("name", Text, nullable=False),
    Column("number", String(32), nullable=False),
    Column("language", String(16), nullable=False),
    Column("urgency", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", BigInteger),
    Column("handed_over_at", BigInteger),
    Column("reported_at", BigInteger),
    Column("notifier", String(64), nullable=False),
    Column("reference", Text, nullable=False),
    Column("last_error", Text, nullable=False),
    # One rung of one delivery is climbed once, whatever runs twice.
    UniqueConstraint("delivery_id", "step", "number"),
    Index("ix_reminders_state_due_at", "state", "due_at"),
    Index("ix_reminders_document_id", "document_id"),
    Index("ix_reminders_unit_id_state", "unit_id", "state"),
)
