"""A post office that was lost comes back from its backup: all of it, once, and looked at first."""

from __future__ import annotations

import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from pysequoia import Tsk
from typer.testing import CliRunner

from gateway.backup.inspect import inspect
from gateway.backup.manifest import read
from gateway.backup.shelf import Shelf
from gateway.cli import backup as backup_command
from gateway.cli import restore as restore_command
from gateway.cli.office import opened
from gateway.directory import changes
from gateway.errors import CommandError, YizhanError
from gateway.exchange.mailroom import open_mailboxes
from gateway.fsck import crew
from gateway.store.drivers import open_blobs
from tests import letters, postbox
from tests.office import ROOT, Office, free_ports, renumbered

RECOVERY = '\n[recovery]\ncertificate = "recovery.asc"\n'


@pytest.fixture
def disk() -> Iterator[Path]:
    """Another disk, with a short path for gpg."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def give_recovery_key(office: Office, safe: Path) -> Path:
    """Name a recovery key in the configuration; its secret half, in the safe."""
    key = Tsk.generate("Recovery <recovery@heping.test>")
    (office.folder / "recovery.asc").write_text(str(key.extract_certificate()))
    with office.config.open("a", encoding="utf-8") as file:
        file.write(RECOVERY)
    secret = safe / "recovery-secret.asc"
    secret.write_bytes(bytes(key))
    return secret


def ask(app: Any, *words: object, status: int = 0) -> dict[str, Any]:
    """What a command says with --json, run in this process."""
    done = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == status, done.output
    return dict(json.loads(done.stdout))


def make(office: Office, folder: Path, *words: str, status: int = 0) -> dict[str, Any]:
    return ask(backup_command.app, "make", folder, "--config", office.config, *words, status=status)


def release(office: Office, *words: str) -> dict[str, Any]:
    return ask(restore_command.app, "release", "--config", office.config, *words)


def verify(folder: Path, status: int = 0) -> dict[str, Any]:
    return ask(backup_command.app, "verify", folder, status=status)


def bring_back(
    backup: Path, to: Path, secret: Path, *words: str, status: int = 0, like: Office | None = None
) -> Office:
    """The office that a restore has made, with ports of its own."""
    told = ask(
        restore_command.app, "from", backup, "--to", to, "--recovery-key", secret, *words,
        status=status,
    )  # fmt: skip
    assert told["config"] == str(to / "yizhan.toml")
    if like is None:
        return Office(to, 0, 0, 0)
    ports = free_ports(len(like.ports))
    office = Office(to, *ports)
    text = renumbered(office.config.read_text(encoding="utf-8"), like.ports, ports)
    office.config.write_text(text, encoding="utf-8")
    shutil.copy(like.folder / "accounts.toml", to)
    return office


def yizhan(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip


def notice(number: int, to: str = "water") -> bytes:
    """One whose reminder goes out at any hour of the day."""
    subject = f"【特急】关于第{number}次会议的通知"
    return letters.plain("office@heping.test", f"{to}@heping.test", subject)


def folders(office: Office) -> dict[tuple[str, str], int]:
    """UIDVALIDITY of every folder."""
    with opened(office.config) as here, here.database.engine.connect() as connection:
        store = open_mailboxes(open_blobs(here.config))
        return {
            (owner, folder.name): folder.uidvalidity
            for owner in store.owners(connection)
            for folder in store.folders(connection, owner)
        }


def health(office: Office) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(office.url("/health"), timeout=10)
    return answer.status_code, answer.json()


def rows(office: Office, *leave_out: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that a backup has, by table, in an order that no database decides."""
    from sqlalchemy import select

    from gateway.backup.rows import kept_tables

    with opened(office.config) as here, here.database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in kept_tables()
            if table.name not in leave_out
        }


CHANGED = (  # by the restore itself
    "mailbox_owners", "mailbox_folders", "store_facts", "evidence_records", "log_entries",
)  # fmt: skip


@pytest.fixture(scope="module")
def settled(make_module_office: Callable[..., Office]) -> Iterator[tuple[Office, Path, list[str]]]:
    """An office with a recovery key and some documents, its daemon stopped; tests do not change it
    but for facts about backups."""
    with tempfile.TemporaryDirectory(prefix="yz") as safe:
        office = make_module_office("settled")
        secret = give_recovery_key(office, Path(safe))
        with office.running():
            sent = [office.accept("office", notice(n), "water") for n in range(4)]
            long = letters.plain("water@heping.test", "office@heping.test", "报告", "x" * 300_000)
            sent.append(office.accept("water", long, "office"))
            for document in sent:
                office.settled(document)
        yield office, secret, sent


