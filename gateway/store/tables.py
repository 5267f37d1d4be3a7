"""The store's own tables: one row that says whose state this is, and what happened to it."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from gateway.store.schema import metadata

store_identity = Table(
    "store_identity",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("identity", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# What the operator and the daemon must know of the store as a whole, by key; see `store.facts`.
store_facts = Table(
    "store_facts",
    metadata,
    Column("key", Text, primary_key=True),  # held, backup, fsck, ...
    Column("value", Text, nullable=False),  # JSON
    Column("at", BigInteger, nullable=False),
)
