"""One damage for each fault: exactly one thing is changed by hand, and fsck must name it."""

from tests.unit.fsck.damages import evidence, letters, mailboxes, rows, search
from tests.unit.fsck.damages.damage import DAMAGES

__all__ = ["DAMAGES", "evidence", "letters", "mailboxes", "rows", "search"]
