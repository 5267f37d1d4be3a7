"""The writers of PostgreSQL: threads that each run one unit in one transaction.

PostgreSQL groups commits by itself: so none waits for another's locks, and the loser of a deadlock
alone is run again (see `store.postgres`).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from sqlalchemy import exc

from gateway.store import postgres
from gateway.store.readings import unavailable
from gateway.store.unit import Unit

Asked = tuple[Unit, "Future[Any]"]


class Units:
    """The writers of one database."""

    def __init__(self, run: Callable[[Unit], Any], writers: int) -> None:
        """`run` does a unit in a transaction of its own, again if it lost to another one."""
        self._run = run
        self._waiting: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self.commits = 0
        self.units = 0
        self._threads = [
            threading.Thread(target=self._work, name="writer", daemon=True) for _ in range(writers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Units that wait."""
        return self._waiting.qsize()

    async def write(self, unit: Unit) -> Any:
        """Its result, once its commit has reached the disk."""
        done: Future[Any] = Future()
        self._waiting.put((unit, done))
        return await asyncio.wrap_future(done)

    async def drain(self) -> None:
        """`stop` finishes what waits."""

    def stop(self) -> None:
        """Finish what waits, then end the threads."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (asked := self._waiting.get()) is not None:
            unit, done = asked
            if not done.set_running_or_notify_cancel():
                continue  # its waiter has gone
            try:
                result = self._run(unit)
            except exc.DBAPIError as error:
                if postgres.is_ours(error):  # a broken constraint, a wrong statement
                    done.set_exception(error)
                else:
                    done.set_exception(unavailable("the database cannot be written", error))
            except exc.TimeoutError as error:
                done.set_exception(unavailable("the database cannot be written", error))
            except BaseException as error:  # noqa: BLE001  # it belongs to the caller, who gets it
                done.set_exception(error)
            else:
                with self._counting:
                    self.commits += 1
                    self.units += 1
                done.set_result(result)
