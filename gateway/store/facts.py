"""Facts about the store as a whole: held after a restore, last backup, last check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.domain.clock import milliseconds, moment
from gateway.store.tables import store_facts
from mailboxes.prepared import Prepared


class Fact(StrEnum):
    """What is remembered, one value each."""

    HELD = "held"  # restored: outbox and reminders wait until the operator releases them
    BACKUP = "backup"  # the last backup that was made and verified
    FSCK = "fsck"  # the last check of everything


@dataclass(frozen=True, slots=True)
class Known:
    """A fact and when it was written."""

    value: dict[str, Any]
    at: datetime


def remember(connection: Connection, fact: Fact, value: dict[str, Any], now: datetime) -> None:
    """Write the fact anew."""
    forget(connection, fact)
    text = json.dumps(value, ensure_ascii=False)
    row = {"key": fact.value, "value": text, "at": milliseconds(now)}
    connection.execute(insert(store_facts), row)


def recall(connection: Connection, fact: Fact) -> Known | None:
    """The fact as last written; None if it never was."""
    row = _RECALL.first(connection, {"fact": fact.value})
    return None if row is None else Known(json.loads(row.value), moment(row.at))


_RECALL = Prepared(
    select(store_facts.c.value, store_facts.c.at).where(store_facts.c.key == bindparam("fact"))
)


def is_held(connection: Connection) -> bool:
    """Whether nothing may go out until the operator releases it."""
    return recall(connection, Fact.HELD) is not None


def forget(connection: Connection, fact: Fact) -> None:
    """The fact no longer holds."""
    connection.execute(delete(store_facts).where(store_facts.c.key == fact.value))
