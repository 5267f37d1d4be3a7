"""Continuous copy by PostgreSQL's own streaming, as docs/operation.md describes it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import databases, letters, office, postgres


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Another machine's disk, which belongs to the server's user."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    give(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def give(folder: Path) -> None:
    """To the server's user, since no server runs as root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)


def as_server() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def program(cluster: postgres.Cluster, name: str, *words: object) -> list[str]:
    return [
        str(postgres.programs() / name), "-h", str(cluster.folder), "-U", postgres.OWNER,
        "--no-password", *map(str, words),
    ]  # fmt: skip


def test_a_synchronous_stream_has_every_document_that_was_acknowledged(
    own_postgres: Callable[..., postgres.Cluster],
    office_template: Path,
    elsewhere: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cluster = own_postgres(durable=True, wal_level="replica", max_wal_senders=4)
    name = cluster.create()
    source = f"sqlite:///{office_template / 'state' / 'yizhan.db'}"
    databases.transfer(source, cluster.url(name))
    base, wal = elsewhere / "base", elsewhere / "wal"
    wal.mkdir()
    give(elsewhere)
    stream = program(cluster, "pg_receivewal", "--directory", wal, "--slot=yizhan")
    subprocess.run([*stream, "--create-slot"], check=True, cwd=elsewhere, **as_server())
    with tempfile.TemporaryDirectory(prefix="yz") as place:
        here = office.copy_office(office_template, Path(place) / "o", database=cluster.url(name))
        with subprocess.Popen(
            [*stream, "--synchronous"], cwd=elsewhere, stderr=subprocess.PIPE, **as_server()
        ) as receiver:
            with cluster.connect("postgres") as connection:
                deadline = time.monotonic() + 20
                query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
                while connection.execute(query).fetchone() != (1,):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                # After the stream has begun, or the log in between would be nowhere.
                subprocess.run(
                    program(cluster, "pg_basebackup", "--pgdata", base, "--checkpoint=fast",
                            "--wal-method=none"),
                    check=True, capture_output=True, cwd=elsewhere, **as_server(),
                )  # fmt: skip
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            here.start()
            sent = []
            for number in range(5):
                octets = letters.plain("office@heping.test", "water@heping.test", f"第{number}号")
                sent.append(here.accept("office", octets, "water"))
            here.kill()
            cluster.stop(signal.SIGKILL)
            receiver.terminate()
            receiver.wait(20)
    data = cluster.folder / "data"
    shutil.rmtree(data)  # the server is gone
    shutil.copytree(base, data)
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write("synchronous_standby_names = ''\n")
        file.write(f"restore_command = 'cp {wal}/%f %p || cp {wal}/%f.partial %p'\n")
    (data / "recovery.signal").touch()
    give(data)
    data.chmod(0o700)
    (cluster.folder / "postmaster.pid").unlink(missing_ok=True)
    cluster.start()
    with cluster.connect(name) as connection:
        found = connection.execute("SELECT id FROM documents ORDER BY id").fetchall()
    assert [row[0] for row in found] == sent
