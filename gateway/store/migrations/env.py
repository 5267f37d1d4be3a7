"""Alembic's entry: runs migrations on the engine that `store.migrate` hands over."""

from alembic import context
from sqlalchemy import Engine

from gateway.store.schema import metadata

engine: Engine = context.config.attributes["engine"]
target = context.config.attributes.get("metadata", metadata)
with engine.execution_options(yizhan_write=True).connect() as connection:
    context.configure(
        connection=connection, target_metadata=target, render_as_batch=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
