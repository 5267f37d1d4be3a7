"""The store's own table: one row that says whose state this is."""

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
