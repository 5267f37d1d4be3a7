"""An office on PostgreSQL: made by `yizhan init`, told of what is wrong, and alive again when the
server has been away.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests import databases as kinds
from tests import office as offices
from tests.crash.workload import letters_of_all_kinds
from tests.nodes import Load, faults, settled
from tests.office import ROOT, Office
from tests.postgres import KEYED, Cluster

PASSWORD = "ma27Kuehe"
pytestmark = pytest.mark.one_database("PostgreSQL's own", kind=kinds.POSTGRESQL)


def yizhan(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gateway", *words],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because gpg's sockets need a short path."""
    path = Path(tempfile.mkdtemp(prefix="yz"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def init(folder: Path, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return yizhan(
        "init", "--folder", str(folder / "etc"), "--state", str(folder / "state"), "--yes",
        "--domain", "heping.test", "--name", "和平区", "--unit-name", "区政府办",
        "--database", url, **environment,
    )  # fmt: skip


@pytest.fixture
def keyed(postgres: Cluster, databases: kinds.Databases) -> Iterator[str]:
    """The URL of an empty database of a role with a password."""
    url = databases.empty()
    name = url.rpartition("@/")[2].partition("?")[0]
    with postgres.connect("postgres") as connection:
        connection.execute(f"CREATE ROLE {KEYED} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO {KEYED}')
    yield url.replace("yizhan@", f"{KEYED}@")
    databases.close()
    with postgres.connect("postgres") as connection:
        connection.execute(f"DROP ROLE {KEYED}")


def test_an_office_is_made_on_postgresql_and_its_password_stands_nowhere_else(
    folder: Path, keyed: str
) -> None:
    done = init(folder, keyed.replace(f"{KEYED}@", f"{KEYED}:{PASSWORD}@"))
    assert done.returncode == 0, done.stderr
    config = folder / "etc" / "yizhan.toml"
    assert config.stat().st_mode & 0o077 == 0
    assert not (folder / "state" / "yizhan.db").exists()
    said = [done.stdout, done.stderr]
    text = config.read_text(encoding="utf-8")
    for port, free in zip((587, 465, 2580, 443), offices.free_ports(4), strict=True):
        text = text.replace(f"port = {port}\n", f"port = {free}\n")
    config.write_text(text, encoding="utf-8")

    listed = yizhan("unit", "list", "--json", "--config", str(config))
    assert '"office"' in listed.stdout, listed.stderr
    checked = yizhan("check", "--config", str(config))
    assert "nothing is wrong" in checked.stdout, checked.stderr
    config.write_text(text.replace(PASSWORD, f"{PASSWORD}x"), encoding="utf-8")
    wrong = yizhan("check", "--config", str(config))
    assert "password authentication failed" in wrong.stderr
    config.write_text(text.replace("+psycopg:", "+psycopg2:"), encoding="utf-8")
    unknown = yizhan("check", "--config", str(config))
    assert "state.database: must be empty" in unknown.stderr
    said += [done.stdout for done in (checked, wrong, unknown)]
    said += [done.stderr for done in (checked, wrong, unknown)]
    assert not [text for text in said if PASSWORD in text]

    again = init(folder / "second", keyed, PGPASSWORD=PASSWORD)
    assert again.returncode == 1
    assert "the database has tables already" in again.stderr
    assert not (folder / "second").exists()


def test_the_password_may_lie_in_a_file_of_its_own(folder: Path, keyed: str) -> None:
    file = folder / "pgpass"
    file.write_text(f"*:*:*:{KEYED}:{PASSWORD}\n")
    file.chmod(0o600)
    done = init(folder, f"{keyed}&passfile={file}")
    assert done.returncode == 0, done.stderr
    config = folder / "etc" / "yizhan.toml"
    assert PASSWORD not in config.read_text(encoding="utf-8")
    assert yizhan("unit", "list", "--config", str(config)).returncode == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql+psycopg://yizhan:{0}@127.0.0.1:1/yizhan", "refused"),
        ("postgresql+psycopg://yizhan:{0}@127.0.0.1:port/yizhan", "not a database URL"),
        ("postgresql+psycopg://yizhan:{0}@/yizhan?sslmod=require", "invalid connection option"),
        ("mysql://yizhan:{0}@127.0.0.1/yizhan", "must be a PostgreSQL URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_in_one_sentence_and_nothing_is_made(
    url: str, says: str, folder: Path
) -> None:
    done = init(folder, url.format(PASSWORD))
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("--database: ")
    assert says in sentence
    assert PASSWORD not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_founding_that_fails_leaves_the_database_empty(
    folder: Path, databases: kinds.Databases
) -> None:
    url = databases.empty()
    failed = init(folder, url, PATH="/var/empty")
    assert "gpg" in failed.stderr
    assert init(folder, url).returncode == 0


def test_a_daemon_waits_for_its_server_and_then_says_what_is_wrong(
    make_office: Callable[..., Office],
) -> None:
    office = make_office()
    text = office.config.read_text(encoding="utf-8").replace("@/", "@/not-")
    text = text.replace("[state]\n", "[state]\nwait_seconds = 1\n")
    office.config.write_text(text, encoding="utf-8")
    begun = time.monotonic()
    done = office.run("serve", check=False)
    assert time.monotonic() - begun > 1
    assert done.returncode == 1  # so that systemd starts it again
    assert "does not exist" in done.stderr.splitlines()[-1]
    assert done.stdout.count("waiting-for") + done.stderr.count("waiting-for") == 1


@pytest.fixture
def own_office(
    own_postgres: Callable[..., Cluster], office_template: Path, folder: Path
) -> tuple[Cluster, Office]:
    """An office on a server of its own, with fsync."""
    cluster = own_postgres(durable=True)
    source = f"sqlite:///{office_template / 'state' / 'yizhan.db'}"
    url = kinds.PostgresDatabases(cluster, set()).copy(
        "office", lambda target: kinds.transfer(source, target)
    )
    return cluster, offices.copy_office(office_template, folder / "o", database=url)


def test_a_server_that_is_restarted_and_crashes_under_load_costs_no_document(
    own_office: tuple[Cluster, Office],
) -> None:
    cluster, office = own_office
    load = Load([office])
    some = letters_of_all_kinds(40, 5)
    with office.running():
        clients = threading.Thread(target=load.send, args=(some,), kwargs={"clients": 4})
        clients.start()
        for number, how in enumerate((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)):
            while clients.is_alive() and len(load.told) < 10 * number + 5:
                time.sleep(0.02)
            cluster.stop(how)
            health = httpx.get(office.url("/health"), timeout=20)
            assert health.status_code == 503
            assert "no mail is taken: the database" in health.text
            cluster.start()
        clients.join()
        assert len(load.told) == len(some)
        assert {one.code for one in load.told.values()} == {250, 550}
        deadline = time.monotonic() + 20
        while httpx.get(office.url("/health"), timeout=20).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        settled(office)
        assert faults(office, load) == []
