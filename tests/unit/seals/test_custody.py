"""Promises about the book of seals in the database."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.event import Event
from gateway.errors import CommandError
from gateway.seals import custody
from gateway.seals.custody import Entry
from gateway.seals.live import LiveSeals
from tests.databases import opened

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def database(databases):
    made = opened(databases)
    yield made
    made.stop()


def entry(digit: str) -> Entry:
    return Entry(digit * 40, b"certificate", NOW + timedelta(days=1000), "issued", b"revocation")


def enter(database, digit, *, unit_id=1, limit=3):
    return database.write_now(
        lambda c: custody.enter(c, unit_id, entry(digit), limit=limit, actor="wang", now=NOW)
    )


def test_a_unit_has_no_more_seals_in_force_than_its_limit(database):
    for digit in "ABC":
        enter(database, digit)
    with pytest.raises(CommandError, match="3 seals in force"):
        enter(database, "D")
    enter(database, "D", unit_id=2)
    database.write_now(lambda c: custody.cancel(c, "A" * 40, "lost", actor="wang", now=NOW))
    enter(database, "E")


def test_a_key_never_becomes_a_seal_twice_not_even_after_its_cancellation(database):
    enter(database, "A")
    database.write_now(lambda c: custody.cancel(c, "A" * 40, "lost", actor="wang", now=NOW))
    with pytest.raises(CommandError, match="is or was a seal"):
        enter(database, "A", unit_id=2)


def test_a_cancellation_is_kept_with_time_and_reason(database):
    enter(database, "A")
    with pytest.raises(CommandError, match="reason"):
        database.write_now(lambda c: custody.cancel(c, "A" * 40, " ", actor="wang", now=LATER))
    gone = database.write_now(
        lambda c: custody.cancel(c, "a" * 8, "stick lost", actor="wang", now=LATER)
    )
    assert (gone.cancelled_at, gone.cancel_reason, gone.in_force) == (LATER, "stick lost", False)
    with pytest.raises(CommandError, match="before: stick lost"):
        database.write_now(lambda c: custody.cancel(c, "A" * 40, "x", actor="wang", now=LATER))


def test_a_replacement_ends_the_old_seal_at_the_same_moment(database):
    enter(database, "A", limit=1)
    new = database.write_now(
        lambda c: custody.replace(c, "A" * 40, entry("B"), actor="wang", now=LATER)
    )
    assert new.unit_id == 1
    book = database.read_now(custody.load_book)
    assert [seal.in_force for seal in book.seals] == [False, True]
    assert book.seals[0].replaced_at == LATER
    with pytest.raises(CommandError, match="was replaced before"):
        database.write_now(
            lambda c: custody.replace(c, "A" * 40, entry("C"), actor="wang", now=LATER)
        )


def test_every_change_is_logged_with_who_and_when(database):
    enter(database, "A")
    database.write_now(lambda c: custody.replace(c, "A" * 40, entry("B"), actor="li", now=LATER))
    database.write_now(lambda c: custody.cancel(c, "B" * 40, "lost", actor="zhao", now=LATER))
    lines = database.read_now(custody.log)
    assert [(line.event, line.actor) for line in lines] == [
        (Event.SEAL_CANCELLED, "zhao"), (Event.SEAL_REPLACED, "li"), (Event.SEAL_ISSUED, "wang"),
    ]  # fmt: skip
    assert lines[1].detail == f"in place of {'A' * 40}"


def test_a_use_is_counted_once_for_each_document(database):
    seal = enter(database, "A")
    for document in ("d1", "d2", "d2"):
        database.write_now(lambda c, d=document: custody.log_use(c, d, "A" * 40, now=NOW))
    database.write_now(lambda c: custody.log_use(c, "d3", "F" * 40, now=NOW))
    assert database.read_now(custody.uses) == {seal.id: 2}


def test_a_seal_is_found_by_its_last_digits_if_they_name_one(database):
    enter(database, "A")
    assert database.read_now(lambda c: custody.find(c, "0xaaaa aaaa")).fingerprint == "A" * 40
    for name, words in (("AAAA", "last 8"), ("%" * 8, "last 8"), ("B" * 8, "no seal ends")):
        with pytest.raises(CommandError, match=words):
            database.read_now(lambda c, n=name: custody.find(c, n))


async def test_the_daemon_sees_a_cancellation_at_the_next_question(database):
    live = LiveSeals(database)
    assert (await live.current()).seals == ()
    enter(database, "A")
    first = await live.current()
    assert [seal.fingerprint for seal in first.seals] == ["A" * 40]
    assert await live.current() is first  # nothing has changed: nothing is read again
    database.write_now(lambda c: custody.cancel(c, "A" * 40, "lost", actor="wang", now=NOW))
    assert not (await live.current()).seals[0].in_force
    assert not live.now().seals[0].in_force


def test_the_office_certificate_stands_in_the_book(database):
    database.write_now(lambda c: custody.set_office_certificate(c, b"office"))
    enter(database, "A")
    book = database.read_now(custody.load_book)
    assert book.office_certificate == b"office"
    assert book.of_unit(1) == (changed(book.seals[0]),)
