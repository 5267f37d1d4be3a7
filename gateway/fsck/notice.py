"""What the health page says of the last check of everything; it keeps the office from no work."""

from __future__ import annotations

from gateway.store.database import Database
from gateway.store.facts import Fact, recall


class Notice:
    """A probe for the health page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def faults(self) -> str:
        """That the last whole check has found something which was not repaired."""
        known = await self._database.read(lambda c: recall(c, Fact.FSCK))
        left = 0 if known is None else int(known.value.get("left", 0))
        if known is None or not left:
            return ""
        faults = "fault" if left == 1 else "faults"
        return (
            f"the check of {known.at:%Y-%m-%d %H:%M} UTC found {left} {faults} that nobody has "
            "repaired; `yizhan fsck` names them"
        )
