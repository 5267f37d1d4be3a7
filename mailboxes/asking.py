"""How the index of each database is asked for needles, in its own language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mailboxes.search_tables import GRAMS
from mailboxes.tokens import Needle

CANDIDATES = {  # the texts that have the tokens of `:match`
    "sqlite": f"SELECT rowid FROM {GRAMS} WHERE {GRAMS} MATCH :match",  # noqa: S608  # names of ours
    "postgresql": f"SELECT id FROM {GRAMS} WHERE grams @> CAST(:match AS TEXT[])",  # noqa: S608  # names of ours
}
_HAS = {"sqlite": "instr({}, :{}) > 0", "postgresql": "strpos({}, :{}) > 0"}


@dataclass(frozen=True, slots=True)
class Columns:
    """Where tokens are looked for, in the language of FTS5."""

    phrase: str
    short: str


IN_BODY = Columns("body", "body_short")
ANYWHERE = Columns("{title body}", "{title_short body_short}")


def is_sqlite(conn: Connection) -> bool:
    """Whether it is FTS5 that is asked."""
    return conn.dialect.name == "sqlite"


def is_exact(conn: Connection, wanted: Needle) -> bool:
    """Whether the index alone decides; that of PostgreSQL knows no order, and no columns."""
    return wanted.exact and is_sqlite(conn)


def has(conn: Connection, column: str, name: str) -> str:
    """The condition that the text of a column contains the parameter of that name."""
    return _HAS[conn.dialect.name].format(column, name)


def match(conn: Connection, wanted: Sequence[Needle], columns: Columns) -> str | list[str]:
    """What `:match` is, for the texts that may contain all the needles."""
    if is_sqlite(conn):
        return " AND ".join(_fts(one, columns) for one in wanted)
    return sorted({token for one in wanted for some in (*one.phrases, one.short) for token in some})


def one_of(column: str, name: str, choices: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The condition that a column is one of those, and its values."""
    given = {f"{name}_{number}": choice for number, choice in enumerate(choices)}
    return f"{column} IN ({', '.join(f':{one}' for one in given)})" if given else "1 = 0", given


def _fts(wanted: Needle, columns: Columns) -> str:
    """Tokens hold no quotation mark: signs of ASCII are other letters in them (`tokens`)."""
    if wanted.phrases:
        # One for each run, not one for all: a rare one then leads past what the others have.
        return " AND ".join(f'({columns.phrase} : "{" ".join(one)}")' for one in wanted.phrases)
    return " AND ".join(f'({columns.short} : "{one}")' for one in wanted.short)