def test_the_machine_is_lost_and_the_office_goes_on(
    make_office: Callable[..., Office], disk: Path
) -> None:
    office = make_office()
    secret = give_recovery_key(office, disk)
    backup = disk / "backup"
    accepted: list[str] = []
    with office.running():
        first = [office.accept("office", notice(n), "water") for n in range(3)]
        for document in first:
            office.settled(document)
        ended = threading.Event()

        def load() -> None:
            number = 100
            with office.client("office") as client:
                while not ended.is_set():
                    code, text = office.offer(client, "office", notice(number), "water")
                    assert code == 250, text
                    accepted.append(text.split()[1])
                    number += 1
                    time.sleep(0.02)

        sender = threading.Thread(target=load)
        sender.start()
        try:
            under_load = [make(office, backup) for _ in range(3)]
        finally:
            ended.set()
            sender.join(30)
        assert [one["blobs"] for one in under_load] == [one["documents"] for one in under_load]
        sizes = [one["documents"] for one in under_load]
        assert sizes == sorted(sizes) and sizes[-1] > len(first), "nothing came in meanwhile"
        office.stop()
    # One more, whose receipt and reminder were still to go out when the last backup was made.
    office.start(YIZHAN_FAULT="before-reply")
    with pytest.raises((OSError, smtplib.SMTPException)):  # the daemon dies before it answers
        office.accept("office", notice(999, "education"), "education")
    office.wait_until_dead()
    told = make(office, backup)
    assert told["with_keys"] and told["documents"] == len(first) + len(accepted) + 1
    assert verify(backup)["faults"] == []
    before = folders(office)
    pending = office.sql("SELECT id FROM documents ORDER BY id DESC")[0]
    shutil.rmtree(office.folder / "state")

    back = bring_back(backup, disk / "back", secret, like=office)
    assert set(back.sql("SELECT id FROM documents")) >= {*first, *accepted, pending}
    after = folders(back)
    assert before.keys() == after.keys()
    assert all(after[name] > before[name] for name in before)
    assert back.run("check").returncode == 0
    with back.running():
        status, said = health(back)
        assert (status, said["status"]) == (200, "attention")
        assert "yizhan restore release" in said["probes"]["held"]
        new = back.accept("office", notice(1000), "water")  # the password still holds
        time.sleep(2.5)
        for document in (pending, new):
            assert postbox.receipts(back, "unit:office", document) == [], "it went out while held"
        assert back.messages_to_phones() == []
        shown = release(back)
        assert shown["released"] is False and shown["letters"]["receipt"] >= 2
        assert health(back)[1]["status"] == "attention"
        released = int(time.time() * 1000)
        assert release(back, "--yes")["released"]
        for document in (pending, new):
            back.settled(document)
            assert len(postbox.receipts(back, "unit:office", document)) >= 1
        handed = back.sql("SELECT id FROM reminders WHERE handed_over_at >= ?", released)
        assert len(back.messages_to_phones()) == len(handed) >= 2, "each once"
        assert health(back)[1]["status"] == "ok"
        with pytest.raises(CommandError, match="nothing is held"):
            release(back, "--yes")
        for document in (first[0], pending, new):  # receipts from before and after
            for receipt in postbox.receipts(back, "unit:office", document):
                (back.folder / "receipt.eml").write_bytes(receipt.octets)
                assert b"genuine" in back.here(
                    "receipt", "verify", str(back.folder / "receipt.eml")
                )
    events = back.sql("SELECT event FROM evidence_records WHERE document_id = ?", told["identity"])
    assert sorted(events) == ["StoreReleased", "StoreRestored"]
    assert json.loads(back.run("fsck", "--json").stdout)["faults"] == []
    assert back.sql("SELECT count(*) FROM outbox WHERE kind = 'receipt'") == [0]


