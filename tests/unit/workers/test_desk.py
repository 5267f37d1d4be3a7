"""What a worker asks for holds over all workers, because one desk answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.config import Limits
from gateway.directory.logins import LoginFailed
from gateway.directory.model import Account
from gateway.errors import StoreUnavailable
from gateway.intake.limits import Places
from gateway.policy.rate import Rates, Sent
from gateway.workers import messages
from gateway.workers.channel import FakeLine
from gateway.workers.desk import Desk
from gateway.workers.stand_ins import RemoteAuthenticator, RemoteMeter, RemoteRates, Waker

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
WATER: Any = type("Account", (), {"id": 7, "login": "water", "password_hash": "$argon2id$1"})()


class Authenticator:
    """Knows one account and one password."""

    def __init__(self) -> None:
        self.raises: Exception | None = None

    async def check_password(
        self,
        login: str,
        password: str,
        client_ip: str,
        *,
        door: str = "",  # noqa: ARG002
    ) -> Account:
        if self.raises is not None:
            raise self.raises
        assert (login, password, client_ip) == ("water", "clear water", "192.0.2.7")
        return WATER

    async def check_certificate(
        self,
        fingerprint: str,
        client_ip: str,
        *,
        door: str = "",  # noqa: ARG002
    ) -> Account:
        assert (fingerprint, client_ip) == ("ab" * 32, "192.0.2.7")
        return WATER


class Directory:
    """The directory as a worker sees it."""

    def __init__(self, account: Any) -> None:
        self._account = account

    async def current(self) -> Any:
        return self

    def account_by_id(self, account_id: int) -> Any:
        return self._account if account_id == 7 else None


class Meter:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def connected(self) -> None: ...

    def left(self) -> None: ...

    def turned_away(self, why: str) -> None:
        self.seen.append((why,))

    def login(self, mechanism: str, *, good: bool) -> None:
        self.seen.append((mechanism, good))

    def message(self, outcome: str, octets: int, seconds: float) -> None:
        self.seen.append((outcome, octets, seconds))


class Straight(FakeLine):
    """A line to a desk without a process in between; each message passes its form on the wire."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    async def ask(self, make: Any) -> Any:
        question = messages.read(messages.octets(make(1)))
        if isinstance(question, messages.Offer):
            answer = self._desk.count(question)
        else:
            answer = await self._desk.identify(question)  # type: ignore[arg-type]
        return messages.read(messages.octets(answer))


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def places() -> Places:
    return Places(Limits(connections=4))


@pytest.fixture
def desk(meter: Meter, places: Places) -> Desk:
    return Desk(Authenticator(), Rates(), [places], [meter], lambda: None, lambda: None)


def clerk(desk: Desk, account: Any = WATER) -> RemoteAuthenticator:
    return RemoteAuthenticator(Straight(desk), Directory(account), lambda _: None)  # type: ignore[arg-type]


async def test_a_login_is_decided_at_the_desk(desk: Desk) -> None:
    assert await clerk(desk).check_password("water", "clear water", "192.0.2.7") is WATER
    assert await clerk(desk).check_certificate("ab" * 32, "192.0.2.7") is WATER


async def test_who_has_logged_in_at_a_worker_has_a_place_kept_at_the_door(
    desk: Desk, places: Places
) -> None:
    strangers = ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
    assert [places.take(one) for one in strangers] == [None] * 3
    assert places.take("192.0.2.7") is not None
    await clerk(desk).check_password("water", "clear water", "192.0.2.7")
    assert places.take("192.0.2.7") is None


async def test_a_password_that_has_changed_between_the_desk_and_the_worker_does_not_count(
    desk: Desk,
) -> None:
    changed = type("Account", (), {"id": 7, "password_hash": "$argon2id$2"})()
    for account in (changed, None):
        with pytest.raises(LoginFailed):
            await clerk(desk, account).check_password("water", "clear water", "192.0.2.7")


async def test_a_failed_login_gets_the_desks_own_reply(desk: Desk) -> None:
    from gateway.directory.logins import ELSEWHERE

    desk._authenticator.raises = LoginFailed(ELSEWHERE, cause="why", account="water")  # type: ignore[attr-defined]
    with pytest.raises(LoginFailed) as failed:
        await clerk(desk).check_password("water", "clear water", "192.0.2.7")
    found = failed.value
    assert (found.reply, found.cause, found.account) == (ELSEWHERE, "why", "water")


@pytest.mark.parametrize("error", [StoreUnavailable("no", cause="full"), RuntimeError("a fault")])
async def test_what_the_desk_cannot_answer_is_temporary(desk: Desk, error: Exception) -> None:
    desk._authenticator.raises = error  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable):
        await clerk(desk).check_password("water", "clear water", "192.0.2.7")


async def test_offers_are_counted_over_all_workers(desk: Desk) -> None:
    workers = [RemoteRates(Straight(desk)) for _ in range(2)]
    for number in range(6):
        sent = await workers[number % 2].count(7, NOW + timedelta(seconds=number * 20))
    assert sent == Sent(3, 6)


async def test_what_a_door_counts_arrives_at_its_meter(desk: Desk, meter: Meter) -> None:
    line = FakeLine()
    far = RemoteMeter(line, 0)
    far.turned_away("tls")
    far.login("password", good=False)
    far.message("accepted", 4096, 0.25)
    far.report()
    far.report()  # nothing more
    [seen] = line.told
    told = messages.read(messages.octets(seen))
    assert isinstance(told, messages.Seen)
    desk.note(told)
    assert meter.seen == [("tls",), ("password", False), ("accepted", 4096, 0.25)]


async def test_a_meter_that_nobody_empties_reports_by_itself() -> None:
    line = FakeLine()
    far = RemoteMeter(line, 0)
    for _ in range(1200):
        far.turned_away("commands")
    assert len(line.told) == 2


@pytest.mark.parametrize(
    ("door", "event"),
    [(1, ["turned_away", "tls"]), (-1, ["turned_away", "tls"]), (0, ["close"]), (0, ["login", 1])],
)
async def test_what_no_door_sees_is_no_message(desk: Desk, door: int, event: list[object]) -> None:
    with pytest.raises(messages.BadMessage):
        desk.note(messages.Seen(door, [event]))


async def test_many_commits_wake_the_daemon_once_and_the_last_is_not_forgotten() -> None:
    line = FakeLine()
    waker = Waker(lambda: line.tell(messages.Committed()))
    for _ in range(100):
        waker.wake()
    assert len(line.told) == 1
    await asyncio.sleep(0.1)
    assert len(line.told) == 2
    await asyncio.sleep(0.1)
    assert len(line.told) == 2
    waker.wake()
    assert len(line.told) == 3
