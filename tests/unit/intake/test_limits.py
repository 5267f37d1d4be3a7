"""Places at the door: how many, for whom, and what is remembered of it."""

from __future__ import annotations

import pytest

from gateway.config import Limits
from gateway.intake import limits, replies
from gateway.intake.limits import Places


def places(**settings: int) -> Places:
    return Places(Limits.model_validate(settings))


def test_strangers_cannot_take_the_places_of_those_who_have_logged_in() -> None:
    shared = places(connections=40, connections_per_address=5)
    shared.welcome("10.1.0.7")
    for number in range(30):
        assert shared.take(f"10.9.0.{number // 5}") is None
    assert shared.take("10.9.0.99") is replies.TOO_MANY_CONNECTIONS
    for _ in range(5):
        assert shared.take("10.1.0.7") is None
    assert shared.take("10.1.0.7") is replies.TOO_MANY_FROM_ADDRESS
    assert shared.taken == 35


def test_the_limit_holds_for_those_who_have_logged_in_too() -> None:
    shared = places(connections=8)
    for number in range(9):
        shared.welcome(f"10.1.0.{number}")
    answers = [shared.take(f"10.1.0.{number}") for number in range(9)]
    assert answers == [None] * 8 + [replies.TOO_MANY_CONNECTIONS]
    shared.give_back("10.1.0.0")
    assert shared.take("10.1.0.8") is None


def test_a_small_office_loses_no_place() -> None:
    shared = places(connections=3)
    assert [shared.take(f"10.1.0.{number}") for number in range(3)] == [None] * 3


def test_what_is_remembered_is_bounded_and_the_latest_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_KNOWN", 10)
    shared = places(connections=4)
    for number in range(1, 200):
        shared.welcome(f"10.1.{number}.1")
        shared.welcome("10.1.0.1")
    assert len(shared._known) == 10
    assert [shared.take("10.9.0.1") for _ in range(4)][3] is replies.TOO_MANY_CONNECTIONS
    assert shared.take("10.1.0.1") is None
