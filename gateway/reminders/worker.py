"""Hands due reminders to the carrier, each once, and makes evidence of what becomes of them.

The order that makes "once" true: lease the row (commit), look whether the delivery is still
unsigned, hand over under the reminder's id, then state and evidence in one commit. A crash between
any two leaves a lease; when it is over the same id is handed over again, and the carrier knows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from gateway.config import Reminders
from gateway.domain.clock import Clock
from gateway.domain.event import Reason
from gateway.errors import StoreError
from gateway.reminders import book
from gateway.reminders.book import Record, Scribe
from gateway.reminders.notifier import CannotHandOver, HandedOver, NeverDeliverable, Notifier
from gateway.reminders.reminder import Reminder, ReminderState
from gateway.reminders.schedule import next_try
from gateway.store.database import Database
from gateway.store.facts import is_held
from gateway.store.fault import reach
from gateway.together import Together

_log = structlog.stdlib.get_logger("yizhan.reminders")

AT_ONCE = 256
"""Reminders of a group, which are handed over at the same time."""
_GROUPS = 2
_TURN_SECONDS = 5.0
_FIRST = asyncio.FIRST_COMPLETED
REPORTS_AT_ONCE = 1000
_FEW = 16  # reminders that are entered in the event loop
SILENCE_SECONDS = 3600.0
"""A carrier that says nothing of a reminder for so long is a matter for the health page."""
_LEASE_MARGIN_SECONDS = 5.0


def _nobody(_outcome: str) -> None:
    """Counts nothing."""


class ReminderWorker:
    """One worker with one carrier. Several may work on one database."""

    def __init__(
        self,
        database: Database,
        notifier: Notifier,
        record: Record,
        clock: Clock,
        settings: Reminders,
        *,
        observe: Callable[[str], None] = _nobody,
    ) -> None:
        """`record` writes evidence inside the transaction it is given; `observe` gets one of
        `handed-over`, `sent`, `failed`, `retried`, `cancelled` for each reminder."""
        self._database = database
        self._notifier = notifier
        self._record = record
        self._clock = clock
        self._settings = settings
        self._observe = observe
        self._wake = asyncio.Event()
        self._trouble = ""
        self._states = Together(self._look_up)
        self._entries = Together(self._enter_all)

    async def start(self) -> None:
        """Get the carrier ready. Raises ConfigurationError if it cannot be used."""
        await self._notifier.start()

    def wake(self) -> None:
        """There may be something to hand over now."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what goes wrong is tried again at the next poll."""
        loop, asked = asyncio.get_running_loop(), -math.inf
        while True:
            self._wake.clear()
            try:
                await self._hand_over_due()
                # Asking looks at files for each reminder that the carrier has: not at every wake.
                if loop.time() >= asked + self._settings.poll_seconds:
                    asked = loop.time()
                    await self._ask_for_reports()
                self._trouble = ""
            except CannotHandOver as error:
                self._trouble = error.public
                _log.warning("reminders-wait", cause=error.cause)
            except StoreError as error:
                self._trouble = f"reminders cannot be worked on: {error.public}"
                _log.warning("reminders-wait", cause=error.cause)
            except Exception as error:  # noqa: BLE001
                # The daemon must outlive a mistake here; the health page shows it.
                self._trouble = "the reminder worker had an unexpected error, see the log"
                _log.exception("reminders-failed", cause=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_seconds):
                    await self._wake.wait()

    async def close(self) -> None:
        """Let the carrier go."""
        await self._notifier.close()

    async def work(self) -> int:
        """Hand over all that is due now, then ask for reports. How many were taken."""
        done = await self._hand_over_due()
        await self._ask_for_reports()
        return done

    async def _hand_over_due(self) -> int:
        """What is due, in groups: while the carrier takes one the last is entered.

        Under steady load that has no end: after a while it is time for something else.
        """
        loop, done = asyncio.get_running_loop(), 0
        end = loop.time() + _TURN_SECONDS
        groups: list[asyncio.Task[None]] = []
        try:
            while loop.time() < end:
                taken = await self._take()
                if not taken:
                    break
                done += len(taken)
                groups.append(asyncio.create_task(self._hand_over_all(taken)))
                if len(groups) >= _GROUPS:
                    await asyncio.wait(groups[-_GROUPS:], return_when=_FIRST)
                    if any(one.done() and one.exception() for one in groups):
                        break
            else:
                self._wake.set()
        finally:
            # All are heard out before an error counts: none may go on unwatched.
            results = await asyncio.gather(*groups, return_exceptions=True)
        for result in results:
            if result is not None:
                raise result
        return done

    async def health(self) -> str:
        """A sentence about what is wrong with reminders; empty: nothing."""
        if self._trouble:
            return self._trouble
        trouble = await self._notifier.health()
        if trouble or not self._notifier.reports_back:
            return trouble
        before = self._clock.now() - timedelta(seconds=SILENCE_SECONDS)
        silent = await self._database.read(
            lambda c: book.unreported(c, self._notifier.name, before)
        )
        if silent:
            return f"the carrier has said nothing for an hour about reminders it took: {silent}"
        return ""

    async def _take(self) -> list[Reminder]:
        now = self._clock.now()
        # Held after a restore: what went out since the backup would go out twice.
        if not await self._database.glance(lambda c: book.has_due(c, now) and not is_held(c)):
            return []
        seconds = self._notifier.patience + _LEASE_MARGIN_SECONDS
        return await self._database.write(
            lambda c: book.lease(c, now, seconds=seconds, limit=AT_ONCE),
            "reminder-lease",
            long=True,
        )

    async def _hand_over_all(self, taken: Sequence[Reminder]) -> None:
        results = await asyncio.gather(
            *(self._hand_over(one) for one in taken), return_exceptions=True
        )
        for result in results:
            if result is not None:
                raise result

    async def _hand_over(self, one: Reminder) -> None:
        # Just before: a sign-for since the lease has turned the row to stopping.
        state = await self._states.ask(one.id)
        if state is ReminderState.STOPPING:
            await self._stop(one)
            return
        if state is not ReminderState.HANDING_OVER:
            return
        if not one.number:
            await self._fail(
                one,
                Reason.RECIPIENT_UNREACHABLE,
                "the unit has no duty person with a mobile number",
            )
            return
        try:
            async with asyncio.timeout(self._notifier.patience):
                answer = await self._notifier.send(one)
        except NeverDeliverable as error:
            await self._fail(one, Reason.RECIPIENT_UNREACHABLE, error.public)
            return
        except Exception as error:  # noqa: BLE001  # what we do not know is temporary
            await self._try_later(one, error)
            return
        reach("reminder-handed-over")
        if await self._enter(one, answer):
            _log.info(
                "reminder-handed-over",
                reminder=one.id,
                document=one.document_id,
                repeated=answer.repeated,
            )

    async def _stop(self, one: Reminder) -> None:
        """Signed for: if the carrier has it after all that is a fact, else it is cancelled."""
        try:
            has_it = await self._is_found(one)
        except CannotHandOver as error:
            _log.warning(
                "reminder-unknown",
                reminder=one.id,
                document=one.document_id,
                cause=error.cause,
            )
            return  # the lease ends, and it is asked again
        if not has_it and await self._database.write(
            lambda c: book.cancel(c, one), "reminder-done"
        ):
            self._observe("cancelled")

    async def _is_found(self, one: Reminder) -> bool:
        """Ask the carrier; what it has is handed over. Raises CannotHandOver if it cannot say."""
        try:
            async with asyncio.timeout(self._notifier.patience):
                answer = await self._notifier.find(one.id)
        except (TimeoutError, OSError) as error:
            raise CannotHandOver("the carrier does not answer", cause=str(error)) from error
        if answer is None:
            return False
        await self._enter(one, answer)
        return True

    async def _enter(self, one: Reminder, answer: HandedOver) -> bool:
        """The carrier has it: write that down; False if it was known."""
        entered = await self._entries.ask((one, answer))
        if entered:
            self._observe("handed-over")
        return entered

    async def _look_up(self, ids: Sequence[str]) -> list[ReminderState | None]:
        found = await self._database.glance(lambda c: book.states_of(c, ids))
        return [found.get(one) for one in ids]

    async def _enter_all(
        self, handed: Sequence[tuple[Reminder, HandedOver]]
    ) -> Sequence[bool | Exception]:
        try:
            return await self._write_down(handed)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # of one of them: the others are entered alone
            if len(handed) == 1:
                return [error]
            alone = [await self._enter_all([one]) for one in handed]
            return [outcome for outcomes in alone for outcome in outcomes]

    async def _write_down(self, handed: Sequence[tuple[Reminder, HandedOver]]) -> list[bool]:
        scribe = self._scribe()
        return await self._database.write(
            lambda c: book.hand_over(c, handed, scribe), "reminder-done", long=len(handed) > _FEW
        )

    async def _try_later(self, one: Reminder, error: Exception) -> None:
        cause = str(error) or "the carrier did not answer in time"
        _log.warning(
            "reminder-not-taken",
            reminder=one.id,
            document=one.document_id,
            attempt=one.attempts,
            cause=cause,
        )
        public = error.public if isinstance(error, CannotHandOver) else "the carrier cannot be used"
        if one.attempts >= self._settings.attempts:
            # The last try may have arrived although it seemed to fail: do not call it failed then.
            with contextlib.suppress(CannotHandOver):
                if await self._is_found(one):
                    return
            await self._fail(one, Reason.TECHNICAL_MALFUNCTION, public)
            return
        due = next_try(self._clock.now(), one.attempts)
        if await self._database.write(
            lambda c: book.put_back(c, one, due, public), "reminder-put-back"
        ):
            self._observe("retried")

    async def _fail(self, one: Reminder, reason: Reason, detail: str) -> None:
        scribe = self._scribe()
        if await self._database.write(
            lambda c: book.fail(c, one, reason, detail, scribe), "reminder-done"
        ):
            self._observe("failed")
            _log.warning(
                "reminder-failed",
                reminder=one.id,
                document=one.document_id,
                reason=reason.value,
                cause=detail,
            )

    async def _ask_for_reports(self) -> None:
        if not self._notifier.reports_back:
            return
        now, name = self._clock.now(), self._notifier.name
        ids = await self._database.read(lambda c: book.waiting(c, name, now, REPORTS_AT_ONCE))
        if not ids:
            return
        reports = await self._notifier.reports(ids)
        if not reports:
            return
        scribe = self._scribe()
        news = await self._database.write(
            lambda c: book.report(c, reports, scribe), "reminder-report", long=len(reports) > _FEW
        )
        for one in news:
            self._observe(one.fate.value)

    def _scribe(self) -> Scribe:
        return Scribe(self._notifier.name, self._clock.now(), self._record)
