"""Alembic's entry: runs migrations on the engine that `store.migrate` hands over.

All of them in one transaction, or none: SQLite can undo DDL like any other statement, once the
driver no longer commits before it. Foreign keys are checked at the end instead of at each step,
since SQLite changes a table by making it anew and dropping the old one, whose rows others refer to.
"""

import sqlite3

from alembic import context
from sqlalchemy import Engine

from gateway.errors import StoreUnusable
from gateway.store.postgres import take_turn
from gateway.store.schema import metadata
from mailboxes.search_tables import is_token_table

engine: Engine = context.config.attributes["engine"]
target = context.config.attributes.get("metadata", metadata)
with engine.execution_options(yizhan_write=True).connect() as connection:
    driver = connection.connection.driver_connection
    sqlite = driver if isinstance(driver, sqlite3.Connection) else None
    if sqlite is not None:
        sqlite.execute("PRAGMA foreign_keys=OFF")  # has an effect only outside a transaction
    try:
        context.configure(
            connection=connection, target_metadata=target, render_as_batch=True,
            transactional_ddl=True, transaction_per_migration=False,
            include_name=lambda name, _kind, _parents: not is_token_table(str(name)),
        )  # fmt: skip
        with context.begin_transaction():
            if sqlite is None:
                # However long the other takes.
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            take_turn(connection, "migrate")  # of two nodes that start the second finds it done
            context.run_migrations()
            if sqlite is not None and sqlite.execute("PRAGMA foreign_key_check").fetchone():
                raise StoreUnusable("a migration left rows that refer to nothing")
    finally:
        if sqlite is not None:
            sqlite.execute("PRAGMA foreign_keys=ON")
