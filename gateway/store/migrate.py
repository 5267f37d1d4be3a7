"""One history of migrations (Alembic) for the tables of all packages.

A revision is named by the number that begins its file's name, so a command can check the schema
without importing Alembic (0.15 s).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from gateway.errors import StoreUnusable

_FOLDER = Path(__file__).parent / "migrations"


def known() -> list[str]:
    """The revisions that this program knows, oldest first."""
    return sorted(path.name.split("_")[0] for path in (_FOLDER / "versions").glob("0*.py"))


def current(engine: Engine) -> str:
    """The revision of the database; empty for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return str(found or "")


def require_known(engine: Engine) -> None:
    """Refuse a schema that a newer program has made; raises StoreUnusable."""
    revision = current(engine)
    if revision and revision not in known():
        raise StoreUnusable(
            f"the database has schema {revision}, which is newer than this program; "
            "install the newer version again"
        )


def require_newest(engine: Engine) -> None:
    """Refuse any schema but this program's own, for commands; raises StoreUnusable."""
    require_known(engine)
    revision = current(engine)
    if revision != known()[-1]:
        raise StoreUnusable(
            f"the database has schema {revision or '(none)'}, which is older than this program; "
            "restart the post office (`yizhan serve`), which brings it up to date"
        )


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to the newest revision, or that one, in one transaction, one node at a time.

    Raises StoreUnusable for a newer schema.
    """
    require_known(engine)
    if current(engine) == (known()[-1] if revision == "head" else revision):
        return
    from alembic import command  # noqa: PLC0415  # slow to import, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["engine"] = engine
    command.upgrade(config, revision)
