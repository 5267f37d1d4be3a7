"""What a check looks at."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.fsck.codes import Family


@dataclass(frozen=True, slots=True)
class Span:
    """A range of ids: behind `after` up to `until`, or exactly `only`. Empty: without an end.

    The database compares them, never Python: on PostgreSQL the order is the database's own.
    """

    after: str = ""
    until: str = ""
    only: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is everything."""
        return not (self.after or self.until or self.only)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which checks, of which documents, how thoroughly."""

    families: frozenset[Family] = frozenset(Family)
    span: Span = Span()
    quick: bool = False  # no octets are read, and of a document only its last record is verified
    views: bool = False  # compute the digest and structure of every view

    @property
    def whole(self) -> bool:
        """Whether nothing is left out that a plain `yizhan fsck` looks at."""
        return self.span.whole and not self.quick and self.families == frozenset(Family)

    def has(self, *families: Family) -> bool:
        """Whether any of these is wanted."""
        return not self.families.isdisjoint(families)
