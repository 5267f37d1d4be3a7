"""Encryption at rest under a running post office, and blobs in a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway import config as configuration
from gateway import config_file
from gateway.cli.office import opened
from gateway.composition import open_own_blobs
from gateway.domain.ids import new_id
from gateway.errors import CommandError, ConfigurationError
from gateway.seals.escrow import require_keys
from gateway.seals.recovery import create_recovery_key
from gateway.soundness import find_storage_faults
from gateway.store import storage_key
from gateway.store.blobs import FileBlobs
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.storage_key import KeyRing
from tests import letters
from tests.objects import serving
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database("keys and buckets know nothing of the database")
ENCRYPTED = '[blobs]\nencrypt_at_rest = true\nstorage_key_file = "storage.key"\n'


def letter(number: int) -> bytes:
    return letters.plain("office", "water", f"和政办发〔2026〕{number}号 关于召开会议的通知")


def files(office: Office) -> dict[str, bytes]:
    """Every blob as it lies on the disk."""
    found = (office.folder / "state/blobs").glob("*/*/*/*")
    return {path.name: path.read_bytes() for path in found}


def configure(office: Office, text: str) -> None:
    """Add tables to the configuration file."""
    old = office.config.read_text(encoding="utf-8")
    office.config.write_text(old + "\n" + text, encoding="utf-8")


def refuses(office: Office) -> str:
    """The one sentence with which the daemon does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--config", str(office.config)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 78, done
    [sentence] = done.stderr.splitlines()
    return sentence


def exported(office: Office, document: str) -> bytes:
    return office.here("document", "export", document)


def test_encryption_can_be_switched_on_rotated_and_recovered_without_losing_a_document(
    make_office: Callable[..., Office], tmp_path: Path
) -> None:
    office = make_office()
    sent: dict[str, bytes] = {}
    with office.running():
        sent[office.accept("office", letter(1), "water")] = b""
    [plain] = files(office).values()
    assert b"Subject:" in plain

    certificate, secret = create_recovery_key(configuration.Seals(), office.folder, "heping.test")
    (office.folder / "recovery.asc").write_text(certificate)
    (tmp_path / "safe.asc").write_text(secret)
    configure(office, ENCRYPTED + '\n[recovery]\ncertificate = "recovery.asc"\n')
    first = next(iter(sent))
    assert b"1 blobs are now encrypted" in office.here("storage", "encrypt")
    assert not any(b"Subject:" in octets for octets in files(office).values())
    assert exported(office, first) == plain

    with office.running():
        second = office.accept("office", letter(2), "water")
        assert b"blobs are now under" in office.here("storage", "rotate")
        third = office.accept("office", letter(3), "water")  # without a restart
        for document in (first, second, third):
            office.settled(document)
            assert b"Subject:" in exported(office, document)
        assert len(office.mailbox("unit:water")["INBOX"]) == 3
    kept = files(office)
    assert not any(b"Subject:" in octets or b"Received:" in octets for octets in kept.values())
    told = json.loads(office.here("storage", "status", "--json"))
    ring = storage_key.load(office.folder / "storage.key")
    assert told["encrypted"] == {ring.current.id: 3}
    assert (told["plain"], told["damaged"], told["escrowed"]) == (0, [], list(ring.ids))

    storage_key.write(office.folder / "storage.key", storage_key.KeyRing((ring.keys[0],)))
    assert f"lacks the storage key {ring.current.id}" in refuses(office)
    escrow = office.folder / "state/storage-key.escrow"
    escrow.rename(tmp_path / "escrow")
    with (
        opened(office.config) as here,
        pytest.raises(ConfigurationError, match=f"kept under the storage key {ring.current.id}"),
    ):
        open_own_blobs(
            here.config, here.database, FileBlobs(here.config.blobs_directory).read_identity()
        )
    (tmp_path / "escrow").rename(escrow)
    (office.folder / "storage.key").unlink()
    office.here("storage", "recover", "--secret-key", str(tmp_path / "safe.asc"))
    assert storage_key.load(office.folder / "storage.key") == ring
    for document in (first, second, third):
        assert b"Subject:" in exported(office, document)


