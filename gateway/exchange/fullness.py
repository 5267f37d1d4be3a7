"""Which mailboxes are full: said on the health page and by the doctor, since only whoever files
something there hears of it. What the office delivers always has room."""

from __future__ import annotations

from gateway.config import Config
from gateway.exchange.mailroom import tables
from gateway.store.database import Database
from mailboxes.tree import Fill, FolderTree

TREE = FolderTree(tables)
NEARLY = 0.9  # of a limit: then the readers are told
_NAMED = 3  # mailboxes in one sentence


def general_limit(config: Config) -> int:
    """Octets of a mailbox without a limit of its own; 0: any number."""
    return config.mailboxes.quota if config.mailboxes is not None else 0


class Fullness:
    """A probe for the health page."""

    def __init__(self, database: Database, config: Config) -> None:
        self._database = database
        self._limit = general_limit(config)

    async def full(self) -> str:
        """That mailboxes are full, and whose."""
        return sentence(await self._database.read(lambda c: TREE.fullest(c, self._limit)))


def sentence(found: list[Fill]) -> str:
    """What is said of full mailboxes; empty for none."""
    if not found:
        return ""
    named = ", ".join(
        f"{one.owner} ({one.octets / 1e6:,.0f} of {one.limit / 1e6:,.0f} MB)"
        for one in found[:_NAMED]
    )
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (
        f"mailboxes are full, so that nothing can be filed there: {named}{more}; let the unit tidy "
        "up, or `yizhan mailbox quota`"
    )