def test_a_second_backup_writes_only_what_is_new(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, _, sent = settled
    first = make(office, disk / "b")
    assert first["new_blobs"] == first["documents"] == len(sent)
    before = {p: p.stat().st_ino for p in (disk / "b").rglob("*") if p.is_file()}
    again = make(office, disk / "b")
    assert (again["new_blobs"], again["new_octets"]) == (0, 0)
    assert all(path.stat().st_ino == number for path, number in before.items())
    grown = {p for p in (disk / "b" / "pieces").rglob("*") if p.is_file()} - before.keys()
    assert len(grown) <= 2, "only the facts, in which the first backup stands, and the keys"
    assert not list((disk / "b").rglob("*.tmp"))


@pytest.mark.one_database("which chunks are read again is decided from facts in either")
def test_what_is_final_is_read_again_only_after_a_repair(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, _, _ = settled

    def contents() -> tuple[object, ...]:
        generation = make(office, disk / "b")["generation"]
        return read(Shelf(disk / "b"), generation).tables["mailbox_contents"]

    first = contents()
    make(office, disk / "c")  # another disk, by turns
    office.sql("UPDATE mailbox_contents SET envelope = envelope || ' '")
    try:
        assert contents() == first, "the rows of before were not read again"
        with opened(office.config) as here:
            here.database.write_now(
                lambda c: changes.record(
                    c, "repair", "fsck", "x", before=None, after=None, actor="root",
                    now=datetime.now(UTC),
                )
            )  # fmt: skip
        assert contents() != first, "a repair may have changed any of them"
    finally:
        office.sql("UPDATE mailbox_contents SET envelope = rtrim(envelope)")


@pytest.mark.one_database("files alone")
def test_old_backups_go_and_what_they_alone_had(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, _, _ = settled
    made = [make(office, disk / "b", "--keep", "2")["generation"] for _ in range(4)]
    shelf = Shelf(disk / "b")
    assert shelf.generations() == made[2:]
    assert verify(disk / "b")["generations"] == made[2:]
    needed = {p.sha256 for one in made[2:] for p in read(shelf, one).pieces()}
    there = {p.name for p in (disk / "b" / "pieces").rglob("*") if p.is_file()}
    assert there == needed


@pytest.mark.one_database("files alone")
@pytest.mark.parametrize("point", ["backup-rows", "backup-blobs", "backup-published"])
def test_a_killed_backup_leaves_the_last_one_whole_and_can_be_run_again(
    settled: tuple[Office, Path, list[str]], disk: Path, point: str
) -> None:
    office, secret, _ = settled
    first = make(office, disk / "b")["generation"]
    done = yizhan("backup", disk / "b", "--full", "--config", office.config, YIZHAN_FAULT=point)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = verify(disk / "b")
    assert found["faults"] == [] and first in found["generations"]
    assert len(found["generations"]) == (2 if point == "backup-published" else 1)
    make(office, disk / "b")
    assert verify(disk / "b")["faults"] == []
    bring_back(disk / "b", disk / "r", secret)


@pytest.mark.one_database("files alone")
def test_a_backup_killed_while_it_copies_goes_on_with_what_is_there(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, _, sent = settled
    make(office, disk / "b")
    shelf = Shelf(disk / "b")
    kept = {name: shelf.blob_path(name) for name in sent}
    for generation in shelf.generations():  # as if it had been killed before its manifest
        shelf.generation_path(generation).unlink()
        shelf.generation_path(generation, "seal").unlink()
    half, *others = kept.values()
    half.write_bytes(half.read_bytes()[:100])
    half.with_name(f".{half.name}.tmp").write_bytes(b"garbage")
    numbers = {path: path.stat().st_ino for path in others}
    make(office, disk / "b")
    assert verify(disk / "b")["faults"] == []
    assert {path: path.stat().st_ino for path in others} == numbers
    assert not half.with_name(f".{half.name}.tmp").exists()


@pytest.mark.one_database("files alone")
def test_one_changed_bit_anywhere_is_noticed_and_named(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, secret, _ = settled
    make(office, disk / "b")
    shelf = Shelf(disk / "b")
    files = [path for path in (disk / "b").rglob("*") if path.is_file()]
    assert len(files) > 30
    for number, path in enumerate(files):
        octets = path.read_bytes()
        place = number * 7919 % len(octets)
        changed = bytearray(octets)
        changed[place] ^= 1 << number % 8
        path.write_bytes(changed)
        try:
            faults = inspect(shelf).faults
        except YizhanError as error:
            faults = [error.public]
        assert any(str(path) in fault for fault in faults), f"{path}: octet {place}"
        path.write_bytes(octets)
    assert inspect(shelf).faults == []
    path = next(p for p in files if "pieces" in p.parts)
    octets = path.read_bytes()
    for left in (b"", octets[:-1]):
        path.write_bytes(left) if left else path.unlink()
        with pytest.raises(CommandError, match="nothing was restored"):
            bring_back(disk / "b", disk / "r", secret)
        assert not (disk / "r").exists()
        path.write_bytes(octets)


@pytest.mark.one_database("files alone")
def test_what_is_whole_of_the_documents_comes_back_when_asked_for(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, secret, sent = settled
    make(office, disk / "b")
    shelf = Shelf(disk / "b")
    shelf.blob_path(sent[0]).write_bytes(b"rotten")
    with pytest.raises(CommandError, match="--despite-damage"):
        bring_back(disk / "b", disk / "r", secret)
    back = bring_back(disk / "b", disk / "r", secret, "--despite-damage", status=1)
    blobs = {p.name for p in (back.folder / "state" / "blobs").rglob("*") if p.is_file()}
    assert blobs == {*sent[1:], "identity"}


def test_rows_come_back_as_they_were_into_either_database(
    settled: tuple[Office, Path, list[str]],
    disk: Path,
    databases: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew, "_FEW", 0)  # as of a large office: several processes check it
    office, secret, _ = settled
    make(office, disk / "b")
    before = rows(office, *CHANGED)
    to_sqlite = bring_back(disk / "b", disk / "s", secret)
    assert rows(to_sqlite, *CHANGED) == before
    if databases.kind == "postgresql":
        other = bring_back(disk / "b", disk / "p", secret, "--database", databases.empty())
        assert other.database_url.startswith("postgresql")
        assert rows(other, *CHANGED) == before
        # Numbers go on above those that were given.
        other.here("unit", "add", "longhouse", "--name", "长屋", "--class", "institution",
                   "--parent", "office")  # fmt: skip
        with pytest.raises(CommandError, match="holds an office already"):
            bring_back(disk / "b", disk / "q", secret, "--database", other.database_url)


@pytest.mark.one_database("SQLite's own table of numbers")
def test_a_number_that_was_given_is_not_given_again(
    make_office: Callable[..., Office], disk: Path
) -> None:
    office = make_office()
    secret = give_recovery_key(office, disk)
    words = ("--name", "短", "--class", "institution", "--parent", "office")
    office.here("unit", "add", "short", *words)
    [number] = office.sql("SELECT id FROM units WHERE code = 'short'")
    office.here("unit", "remove", "short")
    make(office, disk / "b")
    back = bring_back(disk / "b", disk / "r", secret)
    back.here("unit", "add", "other", *words)
    assert back.sql("SELECT id FROM units WHERE code = 'other'") == [number + 1]


@pytest.mark.one_database("PostgreSQL has a way of its own: test_streaming")
def test_the_last_backup_of_a_continuous_copy_has_all_but_its_last_seconds(
    make_office: Callable[..., Office], disk: Path
) -> None:
    office = make_office()
    secret = give_recovery_key(office, disk)
    sent: list[tuple[datetime, str]] = []
    turns: list[dict[str, Any]] = []
    with office.running():
        with subprocess.Popen(
            [sys.executable, "-m", "gateway", "backup", str(disk / "b"), "--follow", "1", "--json",
             "--config", str(office.config)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as follower:  # fmt: skip
            assert follower.stdout is not None
            output = follower.stdout
            listener = threading.Thread(
                target=lambda: turns.extend(json.loads(line) for line in output)
            )
            listener.start()
            deadline = time.monotonic() + 90
            while len(turns) < 4 or turns[-1]["documents"] < 3:
                assert time.monotonic() < deadline
                document = office.accept("office", notice(len(sent)), "water")
                sent.append((datetime.now(UTC), document))
                time.sleep(0.3)  # an account may send 60 in a minute
            follower.kill()
            listener.join(10)
        office.kill()
    shutil.rmtree(office.folder / "state")  # the machine is gone
    back = bring_back(disk / "b", disk / "r", secret, like=office)
    there = set(back.sql("SELECT id FROM documents"))
    last = read(Shelf(disk / "b"), Shelf(disk / "b").generations()[-1])
    lost = [at for at, document in sent if document not in there]
    taken = datetime.fromisoformat(last.at)
    assert all(at > taken for at in lost), "the last turn has all that was accepted before it"
    starts = [datetime.fromisoformat(turn["at"]).timestamp() for turn in turns]
    slowest = max(turn["seconds"] for turn in turns)
    waits = [after - before for before, after in pairwise(starts)]
    assert max(waits) < 1 + 2 * slowest + 1, "a turn begins each second, or when the last has ended"
    assert len(Shelf(disk / "b").generations()) <= 3, "one takes the place of the other"


@pytest.mark.one_database("what is refused before any row is read")
def test_a_backup_that_would_be_none_is_refused_with_what_to_do(
    make_office: Callable[..., Office], disk: Path
) -> None:
    office = make_office()
    with pytest.raises(CommandError, match=r"recovery\.certificate.*--without-keys"):
        make(office, disk / "b")
    assert not (disk / "b").exists()
    told = make(office, disk / "b", "--without-keys")
    assert not told["with_keys"] and "the office key" in told["without"][0]
    secret = give_recovery_key(office, disk)
    for inside in ("state/b", "state/blobs/b"):
        with pytest.raises(CommandError, match="inside the state directory"):
            make(office, office.folder / inside)
    (disk / "other").mkdir()
    (disk / "other" / "letter.txt").touch()
    with pytest.raises(CommandError, match="not empty and holds no backup"):
        make(office, disk / "other")
    make(office, disk / "b")
    stranger = make_office("stranger")
    stranger.sql("UPDATE store_identity SET identity = '01m80ac9zfeq49fhyhsmj3wbtf'")
    (stranger.folder / "state" / "identity").write_text("01m80ac9zfeq49fhyhsmj3wbtf\n")
    with pytest.raises(CommandError, match="backups of another office"):
        make(stranger, disk / "b", "--without-keys")
    assert secret.exists()


@pytest.mark.one_database("what is refused before any row is written")
def test_a_restore_that_cannot_be_right_is_refused_and_writes_nothing(
    settled: tuple[Office, Path, list[str]], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, secret, _ = settled
    make(office, disk / "b")
    wrong = disk / "wrong.asc"
    wrong.write_bytes(bytes(Tsk.generate("Somebody <else@heping.test>")))
    with pytest.raises(CommandError, match="not the key to which this was encrypted"):
        bring_back(disk / "b", disk / "r", wrong)
    with pytest.raises(CommandError, match="bring its secret half from the safe"):
        ask(restore_command.app, "from", disk / "b", "--to", disk / "r")
    assert not (disk / "r").exists()
    (disk / "full").mkdir()
    (disk / "full" / "letter.txt").touch()
    with pytest.raises(CommandError, match="begins in an empty folder"):
        bring_back(disk / "b", disk / "full", secret)
    with pytest.raises(CommandError, match="begins in an empty place"):
        ask(restore_command.app, "from", disk / "b", "--config", office.config,
            "--recovery-key", secret)  # fmt: skip
    with pytest.raises(CommandError, match="no backup here"):
        ask(restore_command.app, "from", disk / "full", "--to", disk / "r")
    monkeypatch.setattr("gateway.store.migrate.known", lambda: ["0001"])  # an older program
    with pytest.raises(CommandError, match="newer than this program"):
        bring_back(disk / "b", disk / "r", secret)
    assert not (disk / "r").exists()


@pytest.mark.one_database("files alone")
def test_a_full_disk_is_told_and_the_backups_before_stay(
    settled: tuple[Office, Path, list[str]], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gateway.backup.shelf as shelves

    office, _, _ = settled
    first = make(office, disk / "b")["generation"]
    create = shelves.create

    def full(path: Path) -> Any:
        file = create(path)
        os.dup2(os.open("/dev/full", os.O_RDWR), file.fileno())
        return file

    monkeypatch.setattr(shelves, "create", full)
    with pytest.raises(CommandError, match="No space left on device") as error:
        make(office, disk / "b")
    assert "Earlier backups" in error.value.public
    monkeypatch.undo()
    assert verify(disk / "b")["generations"] == [first]
    assert make(office, disk / "b")["new_blobs"] == 0


@pytest.mark.one_database("files alone")
def test_a_document_that_the_store_has_lost_is_named_and_its_earlier_copy_stays(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, secret, sent = settled
    make(office, disk / "b")
    blob = next((office.folder / "state" / "blobs").rglob(sent[1]))
    octets = blob.read_bytes()
    try:
        blob.write_bytes(octets[:-1] + b"?")
        told = make(office, disk / "new", status=1)
        assert told["damaged"] == [sent[1]]
        blob.unlink()
        assert make(office, disk / "b", status=1)["damaged"] == [sent[1]], "lost there, kept here"
    finally:
        blob.write_bytes(octets)
    back = bring_back(disk / "b", disk / "r", secret)
    found = next((back.folder / "state" / "blobs").rglob(sent[1]))
    assert found.read_bytes() == octets


@pytest.mark.one_database("files alone")
def test_blobs_that_survived_the_loss_stay_and_newer_ones_are_not_swept(
    settled: tuple[Office, Path, list[str]], disk: Path
) -> None:
    office, secret, sent = settled
    make(office, disk / "b")
    to = disk / "etc"
    shutil.copytree(office.folder / "state" / "blobs", to / "state" / "blobs")
    next((to / "state" / "blobs").rglob(sent[0])).unlink()
    from gateway.domain.clock import milliseconds
    from gateway.domain.ids import new_id, time_of

    stray = new_id(milliseconds(time_of(sent[-1])) + 5000, bytes(10))
    newer = next((to / "state" / "blobs").rglob(sent[1])).with_name(stray)
    newer.write_bytes(b"Subject: came after the backup\r\n\r\n")
    os.utime(newer, (time.time() - 7200,) * 2)  # else it may be one whose commit is still to come
    words = ("from", disk / "b", "--config", to / "yizhan.toml", "--recovery-key", secret)
    with pytest.raises(CommandError, match="--keep-blobs"):
        ask(restore_command.app, *words)
    shutil.rmtree(to / "state" / "gnupg", ignore_errors=True)
    for made in ("yizhan.toml", "tls.key", "tls.crt", "recovery.asc"):
        (to / made).unlink(missing_ok=True)
    told = ask(restore_command.app, *words, "--keep-blobs", status=1)
    assert any(stray in problem for problem in told["problems"])
    there = {p.name for p in (to / "state" / "blobs").rglob("*") if p.is_file()}
    assert there == {*sent, stray, "identity"}


@pytest.mark.one_database("files alone")
def test_blobs_that_were_encrypted_or_rewrapped_are_copied_anew_beside_the_old(
    make_office: Callable[..., Office], disk: Path
) -> None:
    office = make_office()
    secret = give_recovery_key(office, disk)
    with office.running():
        document = office.accept("office", notice(1), "water")
        office.settled(document)
    plain = make(office, disk / "b")
    with office.config.open("a", encoding="utf-8") as file:
        file.write('\n[blobs]\nencrypt_at_rest = true\nstorage_key_file = "storage.key"\n')
    office.here("storage", "encrypt")
    encrypted = make(office, disk / "b")
    office.here("storage", "rotate")
    rotated = make(office, disk / "b")
    assert [plain["new_blobs"], encrypted["new_blobs"], rotated["new_blobs"]] == [1, 1, 1]
    assert make(office, disk / "b")["new_blobs"] == 0
    assert verify(disk / "b")["faults"] == []
    assert not any(b"BEGIN" not in p.read_bytes() and b"storage-key" in p.read_bytes()
                   for p in (disk / "b" / "pieces").rglob("*") if p.is_file())  # fmt: skip
    for one in (plain, encrypted, rotated):
        words = ("--generation", one["generation"])
        back = bring_back(disk / "b", disk / one["generation"], secret, *words)
        assert back.here("document", "export", document) == office.here(
            "document", "export", document
        )


@pytest.mark.one_database("objects alone")
def test_documents_in_a_bucket_are_backed_up_and_come_back_into_a_bucket(
    make_office: Callable[..., Office], disk: Path
) -> None:
    from tests import objects

    office = make_office()
    secret = give_recovery_key(office, disk)
    with objects.serving() as server:
        first, second = server.bucket(), server.bucket()
        key = office.folder / "s3.key"
        key.write_text("office\nkeep-this-secret\n")
        key.chmod(0o600)
        with office.config.open("a", encoding="utf-8") as file:
            file.write(
                f'\n[blobs]\ndriver = "s3"\n[blobs.s3]\nendpoint = "{server.endpoint}"\n'
                f'bucket = "{first}"\naccess_key_file = "s3.key"\n'
            )
        with office.running():
            document = office.accept("office", notice(1), "water")
            office.settled(document)
        assert make(office, disk / "b")["new_blobs"] == 1
        assert make(office, disk / "b")["new_blobs"] == 0
        words = ("from", disk / "b", "--to", disk / "r", "--recovery-key", secret)
        with pytest.raises(CommandError, match="--keep-blobs"):
            ask(restore_command.app, *words)
        assert not [p for p in (disk / "r").rglob("*") if p.is_file()]
        back = disk / "back" / "yizhan.toml"  # its file written by hand: another bucket
        back.parent.mkdir()
        back.write_text(office.config.read_text(encoding="utf-8").replace(first, second))
        ask(restore_command.app, "from", disk / "b", "--config", back, "--recovery-key", secret)
        assert document in " ".join(server.objects(second))
        restored = Office(back.parent, 0, 0, 0)
        assert restored.here("document", "export", document) == office.here(
            "document", "export", document
        )
