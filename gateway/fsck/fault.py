"""A fault in words, what was counted, and the report of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.fsck.codes import Code, Family
from gateway.fsck.meanings import CODES

MOST = 10_000  # faults that are kept; of a store in ruins the rest is only counted


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `clue` is what a repair must know, and is told to nobody."""

    code: Code
    subject: str  # id of a document, record, message ...: what the sentence is about
    what: str  # without a full stop
    clue: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What is wrong and what to do."""
        return f"{self.what}; {CODES[self.code].advice}."

    @property
    def family(self) -> Family:
        """Of which checks it is."""
        return CODES[self.code].family

    @property
    def repairable(self) -> bool:
        """Whether `--repair` may heal it."""
        return CODES[self.code].repairable

    def data(self) -> dict[str, object]:
        """For a program to read."""
        return {
            "code": self.code.value,
            "subject": self.subject,
            "sentence": self.sentence,
            "repairable": self.repairable,
        }


@dataclass(slots=True)
class Findings:
    """What one piece of the work has found. Crosses from one process to another."""

    faults: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    extra: Any = None  # for whoever asked for the piece

    def add(self, code: Code, subject: object, what: str, **clue: Any) -> None:
        """One fault more."""
        self.faults.append(Fault(code, str(subject), what, clue))


@dataclass(slots=True)
class Report:
    """The result of a check."""

    faults: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)  # documents, records, octets ...
    by_code: Counter[str] = field(default_factory=Counter)
    left_off: int = 0  # faults beyond MOST
    seconds: float = 0.0
    whole: bool = True  # everything was looked at
    _known: set[tuple[Code, str]] = field(default_factory=set, repr=False)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.by_code

    def take(self, found: Findings) -> None:
        """Add what a piece has found; a fault that two pieces name counts once."""
        for fault in found.faults:
            key = (fault.code, fault.subject)
            if key in self._known:
                continue
            self.by_code[fault.code.value] += 1
            if len(self.faults) < MOST:
                self._known.add(key)
                self.faults.append(fault)
            else:
                self.left_off += 1
        self.counts.update(found.counts)
