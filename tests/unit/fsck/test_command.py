"""`yizhan fsck` on a real office: beside the daemon under load, its statuses, its output."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import progress
from gateway.cli.fsck import app
from gateway.cli.office import opened
from gateway.errors import CommandError
from gateway.fsck import crew
from gateway.fsck.check import check
from gateway.fsck.crew import Alone, Processes
from gateway.fsck.fault import Report
from gateway.fsck.scope import Scope
from gateway.store.drivers import open_blobs
from gateway.store.facts import Fact, recall
from tests.letters import plain
from tests.office import Office

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


def examine(office: Office, processes: int = 1, **scope: object) -> Report:
    with opened(office.config) as here:
        domain, database = here.config.office.domain, here.database
        alone = Alone(database, open_blobs(here.config), domain)
        crew = alone if processes == 1 else Processes(here.config, processes)
        return check(database, crew, Scope(**scope))  # type: ignore[arg-type]


def fsck(office: Office, *words: str) -> tuple[int, dict[str, Any]]:
    """Its status and what it prints, run in this process: a process costs half a second."""
    arguments = ["--json", *words, "--config", str(office.config)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return done.exit_code, json.loads(done.stdout)


def trouble(office: Office) -> dict[str, str]:
    probes = httpx.get(office.url("/health"), timeout=10).json()["probes"]
    return {name: word for name, word in probes.items() if word != "ok"}


def test_many_documents_are_checked_by_all_processors_and_few_by_one_process(
    make_office: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    with opened(make_office().config) as here:
        assert isinstance(crew.muster(here.config, here.database, Scope()), Alone)
        monkeypatch.setattr(crew, "_FEW", -1)
        assert isinstance(crew.muster(here.config, here.database, Scope()), Processes)
        assert isinstance(crew.muster(here.config, here.database, Scope(), 1), Alone)


def test_who_waits_is_told_how_far_it_is(
    make_office: Callable[..., Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", -1.0)
    done = CliRunner().invoke(app, ["--config", str(make_office().config)], catch_exceptions=False)
    assert "0 of 0 documents, 0 a second, 0:00 to go, no fault\n" in done.stderr


def test_beside_a_daemon_under_load_nothing_is_wrong(
    make_office: Callable[..., Office],
) -> None:
    stop = threading.Event()
    failed: list[BaseException] = []

    def send(login: str, to: tuple[str, ...]) -> None:
        try:
            with office.client(login) as client:
                number = 0
                while not stop.is_set():
                    number += 1
                    octets = plain(login, " ".join(to), f"{NOTICE} {login} {number}")
                    code, text = office.offer(client, login, octets, *to)
                    assert code == 250, text
                    if number % 5 == 0:
                        code, text = office.offer(client, login, octets, *to)  # a resend
                        assert code == 250, text
        except BaseException as error:  # noqa: BLE001  # raised below, in the test's own thread
            failed.append(error)

    with make_office().running() as office:
        senders = [
            threading.Thread(target=send, args=("water", ("education", "finance"))),
            threading.Thread(target=send, args=("finance", ("office",))),
            threading.Thread(target=send, args=("office", ("all",))),
        ]
        for one in senders:
            one.start()
        try:
            reports = [examine(office, views=True) for _ in range(2)]
            reports.append(examine(office, processes=2))
        finally:
            stop.set()
            for one in senders:
                one.join()
        assert not failed, failed
        reports.append(examine(office))
    reports.append(examine(office))
    for report in reports:
        assert [fault.sentence for fault in report.faults] == []
    assert reports[-1].counts["documents"] > reports[0].counts["documents"]


@pytest.mark.one_database("what is told of faults is the same")
def test_faults_are_told_repaired_and_remembered(make_office: Callable[..., Office]) -> None:
    with make_office().running() as office:
        taken = office.accept("office", plain("office", "water", NOTICE), "water")
        office.settled(taken)
        assert fsck(office)[0] == 0
        office.sql("UPDATE mailbox_folders SET uidnext = 1 WHERE uidnext > 1")
        status, told = fsck(office)
        assert status == 1
        assert not told["clean"]
        assert {fault["code"] for fault in told["faults"]} == {"folder-uidnext"}
        assert all(fault["repairable"] and fault["subject"] for fault in told["faults"])
        shown = office.run("fsck", check=False)
        assert shown.returncode == 1
        assert "would get a UID that is in use; run `yizhan fsck --repair`." in shown.stdout
        status, told = fsck(office, "--repair")
        assert status == 3
        assert len(told["repaired"]) == len(told["faults"])
        assert fsck(office)[0] == 0
        assert "fsck" not in trouble(office)
        [path] = (office.folder / "state" / "blobs").rglob(taken)
        path.unlink()
        status, told = fsck(office, "--repair")
        assert status == 1
        assert [fault["code"] for fault in told["faults"]] == ["blob-missing"]
        assert told["repaired"] == []
        assert "found 1 fault that nobody has repaired" in trouble(office)["fsck"]
        assert fsck(office, "--quick", "--document", taken)[0] == 1
        assert fsck(office, "--only", "evidence", "--only", "log")[0] == 0
        with pytest.raises(CommandError, match="there is no document"):
            fsck(office, "--document", taken[::-1])
        tomorrow = f"{datetime.now(UTC):%Y}-12-31"
        assert fsck(office, "--since", tomorrow)[0] == 0
    with opened(office.config) as here:
        known = here.database.read_now(lambda c: recall(c, Fact.FSCK))
    assert known is not None
    assert known.value["codes"] == {"blob-missing": 1}
    log = office.run("directory", "log").stdout
    assert "repair" in log


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "everything"], "--only is one of database, directory,"),
        (["--since", "yesterday"], "--since 'yesterday' is neither an id nor a date"),
        (["--since", "2026-01-01", "--document", "a"], "give one"),
        (["--remove-orphans"], "--remove-orphans goes with --repair"),
    ],
)
def test_a_wrong_word_is_told(words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        CliRunner().invoke(app, words, catch_exceptions=False)