def test_a_document_that_was_changed_on_the_disk_is_named_and_never_shown(
    make_office: Callable[..., Office],
) -> None:
    office = make_office()
    configure(office, ENCRYPTED)
    office.here("storage", "encrypt")
    with office.running():
        document = office.accept("office", letter(1), "water")
        office.settled(document)
    [path] = (office.folder / "state/blobs").glob("*/*/*/*")
    octets = bytearray(path.read_bytes())
    octets[200] ^= 1
    path.write_bytes(octets)
    done = office.run("document", "export", document, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert document in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(AssertionError, match=document):  # it ends with status 1, and names it
        office.here("storage", "rotate")
    assert path.read_bytes() == octets


# A bucket


def test_a_post_office_keeps_its_documents_encrypted_in_a_bucket_and_outlives_its_absence(
    make_office: Callable[..., Office], tmp_path: Path
) -> None:
    office = make_office()
    with serving() as server:
        settings = server.settings(office.folder, timeout_seconds=2)
        configure(
            office,
            f'{ENCRYPTED}driver = "s3"\n\n[blobs.s3]\nendpoint = "{server.endpoint}"\n'
            f'bucket = "{settings.bucket}"\nprefix = "heping"\n'
            'access_key_file = "s3.key"\ntimeout_seconds = 2\n',
        )
        office.here("storage", "encrypt")
        with office.running():
            document = office.accept("office", letter(1), "water")
            office.settled(document)
            assert len(office.mailbox("unit:office")["回执"]) == 1
            [received] = office.mailbox("unit:water")["INBOX"]
            assert "关于召开会议的通知".encode() in received or b"=?utf-8?" in received
            kept = [key for key in server.objects(settings.bucket) if key.endswith(document)]
            assert kept == [f"heping/{document}"]
            assert b"Subject:" not in server.octets(settings.bucket, kept[0])
            assert files(office) == {}

            server.pause()
            try:
                code, text = office.send("office", letter(2), "water")
                assert code in (451, 452), text
                assert "try again" in text
                page = httpx.get(office.url("/health"), timeout=20)
                assert page.status_code == 503
                assert "blobs" in page.text
            finally:
                server.go_on()
            deadline = time.monotonic() + 20
            while httpx.get(office.url("/health"), timeout=20).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            second = office.accept("office", letter(3), "water")
            office.settled(second)
            assert "keep-this-secret" not in office.log
        told = json.loads(office.here("storage", "status", "--json"))
        assert told["encrypted"].popitem()[1] >= 2
        assert b"Subject:" in exported(office, second)
        text = office.config.read_text().replace(settings.bucket, "no-such-bucket")
        office.config.write_text(text)
        assert "there is no bucket no-such-bucket" in refuses(office)
    with serving(INITIAL_NO_AUTH_ACTION_COUNT="0") as strict:
        office.config.write_text(text.replace(server.endpoint, strict.endpoint))
        [fault] = find_storage_faults(config_file.load(office.config), office.config)
        assert "blobs.s3.access_key_file" in fault
        assert "keep-this-secret" not in fault


def test_two_commands_that_keep_blobs_anew_never_run_at_once(
    make_office: Callable[..., Office],
) -> None:
    import fcntl

    office = make_office()
    configure(office, ENCRYPTED)
    with (office.folder / "state/storage.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another `yizhan storage` command is at work"):
            office.here("storage", "encrypt")


def test_a_systemd_credential_is_never_written_and_other_machines_get_the_key_first(
    make_office: Callable[..., Office], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office()
    configure(office, ENCRYPTED)
    office.here("storage", "encrypt")
    file = office.folder / "storage.key"
    before = storage_key.load(file)
    blobs = EncryptedBlobs(FileBlobs(office.folder / "state/blobs"), before)
    name = new_id(1_795_255_200_000, bytes(10))
    blobs.put(name, [b"under the first key"])
    with monkeypatch.context() as under_systemd:
        under_systemd.setenv("CREDENTIALS_DIRECTORY", str(office.folder))
        file.chmod(0o440)  # so systemd shows it
        with pytest.raises(CommandError, match="name the file of which it is made with --key-file"):
            office.here("storage", "rotate")
        said = office.here("storage", "rotate", "--key-file", str(tmp_path / "new.key"))
        assert b"storage rotate --resume" in said
    assert storage_key.load(tmp_path / "new.key").keys[0] == before.current
    file.chmod(0o600)
    assert storage_key.load(file) == before
    config = config_file.load(office.config)
    require_keys(config, before)  # a restart before the credential was made anew still works
    (tmp_path / "new.key").replace(file)
    assert b"1 blobs are now under" in office.here("storage", "rotate", "--resume")
    after = storage_key.load(file)
    with pytest.raises(ConfigurationError, match="lacks the storage key"):
        require_keys(config, before)
    with EncryptedBlobs(blobs.inner, KeyRing((after.current,))).open(name) as kept:
        assert kept.read() == b"under the first key"
    shown = office.here("storage", "status").decode()
    assert f"key {before.current.id}  0 blobs, escrowed\n" in shown
    assert f"key {after.current.id}  1 blobs, escrowed, in force" in shown

    (office.folder / "state/storage-key.escrow").unlink()
    with pytest.raises(AssertionError, match="is not escrowed"):  # status 1
        office.here("storage", "escrow")
    assert after.current.id.encode() in office.here("storage", "escrow", "--renew")
    assert find_storage_faults(config, office.config) == []
