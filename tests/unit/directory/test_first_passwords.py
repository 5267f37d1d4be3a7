"""First passwords and last logins: who must change, until when, and what is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from gateway.config import Listener, Submission
from gateway.directory import edit
from gateway.directory import tables as t
from gateway.directory.lastlogins import last_logins
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator
from gateway.directory.model import AccountKind, Role
from gateway.directory.presence import PORTAL, SUBMISSION, Presence
from gateway.domain.clock import FakeClock
from gateway.errors import CommandError
from gateway.store.database import Database
from tests.unit.directory.conftest import BY, DOMAIN, NOW, read, write

URL = "https://mail.heping.test/"


def first_at(database: Database, login: str = "water") -> datetime | None:
    account = read(database).account(login)
    assert account is not None
    return account.first_password_at


def test_a_first_password_is_one_until_its_owner_changes_it(office: Database) -> None:
    assert first_at(office) is None
    write(office, edit.set_password, "water", "hash-1", first=True)
    assert first_at(office) == NOW
    write(office, edit.set_password, "water", "hash-2", instead_of="hash-1")
    assert first_at(office) is None
    write(office, edit.set_password, "water", "hash-3", first=True)
    with pytest.raises(CommandError, match="changed meanwhile"):
        write(office, edit.set_password, "water", "hash-4", instead_of="hash-2")
    assert first_at(office) == NOW


def test_a_machine_and_an_account_without_a_password_are_never_asked(office: Database) -> None:
    for login, kind, stored in (
        ("scanner", AccountKind.MACHINE, "hash"),
        ("card", AccountKind.PERSONAL, ""),
        ("person", AccountKind.PERSONAL, "hash"),
    ):
        write(
            office, edit.add_account, login=login, name=login, kind=kind,
            units={"water": [Role.CLERK]}, password_hash=stored, first_password=True,
        )  # fmt: skip
    assert [first_at(office, one) for one in ("scanner", "card", "person")] == [None, None, NOW]
    write(office, edit.set_password, "scanner", "hash-2", first=True)
    assert first_at(office, "scanner") is None


def authenticator(database: Database, clock: FakeClock, url: str, days: float) -> Authenticator:
    settings = Submission(listeners=[Listener(port=0)], first_password_days=days)
    live = LiveDirectory(database, DOMAIN)
    return Authenticator(live, settings, clock, None, portal_url=url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "days", "passed", "may_send"),
    [
        (URL, 0, 0, False),
        (URL, 3, 2.9, True),
        (URL, 3, 3, False),
        ("", 0, 9, True),  # there is nowhere to change it
    ],
)
def test_a_first_password_sends_for_as_long_as_the_setting_says(
    url: str, days: float, passed: float, may_send: bool, office: Database
) -> None:
    write(office, edit.set_password, "water", "hash", first=True)
    account = read(office).account("water")
    assert account is not None
    gate = authenticator(office, FakeClock(NOW + timedelta(days=passed)), url, days)
    reply = gate.unready(account)
    assert (reply is None) is may_send
    if reply is not None:
        assert reply.code == 550 and URL in reply.text and URL in reply.text_zh
    assert gate.unready(dataclasses.replace(account, first_password_at=None)) is None


@pytest.fixture
async def started(office: Database) -> AsyncIterator[Database]:
    office.start()
    yield office


async def test_a_login_is_written_down_once_an_hour_without_a_new_version(
    started: Database,
) -> None:
    clock = FakeClock(NOW)
    presence = Presence(clock)
    before = read(started)
    account = before.account("water")
    assert account is not None

    async def seen(door: str, client: str) -> list[tuple[str, datetime, str]]:
        presence.note(account.id, door, client)
        await presence.write(started)
        found = started.read_now(last_logins)[account.id]
        return [(one.door, one.at, one.client) for one in found]

    assert await seen(SUBMISSION, "10.1.0.7") == [(SUBMISSION, NOW, "10.1.0.7")]
    clock.advance(3599)
    assert await seen(SUBMISSION, "10.1.0.8") == [(SUBMISSION, NOW, "10.1.0.7")]
    clock.advance(1)
    later = clock.now()
    assert await seen(SUBMISSION, "10.1.0.8") == [(SUBMISSION, later, "10.1.0.8")]
    clock.advance(1)
    assert [door for door, _, _ in await seen(PORTAL, "::1")] == [PORTAL, SUBMISSION]
    assert read(started).version == before.version


async def test_an_account_that_is_gone_is_not_brought_back_by_its_note(started: Database) -> None:
    presence = Presence(FakeClock(NOW))
    account = read(started).account("water")
    assert account is not None
    presence.note(account.id, SUBMISSION, "10.1.0.7")
    await presence.write(started)
    presence.note(account.id, PORTAL, "10.1.0.7")
    started.write_now(lambda c: edit.remove_account(c, "water", **BY))  # it was used, and may go
    await presence.write(started)
    assert started.read_now(lambda c: c.execute(select(t.account_logins)).all()) == []
