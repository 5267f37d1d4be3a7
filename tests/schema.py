"""All tables of the product, for the tests and for writing migrations."""

from importlib import import_module

from sqlalchemy import MetaData

from gateway.store.schema import metadata

MODULES = (
    "gateway.directory.tables",
    "gateway.evidence.tables",
    "gateway.exchange.mailroom",
    "gateway.exchange.tables",
    "gateway.reminders.tables",
    "gateway.seals.tables",
    "gateway.store.tables",
)


def all_tables() -> MetaData:
    """The MetaData with every package's tables on it."""
    for module in MODULES:
        import_module(module)
    return metadata
