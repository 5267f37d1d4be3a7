"""Hundreds of clients that idle: each is told at once, and none of them costs much."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests import letters
from tests.imap.test_doors import Client, _idle, _resident
from tests.office import Office

pytestmark = pytest.mark.one_database("idle clients ask for a row now and then")

CROWD = 500


@pytest.mark.soak
def test_five_hundred_idle_clients_are_all_told(make_office: Callable[..., Office]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    limits = "[mailboxes]\nconnections_per_address = 1000\n\n[tls]"
    office = make_office(changes={"[tls]": limits})
    try:
        with office.running(), ExitStack() as stack:
            assert office.process is not None
            first = stack.enter_context(Client(office, "water"))
            first.ok("SELECT INBOX")
            before = _resident(office.process.pid)
            crowd = [stack.enter_context(Client(office, "water")) for _ in range(CROWD)]
            for client in crowd:
                client.ok("SELECT INBOX")
                _idle(client)
            each = (_resident(office.process.pid) - before) / CROWD
            assert each < 250_000, f"{each / 1e3:.0f} kB for each"
            for count in (1, 2):
                office.accept("office", letters.plain("office", "water", f"第{count}号"), "water")
                for client in crowd:
                    while not (line := client.line()).endswith(b" EXISTS"):
                        assert line.endswith(b" RECENT"), line
                    assert line == b"* %d EXISTS" % count
            first.ok("NOOP")
            first.ok("STORE 1 +FLAGS (\\Deleted)")
            first.ok("EXPUNGE")
            for client in crowd:
                while not (line := client.line()).endswith(b" EXPUNGE"):
                    assert line.endswith(b" RECENT") or b" FETCH (" in line, line
                client.send(b"DONE\r\n")
                assert client.until("i")[-1].startswith(b"i OK")
        assert "Traceback" not in office.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
