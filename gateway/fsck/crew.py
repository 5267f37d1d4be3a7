"""Who does the pieces: this process alone, or several, so that every core works."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from gateway.config import Config
from gateway.errors import CommandError
from gateway.fsck.fault import Findings
from gateway.fsck.pieces import Ground, Piece, count_documents, work
from gateway.fsck.scope import Scope
from gateway.store.blobs import Blobs
from gateway.store.database import Database
from gateway.store.drivers import open_blobs

_FEW = 3000  # documents that one process checks before others would have started
_AHEAD = 4  # pieces in hand for each process: enough that none waits, few enough for the memory


class Crew(Protocol):
    """Does the pieces and gives what each has found, in whatever order they are done."""

    def run(self, scope: Scope, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Findings]]: ...


class Alone:
    """Everything in this process, one after the other."""

    def __init__(self, database: Database, blobs: Blobs, domain: str) -> None:
        self._ground = Ground(database, blobs, domain)

    def run(self, scope: Scope, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Findings]]:
        for piece in pieces:
            yield piece, work(self._ground, scope, piece)


class Processes:
    """Several processes, each with its own connection to the same store."""

    def __init__(self, config: Config, number: int) -> None:
        self._config = config
        self._number = number

    def run(self, scope: Scope, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Findings]]:
        """Raises CommandError if a process dies, for example for want of memory."""
        before = set(multiprocessing.active_children())
        # Never forked: the database's threads and connections must not be inherited.
        pool = ProcessPoolExecutor(
            self._number,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._config,),
        )
        try:
            yield from self._feed(pool, scope, iter(pieces))
        except BrokenProcessPool:
            raise CommandError(
                "a process of the check has died, perhaps for want of memory; "
                "try `yizhan fsck --workers 1`"
            ) from None
        except BaseException:
            # Ctrl-C: nobody wants to wait for what is being looked at.
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _feed(
        self, pool: ProcessPoolExecutor, scope: Scope, pieces: Iterator[Piece]
    ) -> Iterator[tuple[Piece, Findings]]:
        waiting: dict[Future[Findings], Piece] = {}
        more = True
        while more or waiting:
            while more and len(waiting) < self._number * _AHEAD:
                piece = next(pieces, None)
                if piece is None:
                    more = False
                else:
                    waiting[pool.submit(_work, scope, piece)] = piece
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()


def muster(config: Config, database: Database, scope: Scope, number: int = 0) -> Crew:
    """Those who check that much: `number` processes (0: one for each processor), or this one alone
    where it would be done before others have started."""
    number = number or os.cpu_count() or 1
    if number > 1 and database.read_now(lambda c: count_documents(c, scope.span)) > _FEW:
        return Processes(config, number)
    return Alone(database, open_blobs(config), config.office.domain)


_ground: list[Ground] = []  # of this process


def _begin(config: Config) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    database = Database(config.state.database_url, readers=1)
    _ground.append(Ground(database, open_blobs(config), config.office.domain))


def _end_with_parent() -> None:
    """A parent that was killed cannot end us, and nobody would ever give us work again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(scope: Scope, piece: Piece) -> Findings:
    return work(_ground[0], scope, piece)
