"""Two daemons on one PostgreSQL work side by side, nothing is done twice, and one may die."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.crash.workload import letters_of_all_kinds
from tests.databases import POSTGRESQL
from tests.nodes import Load, faults, second_node, settled
from tests.office import Office
from tests.postgres import Cluster

pytestmark = pytest.mark.one_database("SQLite has one daemon", kind=POSTGRESQL)


@pytest.fixture(scope="module")
def nodes(make_module_office: Callable[..., Office]) -> Iterator[list[Office]]:
    """Two running nodes of one office."""
    first = make_module_office()
    second = second_node(first, first.folder.parent / "second")
    with ExitStack() as stack:
        yield [stack.enter_context(node.running()) for node in (first, second)]


def elected(node: Office) -> bool:
    text = httpx.get(node.url("/metrics"), timeout=10).text
    return "\nyizhan_node_elected 1.0" in text


def test_a_node_that_dies_under_load_loses_nothing_and_nothing_is_done_twice(
    nodes: list[Office], postgres: Cluster
) -> None:
    run(nodes, letters=30, kills=1, seed=7)
    # Each verb locks in one order. A deadlock would do no harm, but costs a second each.
    assert "deadlock" not in postgres.log


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nodes_that_die_all_the_time_lose_nothing(nodes: list[Office]) -> None:
    run(nodes, letters=1500, kills=60, seed=random.randrange(10_000))


def run(nodes: list[Office], *, letters: int, kills: int, seed: int) -> None:
    """Load on both while one after the other is killed and started again."""
    chance = random.Random(seed)
    load = Load(nodes)
    some = letters_of_all_kinds(letters, seed)
    clients = threading.Thread(target=load.send, args=(some,), kwargs={"clients": 6})
    clients.start()
    for number in range(kills):
        begun = letters * (number + 0.3) / (kills + 0.3)
        while clients.is_alive() and len(load.told) < begun:
            time.sleep(0.02)
        victim = chance.choice(nodes)
        victim.kill()
        time.sleep(chance.uniform(0, 1))
        victim.start()
    clients.join()
    assert len(load.told) == letters, f"seed {seed}"
    settled(nodes[0])
    assert faults(nodes[0], load) == [], f"seed {seed}"


def test_exactly_one_is_elected_and_the_other_takes_over_within_seconds(
    nodes: list[Office],
) -> None:
    deadline = time.monotonic() + 10
    while [elected(node) for node in nodes].count(True) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    chief, other = sorted(nodes, key=elected, reverse=True)
    chief.kill()
    begun = time.monotonic()
    while not elected(other):
        assert time.monotonic() < begun + 10
        time.sleep(0.1)
    # And it seals: a receipt needs a checkpoint.
    octets = letters_of_all_kinds(1, 1)[0].octets
    document = other.accept("office", octets, "finance")
    assert other.settled(document)["evidence"]
    chief.start()


def test_what_one_node_takes_is_receipted_at_once_though_another_seals(
    nodes: list[Office],
) -> None:
    """By news, not by looking: two nodes that look once a second would need one or two."""
    for number, node in enumerate(nodes * 3):
        octets = letters_of_all_kinds(1, number)[0].octets
        begun = time.monotonic()
        document = node.accept("office", octets, "finance")
        node.settled(document)
        seconds = time.monotonic() - begun
        if seconds < 0.9:
            return
    raise AssertionError(f"no receipt within a second, the last after {seconds:.1f}")


def test_a_change_of_the_directory_counts_on_both_nodes_at_once(nodes: list[Office]) -> None:
    first, second = nodes
    first.run("account", "change", "water", "--inactive")
    for node in nodes:
        with pytest.raises(Exception, match="535"), node.client("water"):
            pass
    second.run("account", "change", "water", "--active")
    for node in nodes:
        with node.client("water") as client:
            assert client.noop()[0] == 250


def test_a_third_daemon_on_one_of_their_state_directories_does_not_start(
    nodes: list[Office],
) -> None:
    again = Office(nodes[1].folder, 1, 1, 1)
    done = again.run("serve", check=False)
    assert done.returncode == 78
    assert "another post office runs here already" in done.stderr
