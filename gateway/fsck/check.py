"""The check as a whole: divides the work, gathers what is found, and remembers the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.fsck import log
from gateway.fsck.crew import Crew
from gateway.fsck.fault import Findings, Report
from gateway.fsck.pieces import Kind, count_documents, divide
from gateway.fsck.scope import Scope
from gateway.store.database import Database
from gateway.store.facts import Fact, remember


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the check is."""

    done: int  # documents
    total: int
    faults: int
    seconds: float

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> float:
        """Seconds to go, as far as one can say."""
        return (self.total - self.done) / self.rate if self.done else 0.0

    @property
    def sentence(self) -> str:
        """For whoever waits."""
        faults = "no fault" if not self.faults else f"{self.faults} faults"
        minutes, seconds = divmod(round(self.left), 60)
        return (
            f"{self.done} of {self.total} documents, {self.rate:.0f} a second, "
            f"{minutes}:{seconds:02} to go, {faults}"
        )


def _silent(_progress: Progress) -> None:
    """Tells nobody."""


def check(
    database: Database,
    crew: Crew,
    scope: Scope = Scope(),  # noqa: B008  # frozen
    *,
    tell: Callable[[Progress], None] = _silent,
) -> Report:
    """Re-derive what the scope names and report all that is wrong; nothing is changed.

    May run beside the daemon. Raises StoreUnavailable if the database cannot be read at all.
    """
    begun = time.monotonic()
    report = Report(whole=scope.whole)
    total = database.read_now(lambda c: count_documents(c, scope.span))
    blocks: dict[int, log.Block] = {}
    for piece, found in crew.run(scope, divide(database, scope)):
        report.take(found)
        if piece.kind is Kind.LOG:
            blocks[piece.start] = found.extra
        done = min(report.counts["documents"], total)
        tell(Progress(done, total, len(report.faults), time.monotonic() - begun))
    _join(database, blocks, report)
    report.seconds = time.monotonic() - begun
    return report


def _join(database: Database, blocks: dict[int, log.Block], report: Report) -> None:
    found = Findings()
    spine = log.Spine(database.read_now(log.upper_nodes))
    for start in sorted(blocks):
        spine.take(blocks[start], found)
    report.take(found)


def remember_report(
    database: Database, report: Report, now: datetime, *, repaired: int = 0
) -> None:
    """Keep the result of a whole check for the health page. Raises StoreUnavailable."""
    faults = sum(report.by_code.values())
    value = {
        "faults": faults,
        "repaired": repaired,
        "left": faults - repaired,
        "codes": dict(report.by_code),
        "counts": dict(report.counts),
        "seconds": round(report.seconds, 1),
    }
    database.write_now(lambda c: remember(c, Fact.FSCK, value, now))
