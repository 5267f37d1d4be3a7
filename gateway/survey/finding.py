"""What the doctor finds: what is wrong or will be missed, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Weight(StrEnum):
    """How much a finding matters."""

    WRONG = "wrong"  # the office does not do what it promises, or is about to stop
    ADVICE = "advice"  # it does its work; somebody should know


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, in a sentence, with the remedy in another; empty where the sentence says it."""

    sentence: str
    remedy: str = ""
    weight: Weight = Weight.WRONG


def advice(sentence: str, remedy: str = "") -> Finding:
    """A finding that stops nothing."""
    return Finding(sentence, remedy, Weight.ADVICE)
