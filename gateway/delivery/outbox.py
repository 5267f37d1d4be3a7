"""The outbox worker: takes what verbs left behind and finishes each piece exactly once.

A piece is leased, its handler prepares (slow work: rendering, signing) and returns a unit of work,
and that unit runs in the same transaction that removes the row. A crash at any point leaves either
the row or the finished result, never both and never neither. A piece whose lease was taken away in
the meantime is not finished: somebody has it, or what it was to say is no longer so. A piece that
fails waits longer each time and stays visible on the health page; none is ever dropped.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)

from gateway.delivery.backlog import Backlog, measure
from gateway.domain.clock import Clock, milliseconds
from gateway.errors import StoreError
from gateway.exchange.outbox import Kind
from gateway.exchange.tables import outbox
from gateway.store.database import Database
from gateway.store.facts import is_held
from gateway.store.fault import reach
from mailboxes.prepared import Prepared

log = structlog.stdlib.get_logger("yizhan.outbox")

LEASE_SECONDS = 10  # another node's work is taken over after that; finished it is only once
POLL_SECONDS = 1.0
BATCH = 32  # pieces in a turn
SHARE = 12  # pieces in a turn where several processes take from one outbox
SHORT = 1_000  # letters of a payload that is worked on in the event loop


_IS_DUE = and_(outbox.c.due_at <= bindparam("now"), outbox.c.lease_until <= bindparam("now"))
_ANY_DUE = Prepared(select(outbox.c.id).where(_IS_DUE).limit(1))
_DUE = Prepared(
    select(outbox)
    .where(_IS_DUE)
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_LEASE = Prepared(
    update(outbox)
    .where(outbox.c.id.in_(bindparam("some", expanding=True)))
    .values(lease_until=bindparam("until"), lessee=bindparam("us"), attempts=outbox.c.attempts + 1),
    some="some",
)
_REMOVE = Prepared(
    delete(outbox).where(
        outbox.c.id == bindparam("piece"),
        outbox.c.lease_until == bindparam("until"),
        outbox.c.lessee == bindparam("us"),
    )
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One leased piece of work."""

    id: int
    kind: str  # a `Kind`, unless a newer version left it
    document_id: str
    text: str  # of the payload, JSON
    attempts: int
    lease_until: int = 0  # Unix milliseconds; with the lessee it proves that the lease is ours
    lessee: str = ""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the verb left for the handler. Raises ValueError for what is not JSON."""
        found: Mapping[str, Any] = json.loads(self.text)
        return found


Finish = Callable[[Connection], None]
Handler = Callable[[Piece], Awaitable[Finish | None]]


class NotYet(Exception):
    """The piece must wait for something else: tried again soon, and not counted as failed."""


class OutboxWorker:
    """Runs the handlers, by kind."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[Kind, Handler],
        clock: Clock,
        poll_seconds: float = POLL_SECONDS,
        *,
        node: str = "",
        first: bool = True,
        most: int = BATCH,
    ) -> None:
        """`node` is the same at each start of this node and another for each other node; the
        `first` process of a node takes back what its dead predecessors had leased. `most` pieces
        are taken in a turn."""
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._poll = poll_seconds
        self._awake = asyncio.Event()
        self._node, self._first = node, first
        self._most = most
        self._us = f"{node}/{secrets.token_hex(8)}"
        self._stalled = ""
        self._measured = -math.inf  # loop time
        self.backlog = Backlog()

    def wake(self) -> None:
        """There may be work that is due."""
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        if self._first:
            await self._reclaim()
        while True:
            self._awake.clear()
            try:
                if self._first:
                    await self._measure()
                busy = await self.turn()
                self._stalled = ""
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # the worker must outlive a bad moment
                self._stalled = type(error).__name__
                log.error("outbox-stalled", cause=str(error))
                busy = False
            if busy:
                continue
            try:
                async with asyncio.timeout(self._poll):
                    await self._awake.wait()
            except TimeoutError:
                pass

    async def health(self) -> str:
        """What is wrong, for the health page; empty if nothing is."""
        if self._stalled:
            return f"no receipt goes out, the log says why: {self._stalled}"
        return self.backlog.sentence(self._clock.now())

    async def _measure(self) -> None:
        """Look at the backlog, at most once in `poll_seconds` however busy it is."""
        now = asyncio.get_running_loop().time()
        if now >= self._measured + self._poll:
            self._measured = now
            self.backlog = await self._database.read(lambda c: measure(c, self._clock.now()))

    async def _reclaim(self) -> None:
        """Take back what a dead predecessor had leased; else receipts would wait after a crash.

        Not what another node has leased: it may be at work.
        """
        ours = outbox.c.lessee.startswith(f"{self._node}/", autoescape=True)
        leased = and_(outbox.c.lease_until > 0, ours)
        find = select(outbox.c.id).where(leased).limit(1)
        free = update(outbox).where(leased).values(lease_until=0)
        try:
            if await self._database.read(lambda c: c.execute(find).first()):
                await self._database.write(lambda c: c.execute(free).rowcount, "outbox-reclaim")
        except StoreError as error:
            log.error("outbox-not-reclaimed", cause=str(error))

    async def turn(self) -> bool:
        """Lease what is due and finish it; True if there was any progress."""
        if not await self._database.glance(self._has_due):
            return False
        pieces = await self._database.write(self._lease, "outbox-lease")
        done = await asyncio.gather(*(self._finish(piece) for piece in pieces))
        return any(done)

    async def _finish(self, piece: Piece) -> bool:
        try:
            finish = await self._handlers[Kind(piece.kind)](piece)
            reach("receipt-rendered")
            await self._database.write(
                lambda c: _complete(c, piece, finish), "outbox-done", long=len(piece.text) > SHORT
            )
            reach("piece-finished")
        except asyncio.CancelledError:
            raise
        except NotYet:
            await self._return(piece, 0.2, "", count=False)
            return False
        except Exception as error:  # noqa: BLE001  # it stays in the outbox and is tried again
            wait = min(2.0 ** min(piece.attempts, 12), 3600)
            log.error(
                "outbox-failed",
                kind=piece.kind,
                document=piece.document_id,
                attempt=piece.attempts,
                cause=f"{type(error).__name__}: {error}",
                seconds=wait,
            )
            text = f"{type(error).__name__}: {error}"[:500]
            await self._return(piece, wait, text, count=True)
            return False
        return True

    def _has_due(self, connection: Connection) -> bool:
        """Asked before leasing, so that an idle office writes nothing."""
        now = milliseconds(self._clock.now())
        if _ANY_DUE.first(connection, {"now": now}) is None:
            return False
        return not is_held(connection)  # restored: the operator looks first at what would go out

    def _lease(self, connection: Connection) -> list[Piece]:
        now = self._clock.now()
        until = milliseconds(now + timedelta(seconds=LEASE_SECONDS))
        rows = _DUE.all(connection, {"now": milliseconds(now), "most": self._most})
        if rows:
            some = [row.id for row in rows]
            _LEASE.run(connection, {"until": until, "us": self._us, "some": some})
        return [
            Piece(r.id, r.kind, r.document_id, r.payload, r.attempts + 1, until, self._us)
            for r in rows
        ]

    async def _return(self, piece: Piece, seconds: float, error: str, *, count: bool) -> None:
        await self._database.write(
            lambda c: self._put_back(c, piece, seconds, error, count=count), "outbox-put-back"
        )

    def _put_back(
        self, connection: Connection, piece: Piece, seconds: float, error: str, *, count: bool
    ) -> None:
        now = self._clock.now()
        since = func.coalesce(outbox.c.failing_since, milliseconds(now))
        connection.execute(
            update(outbox)
            .where(_still_leased(piece))
            .values(
                due_at=milliseconds(now + timedelta(seconds=seconds)),
                lease_until=0,
                last_error=error,
                attempts=piece.attempts if count else piece.attempts - 1,
                failing_since=since if count else outbox.c.failing_since,
            )
        )


def _complete(connection: Connection, piece: Piece, finish: Finish | None) -> None:
    lease = {"piece": piece.id, "until": piece.lease_until, "us": piece.lessee}
    removed = _REMOVE.run(connection, lease)
    if removed and finish is not None:
        finish(connection)
        reach("receipt-appended")


def _still_leased(piece: Piece) -> ColumnElement[bool]:
    return and_(
        outbox.c.id == piece.id,
        outbox.c.lease_until == piece.lease_until,
        outbox.c.lessee == piece.lessee,
    )
