"""A session belongs to one browser, and ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.directory.model import Account, AccountKind
from gateway.domain.address import Address
from gateway.domain.clock import FakeClock
from gateway.portal.choice import Fault, find_fault
from gateway.portal.sessions import LONGEST, Sessions

WANG = Account(7, "wang", Address("wang", "a.test"), "王", AccountKind.PERSONAL, ())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 3, 2, tzinfo=UTC))


def test_a_quiet_session_ends_and_a_busy_one_ends_with_the_day(clock: FakeClock) -> None:
    sessions = Sessions(clock, 15)
    quiet = sessions.begin(WANG)
    clock.advance(15 * 60)
    assert sessions.find(quiet) is not None
    clock.advance(15 * 60 + 1)
    assert sessions.find(quiet) is None
    busy = sessions.begin(WANG)
    for _ in range(int(LONGEST.total_seconds() // 600)):
        clock.advance(600)
        assert sessions.find(busy) is not None
    clock.advance(600)
    assert sessions.find(busy) is None


def test_a_form_token_is_good_for_its_own_browser_only(clock: FakeClock) -> None:
    sessions, others = Sessions(clock, 15), Sessions(clock, 15)
    one, two = sessions.begin(WANG), sessions.begin(WANG)
    assert one != two
    assert sessions.is_form_token(one, sessions.form_token(one))
    for given in (sessions.form_token(two), others.form_token(one), "", "é", one):
        assert not sessions.is_form_token(one, given)
    assert not sessions.is_form_token("", sessions.form_token(""))


@pytest.mark.parametrize(
    ("login", "old", "new", "again", "fault"),
    [
        ("wang", "old word 1", "new word 1", "new word 1", None),
        ("wang", "old word 1", "新的口令要八个字", "新的口令要八个字", None),
        ("wang", "old word 1", "new word 1", "new word 2", Fault.DIFFERENT),
        ("wang", "old word 1", "seven77", "seven77", Fault.SHORT),
        ("wang", "old word 1", "abc" * 43, "abc" * 43, Fault.LONG),
        ("wang", "old word 1", "tab\tin it", "tab\tin it", Fault.UNPRINTABLE),
        ("wang", "old word 1", "aAabbBcc", "aAabbBcc", Fault.REPEATED),
        ("wang", "old word 1", "dear-WANG-1", "dear-WANG-1", Fault.LOGIN),
        ("wa", "old word 1", "ware new", "ware new", None),
        ("wang", "old word 1", "old word 1", "old word 1", Fault.OLD),
    ],
)
def test_each_rule_of_a_new_password(
    login: str, old: str, new: str, again: str, fault: Fault | None
) -> None:
    assert find_fault(login, old, new, again) is fault
