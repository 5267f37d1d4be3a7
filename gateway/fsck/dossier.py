"""A dossier: all rows about one document or refusal, as one snapshot of the database shows them.

Every verb is one transaction, so whatever moment a snapshot is of, its dossiers are consistent or
something is wrong: a check may run beside the daemon and need not know what is in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from mailboxes.view import View


@dataclass(slots=True)
class Shown:
    """A content and the messages that show it."""

    id: int
    kind: str
    blob: str
    view: View | None  # of a blob; None: the octets are inline
    size: int
    digest: str
    structure: str  # JSON, of a view where it is asked for; else empty
    records: tuple[str, ...] | None  # digests of the records that a receipt carries; None: unread
    messages: list[Row[Any]] = field(default_factory=list)

    @property
    def owners(self) -> set[str]:
        """Whose mailboxes show it."""
        return {message.owner for message in self.messages}


@dataclass(slots=True)
class Dossier:
    """One id and everything that bears it. Lists are in the order of their keys."""

    id: str
    document: Row[Any] | None = None
    refusal: Row[Any] | None = None
    envelope: list[Row[Any]] = field(default_factory=list)
    deliveries: list[Row[Any]] = field(default_factory=list)
    records: list[Row[Any]] = field(default_factory=list)
    outbox: list[Row[Any]] = field(default_factory=list)
    contents: list[Shown] = field(default_factory=list)
    removed: list[Row[Any]] = field(default_factory=list)  # tombstones: owner, kind
    reminders: list[Row[Any]] = field(default_factory=list)
    texts: Row[Any] | None = None  # number of texts, highest ordinal
    seal_uses: list[str] = field(default_factory=list)  # fingerprints
    faults: list[tuple[Any, ...]] = field(default_factory=list)  # found while reading

    def shown(self, kind: str) -> list[Shown]:
        """The contents of that kind that some message shows."""
        return [one for one in self.contents if one.kind == kind and one.messages]

    def has_removed(self, kind: str, owner: str = "") -> bool:
        """Whether a reader has removed a message of that kind from its mailbox (from anybody's)."""
        return any(one.kind == kind and owner in ("", one.owner) for one in self.removed)
