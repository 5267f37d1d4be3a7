"""The tables of the search index, made on the owner's MetaData; all of it can be made again.

They are marked `derived`: a backup leaves them out. What holds the tokens differs by database: on
SQLite a virtual table of FTS5 without a copy of the text, on PostgreSQL a table with an array under
a GIN index. Both are called `mailbox_grams` and are made and dropped together with the texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    event,
)

GRAMS = "mailbox_grams"
DERIVED = "derived"  # in `Table.info`: nothing is lost with the rows

MAKE_GRAMS = {
    # The newest first is by rowid; ranks and snippets are not asked for. `ascii` takes every token
    # as it is: what is no letter of ASCII is none of its separators.
    "sqlite": (
        f"CREATE VIRTUAL TABLE {GRAMS} USING fts5(title, body, title_short, body_short, "
        "content='', tokenize='ascii')",
    ),
    "postgresql": (
        f"CREATE TABLE {GRAMS} (id INTEGER PRIMARY KEY REFERENCES mailbox_texts (id) "
        'ON DELETE CASCADE, grams TEXT[] COLLATE "C" NOT NULL)',
        f"CREATE INDEX ix_{GRAMS}_grams ON {GRAMS} USING gin (grams)",
    ),
}
DROP_GRAMS = f"DROP TABLE {GRAMS}"


@dataclass(frozen=True, slots=True)
class SearchTables:
    """The tables of the index; the tokens have no table of SQLAlchemy's."""

    texts: Table
    heads: Table


def make_search_tables(metadata: MetaData) -> SearchTables:
    """The tables on that MetaData, which has the mailboxes' tables; made once."""
    if "mailbox_texts" in metadata.tables:
        return SearchTables(metadata.tables["mailbox_texts"], metadata.tables["mailbox_heads"])
    made = SearchTables(texts=_texts(metadata), heads=_heads(metadata))
    for dialect, statements in MAKE_GRAMS.items():
        for statement in statements:
            event.listen(made.texts, "after_create", _ddl(statement).execute_if(dialect=dialect))
    event.listen(made.texts, "before_drop", _ddl(DROP_GRAMS))
    return made


def _ddl(statement: str) -> DDL:
    return DDL(statement)  # type: ignore[no-untyped-call]


def is_token_table(name: str) -> bool:
    """Whether a table of the database holds the tokens, or is one that FTS5 keeps for them."""
    return name == GRAMS or name.startswith(f"{GRAMS}_")


def _texts(metadata: MetaData) -> Table:
    """What is searched of a body: once for each blob, however many contents show it."""
    return Table(
        "mailbox_texts",
        metadata,
        # That of the first content that had it: the greater, the newer.
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("blob", Text, unique=True),  # null: the content is inline
        Column("key", Text, nullable=False, index=True),  # as in the content
        Column("kind", Text, nullable=False),
        Column("created", BigInteger, nullable=False),
        Column("title", Text, nullable=False),  # folded (`tokens.fold`)
        Column("body", Text, nullable=False),  # folded; texts of different places are lines
        Column("state", Text, nullable=False),  # whole, partly, header
        Column("reason", Text, nullable=False),  # what is missing, and why; empty if nothing is
        info={DERIVED: True},
    )


def _heads(metadata: MetaData) -> Table:
    """What is searched of a header: once for each content. Null: there is no such field."""
    return Table(
        "mailbox_heads",
        metadata,
        Column(
            "content_id",
            Integer,
            ForeignKey("mailbox_contents.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        Column("text_id", Integer, ForeignKey("mailbox_texts.id"), nullable=False, index=True),
        Column("subject", Text),  # folded, decoded; several fields of that name are lines
        Column("from", Text),
        Column("to", Text),
        Column("cc", Text),
        Column("bcc", Text),
        Column("head", Text, nullable=False),  # every field as a line "name: value"
        info={DERIVED: True},
    )
