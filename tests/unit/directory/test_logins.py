"""Wrong passwords cost the guesser, and nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.config import Listener, Submission
from gateway.directory import guesses, passwords
from gateway.directory.edit import change_account, set_password, unlock_account
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator, LoginFailed
from gateway.domain.clock import FakeClock
from gateway.store.database import Database

from .conftest import DOMAIN, NOW, write

GOOD = "correct horse"
HERE, THERE = "10.8.1.5", "10.8.2.6"
FINGERPRINT = "cd" * 32


class SlowedClock(FakeClock):
    """Remembers how long it was slept on, and does not move by itself."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> SlowedClock:
    return SlowedClock()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts the real hashings."""
    seen: list[str] = []

    def counted(password_hash: str, password: str) -> bool:
        seen.append(password)
        return passwords.verify(password_hash, password)

    monkeypatch.setattr("gateway.directory.logins.verify", counted)
    return seen


@pytest.fixture
def gate(office: Database, clock: SlowedClock) -> Iterator[Authenticator]:
    write(office, set_password, "water", passwords.hash_password(GOOD))
    settings = Submission(listeners=[Listener(port=0)], lock_after=3, lock_seconds=900)
    with ThreadPoolExecutor(2) as pool:
        yield Authenticator(LiveDirectory(office, DOMAIN), settings, clock, pool)


async def fails(gate: Authenticator, login: str, password: str, ip: str = HERE) -> LoginFailed:
    with pytest.raises(LoginFailed) as caught:
        await gate.check_password(login, password, ip)
    return caught.value


async def lock(gate: Authenticator, login: str = "water", ip: str = HERE) -> None:
    for _ in range(3):
        assert (await fails(gate, login, "wrong", ip)).reply.code == 535


async def test_the_right_password_gets_in_by_login_or_address(gate: Authenticator) -> None:
    for login in ("water", "WATER", f"water@{DOMAIN}"):
        assert (await gate.check_password(login, GOOD, HERE)).login == "water"


async def test_wrong_passwords_lock_the_pair_before_anything_is_hashed(
    gate: Authenticator, hashed: list[str], clock: SlowedClock
) -> None:
    await lock(gate)
    assert (len(hashed), gate.locked) == (3, 1)
    failure = await fails(gate, "water", GOOD)
    assert (failure.reply.code, failure.reply.enhanced) == (454, "4.7.0")
    assert "15 min" in failure.reply.text
    assert len(hashed) == 3
    clock.advance(901)
    assert (await gate.check_password("water", GOOD, HERE)).login == "water"


async def test_a_stranger_cannot_lock_a_unit_out(gate: Authenticator, clock: SlowedClock) -> None:
    for host in range(20):
        await lock(gate, ip=f"10.9.9.{host}")
    clock.slept.clear()
    assert (await gate.check_password("water", GOOD, HERE)).login == "water"
    assert clock.slept == []


async def test_the_answer_to_a_wrong_password_comes_later_each_time(
    gate: Authenticator, clock: SlowedClock
) -> None:
    for host in range(8):
        await fails(gate, "water", "wrong", f"10.9.9.{host}")
    assert clock.slept == [0.5, 1, 2, 4, 8, 16, 20, 20]
    clock.slept.clear()
    clock.advance(901)
    await fails(gate, "water", "wrong")
    assert clock.slept == [0.5]


async def test_an_unknown_login_looks_like_a_known_one(
    gate: Authenticator, hashed: list[str], clock: SlowedClock
) -> None:
    for login in ("water", "nobody", "x" * 500):
        hashed.clear()
        clock.slept.clear()
        replies = [(await fails(gate, login, "wrong")).reply for _ in range(4)]
        assert [reply.code for reply in replies] == [535, 535, 535, 454]
        assert (len(hashed), clock.slept) == (3, [0.5, 1, 2])


async def test_guesses_that_come_all_at_once_are_not_all_hashed(
    gate: Authenticator, hashed: list[str]
) -> None:
    results = await asyncio.gather(
        *(gate.check_password("water", f"guess {n}", HERE) for n in range(20)),
        return_exceptions=True,
    )
    assert len(hashed) == 3
    assert sorted(r.reply.code for r in results if isinstance(r, LoginFailed)) == [
        *[454] * 17,
        *[535] * 3,
    ]


async def test_whoever_hangs_up_during_the_hash_has_guessed_all_the_same(
    gate: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, finish = threading.Semaphore(0), threading.Event()

    def slow(_hash: str, _password: str) -> bool:
        started.release()
        return finish.wait(10) and False

    monkeypatch.setattr("gateway.directory.logins.verify", slow)
    for _ in range(2):
        task = asyncio.create_task(gate.check_password("water", "wrong", HERE))
        await asyncio.to_thread(started.acquire)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finish.set()
    assert (await fails(gate, "water", "wrong")).reply.code == 535
    assert (await fails(gate, "water", GOOD)).reply.code == 454


async def test_a_good_login_is_hashed_once_in_ten_minutes(
    gate: Authenticator, hashed: list[str], clock: SlowedClock
) -> None:
    for _ in range(5):
        await gate.check_password("water", GOOD, HERE)
    assert len(hashed) == 1
    clock.advance(601)
    await gate.check_password("water", GOOD, HERE)
    assert len(hashed) == 2
    assert gate.counts["remembered"] == 4


async def test_a_new_password_counts_at_once_and_the_old_one_no_more(
    gate: Authenticator, office: Database
) -> None:
    await gate.check_password("water", GOOD, HERE)
    write(office, set_password, "water", passwords.hash_password("battery staple"))
    await fails(gate, "water", GOOD)
    await gate.check_password("water", "battery staple", HERE)


async def test_a_closed_account_is_out_at_once(gate: Authenticator, office: Database) -> None:
    await gate.check_password("water", GOOD, HERE)
    write(office, change_account, "water", active=False)
    assert (await fails(gate, "water", GOOD)).reply.text == "Login or password is wrong"


async def test_an_account_without_password_opens_to_none(
    gate: Authenticator, office: Database
) -> None:
    write(office, set_password, "water", "")
    for password in ("", GOOD):
        assert (await fails(gate, "water", password)).reply.code == 535


async def test_networks_are_told_only_to_those_who_know_the_password(
    gate: Authenticator, office: Database
) -> None:
    write(office, change_account, "water", networks=["10.8.1.0/24"])
    await gate.check_password("water", GOOD, HERE)
    await gate.check_password("water", GOOD, f"::ffff:{HERE}")
    assert "network" in (await fails(gate, "water", GOOD, THERE)).reply.text
    assert "network" not in (await fails(gate, "water", "wrong", THERE)).reply.text
    assert "network" in (await fails(gate, "water", GOOD, "not an address")).reply.text


async def test_the_operator_unlocks_a_locked_pair_through_the_database(
    gate: Authenticator, office: Database, clock: SlowedClock
) -> None:
    await lock(gate)
    clock.advance(60)
    office.write_now(
        lambda conn: unlock_account(
            conn, "water", actor="operator", now=NOW + timedelta(seconds=60)
        )
    )
    clock.slept.clear()
    assert (await fails(gate, "water", "wrong")).reply.code == 535
    assert clock.slept == [0.5]
    await gate.check_password("water", GOOD, HERE)
    await lock(gate)
    gate.unlock("water")
    await gate.check_password("water", GOOD, HERE)


async def test_a_certificate_opens_the_account_that_lists_it(
    gate: Authenticator, office: Database
) -> None:
    write(office, change_account, "water", certificates=[FINGERPRINT], networks=["10.8.1.0/24"])
    assert (await gate.check_certificate(FINGERPRINT, HERE)).login == "water"
    for fingerprint, ip in (("ef" * 32, HERE), (FINGERPRINT, THERE)):
        with pytest.raises(LoginFailed):
            await gate.check_certificate(fingerprint, ip)
    write(office, change_account, "water", active=False)
    with pytest.raises(LoginFailed):
        await gate.check_certificate(FINGERPRINT, HERE)


async def test_passwords_that_nobody_types_are_wrong_not_an_error(gate: Authenticator) -> None:
    for password in (GOOD + "x" * 100_000, "\udcff\udcfe", "密码"):
        assert (await fails(gate, "water", password, THERE)).reply.code == 535


def test_guesses_are_counted_by_the_network_that_one_host_can_use() -> None:
    assert guesses.place("::ffff:10.8.1.5") == guesses.place("10.8.1.5") == "10.8.1.5"
    assert guesses.place("2001:db8::1") == guesses.place("2001:db8::ffff:2") == "2001:db8::/64"
    assert guesses.place("2001:db8:0:1::1") != guesses.place("2001:db8::1")


def test_the_tables_of_guesses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "_LIMIT", 100)
    table = guesses.Guesses(Submission(listeners=[Listener(port=0)]))
    for n in range(1000):
        table.wrong(f"login{n}", HERE, NOW, None)
        table.wrong("water", f"10.{n // 256}.0.{n % 256}", NOW, None)
    assert len(table._pairs) == len(table._names) == len(table._places) == 100


@pytest.mark.one_database("a matter of threads")
async def test_guessers_however_many_leave_a_thread_to_the_others(
    gate: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two threads hash. Guesses from many addresses would keep both busy for seconds.
    places = [f"10.9.{n}.1" for n in range(6)]
    await asyncio.gather(*(fails(gate, "office", "wrong", at) for at in places))
    started, finish = threading.Semaphore(0), threading.Event()
    seen: list[str] = []

    def slow(password_hash: str, password: str) -> bool:
        seen.append(password)
        started.release()
        return (password != "wrong" or finish.wait(20)) and passwords.verify(
            password_hash, password
        )

    monkeypatch.setattr("gateway.directory.logins.verify", slow)
    guessing = [asyncio.create_task(fails(gate, "office", "wrong", at)) for at in places]
    await asyncio.to_thread(started.acquire)
    assert (await gate.check_password("water", GOOD, HERE)).login == "water"
    assert seen == ["wrong", GOOD]
    assert gate.waiting == len(places)
    finish.set()
    await asyncio.gather(*guessing)
    assert gate.waiting == 0


async def test_what_was_given_as_a_login_is_kept_only_if_it_is_one(gate: Authenticator) -> None:
    # People type their password into the wrong field, and the log has what the error says.
    failure = await fails(gate, GOOD, "water")
    assert (failure.account, failure.cause) == ("", "unknown-login")
    assert GOOD not in str(failure)
    failure = await fails(gate, "WATER", "wrong")
    assert (failure.account, failure.cause) == ("water", "wrong-password")
    await lock(gate, ip=THERE)
    failure = await fails(gate, "water", GOOD, THERE)
    assert (failure.account, failure.cause) == ("water", "locked")
