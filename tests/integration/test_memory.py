"""The memory promise: clients that all send 25 MB at once cost little over idle.

Measured is the proportional set size of the daemon and all its children every 50 ms, while real
documents come in over TLS, about half of them sealed. The longer run is `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.memory import PROMISED, Outcome, forms, make_mails, measure, table
from tests.office import POLICY, Office

pytestmark = pytest.mark.one_database("the memory of the daemon; the database has no part in it")

MAIL = 25_000_000


def _send(office: Office, clients: int, encrypted: int) -> Outcome:
    chosen = forms(clients, (clients - encrypted) // 2, encrypted)
    with TemporaryDirectory() as folder:  # not pytest's, which would keep 1 GB for three runs
        outcome = measure(office, make_mails(office, Path(folder), chosen, MAIL))
    assert outcome.accepted == clients, table(outcome)
    return outcome


@pytest.mark.timeout(600)
def test_eight_clients_with_25_mb_each_keep_the_memory_promise_and_give_it_back(
    make_office: Callable[..., Office],
) -> None:
    with make_office(changes={POLICY: ""}).running() as office:
        outcome = _send(office, 8, encrypted=1)
    assert outcome.cost <= PROMISED, table(outcome)
    for name, octets in outcome.after.by_process.items():
        if "child" in name:
            # Less than half a mail: nothing of one stays with the process that examined it.
            assert octets - outcome.idle.by_process[name] < MAIL / 2, table(outcome)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_forty_clients_with_25_mb_each_keep_the_memory_promise_three_times(
    make_office: Callable[..., Office],
) -> None:
    with make_office(changes={POLICY: ""}).running() as office:
        for _ in range(3):
            outcome = _send(office, 40, encrypted=4)
            assert outcome.cost <= PROMISED, table(outcome)
