"""`kill -9` at named points: after a restart each 250 is one document, and none is there twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from gateway.store.fault import COMMITS, POINTS
from tests.crash import workload
from tests.crash.promises import broken
from tests.crash.stages import Stages, in_order
from tests.crash.workload import Clients, Told
from tests.databases import SQLITE
from tests.office import Office

# A backup's own are tried where backups are, an act's and a mailbox's where people act and file;
# a letter about a mailbox is no document.
_ELSEWHERE = ("act", "mailbox", "fullness")
_OURS = [one for one in POINTS if not one.startswith(("backup-", *(f"{e}." for e in _ELSEWHERE)))]
_KINDS = [kind for kind in COMMITS if kind not in _ELSEWHERE]
_ABOUT_COMMITS = [f"{kind}.{when}-commit" for kind in _KINDS for when in ("before", "after")]
# A quick machine sends more in a minute than one account may.
_UNHURRIED = {"[policy]": '[policy]\ndisabled_checks = ["rate"]'}
# Small portions, so that one that fails says which few it was.
_PORTIONS = 4


def _run(office: Office, points: list[str]) -> None:
    stages = Stages(office)
    for point in in_order(points):
        stages.die_at(point)
        assert broken(office.config, stages.told, 1) == [], f"killed at {point}"
    stages.finish()
    assert broken(office.config, stages.told, 1, finished=True) == []
    office.run("fsck")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("portion", range(_PORTIONS))
def test_a_kill_at_each_point_keeps_every_promise_and_makes_no_other(
    portion: int, database_kind: str, make_office: Callable[..., Office]
) -> None:
    # PostgreSQL differs only in its commits; the soak tries all of them on both.
    points = _OURS if database_kind == SQLITE else _ABOUT_COMMITS[::5]
    _run(make_office(changes=_UNHURRIED), points[portion::_PORTIONS])


@pytest.mark.soak
def test_a_kill_at_each_point_on_both_databases(make_office: Callable[..., Office]) -> None:
    _run(make_office(changes=_UNHURRIED), _OURS)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_kills_under_load_lose_nothing_and_do_nothing_twice(
    seed: int, make_office: Callable[..., Office]
) -> None:
    """Clients send on while the daemon is killed and started again and again."""
    office, chance = make_office(), random.Random(seed)
    some = workload.letters_of_all_kinds(400, seed)
    told = {letter.key: Told(letter, 0) for letter in some}
    ended = threading.Event()

    def send_on() -> None:
        while not ended.is_set():
            open_ones = [one.letter for one in told.values() if not one.replied]
            if not open_ones:
                return
            clients = Clients(office)
            clients.send(chance.sample(open_ones, min(30, len(open_ones))))
            _take(told, clients)

    sending = threading.Thread(target=send_on)
    sending.start()
    kills = 0
    try:
        while sending.is_alive() or kills < 100:
            office.start()
            time.sleep(chance.uniform(0, 1.5))
            office.kill()
            kills += 1
            if kills % 20 == 0:
                assert broken(office.config, list(told.values()), 1) == []
            if kills > 400:
                break
    finally:
        ended.set()
        sending.join()
    office.start()
    clients = Clients(office)
    clients.send(some)
    _take(told, clients)
    for one in told.values():
        if one.document:
            office.settled(one.document, seconds=120)
    office.stop()
    assert broken(office.config, list(told.values()), 1, finished=True) == []
    office.run("fsck")


def _take(told: dict[str, Told], clients: Clients) -> None:
    for key, replies in clients.replies.items():
        for code, text in replies:
            if code not in (250, 550):
                continue
            one, document = told[key], text.split()[1] if code == 250 else ""
            if one.replied:
                assert (one.code, one.document) == (code, document), (
                    "a resend was answered otherwise"
                )
            one.replied, one.code, one.document = 1, code, document
