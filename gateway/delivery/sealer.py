"""The sealer: numbers new records and signs a checkpoint, soon after there are any.

Of several nodes only the elected one does; the others look again each second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.domain.clock import Clock
from gateway.evidence.log import Log, waiting
from gateway.store.database import Database
from gateway.store.fault import reach

log = structlog.stdlib.get_logger("yizhan.sealer")

POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.1  # at least between two checkpoints
_FEW = 64  # records that are sealed in the event loop, in some four milliseconds


class Sealer:
    """Extends the log; `sealed` is told after each checkpoint how many records it has brought into
    the log, so that their receipts can go out."""

    def __init__(
        self,
        database: Database,
        evidence: Log,
        clock: Clock,
        sealed: Callable[[int], None],
        elected: Callable[[], bool] = lambda: True,
    ) -> None:
        self._database = database
        self._log = evidence
        self._clock = clock
        self._sealed = sealed
        self._elected = elected
        self._awake = asyncio.Event()
        self._stalled = ""
        self.unsealed = 0  # records that no checkpoint covered when last looked at

    def wake(self) -> None:
        """There are new records."""
        self._awake.set()

    async def run(self) -> None:
        """Seal until cancelled."""
        while True:
            self._awake.clear()
            try:
                busy = self._elected() and await self.turn()
                self._stalled = ""
                if busy:
                    # Under load one checkpoint for the records of many documents.
                    await asyncio.sleep(PAUSE_SECONDS)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # the sealer must outlive a bad moment
                self._stalled = type(error).__name__
                log.error("sealer-stalled", cause=str(error))
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._awake.wait()
            except TimeoutError:
                pass

    async def health(self) -> str:
        """What is wrong, for the health page; empty if nothing is."""
        if not self._stalled:
            return ""
        return f"evidence is not sealed, no receipt goes out; the log says why: {self._stalled}"

    async def turn(self) -> bool:
        """Seal everything that waits; whether there was anything."""
        sealed = False
        while count := await self._database.glance(waiting):
            self.unsealed = count
            now = self._clock.now()
            checkpoint = await self._database.write(
                lambda c, now=now: self._log.seal(c, now),  # type: ignore[misc]
                "seal",
                long=count > _FEW,
            )
            if checkpoint is None:
                break
            sealed = True
            reach("records-sealed")
            self._sealed(count)
        self.unsealed = 0
        return sealed
