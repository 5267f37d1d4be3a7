"""The storage key is not lost with its file: office key and recovery key open the escrow."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway import config_file
from gateway.config import Config
from gateway.errors import CommandError, ConfigurationError
from gateway.founding import Plan, found
from gateway.seals import escrow, recovery
from gateway.seals.keyring import Keyring
from gateway.soundness import find_advice, find_storage_faults
from gateway.store import storage_key
from gateway.store.storage_key import KeyRing

NOW = datetime(2026, 11, 21, 9, 55, tzinfo=UTC)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A real office, made as `yizhan init` makes it. Short, because gpg's sockets need that."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        plan = Plan(folder=folder / "etc", state=folder / "etc/state", domain="heping.test",
                    name="和平区政府电子邮局")  # fmt: skip
        found(plan, NOW, lambda _sentence: None)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def office(template: Path) -> Iterator[Path]:
    """A copy for one test; the path of its configuration file."""
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        shutil.copytree(template / "etc", folder / "etc")
        yield folder / "etc/yizhan.toml"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings(office: Path) -> Config:
    return config_file.load(office)


def ring(office: Path) -> KeyRing:
    return storage_key.load(office.parent / "storage.key")


def faults(office: Path) -> list[str]:
    """What `check` says of the storage."""
    return find_storage_faults(settings(office), office)


def test_a_new_office_encrypts_escrows_and_reminds_of_the_safe(office: Path) -> None:
    config = settings(office)
    assert config.blobs.encrypt_at_rest
    for name in ("storage.key", "recovery-secret.asc"):
        assert (office.parent / name).stat().st_mode & 0o777 == 0o600
    assert faults(office) == []
    [reminder] = find_advice(config)
    assert "recovery-secret.asc" in reminder
    assert "move it to the safe" in reminder
    (office.parent / "recovery-secret.asc").unlink()
    assert find_advice(config) == []


def test_both_keys_open_the_escrow_and_nothing_of_the_storage_key_is_in_it(office: Path) -> None:
    config = settings(office)
    kept = escrow.read_escrow(config.state.directory)
    assert kept is not None
    assert len(kept.certificates) == 2
    assert escrow.open_with_office_key(config, kept) == ring(office)
    secret = office.parent / "recovery-secret.asc"
    assert escrow.open_with_secret_key(kept, secret, "") == ring(office)
    text = (config.state.directory / escrow.FILE).read_bytes()
    encoded = (office.parent / "storage.key").read_text().split()[-1]
    assert encoded.encode() not in text
    assert ring(office).current.octets not in text


def test_gpg_alone_opens_the_escrow_with_the_recovery_key(office: Path, tmp_path: Path) -> None:
    """In twenty years there may be no Yizhan at hand, but there will be an OpenPGP program."""
    kept = escrow.read_escrow(settings(office).state.directory)
    assert kept is not None
    home = office.parent / "g"
    with Keyring(home) as keyring:
        keyring.add((office.parent / "recovery-secret.asc").read_bytes())
        done = subprocess.run(
            ["gpg", "--homedir", str(home), "--batch", "--decrypt"],
            input=kept.message.encode(), capture_output=True, check=True,
        )  # fmt: skip
    assert done.stdout == (office.parent / "storage.key").read_bytes()


def test_another_key_or_a_wrong_file_opens_nothing_and_says_which(
    office: Path, tmp_path: Path
) -> None:
    config = settings(office)
    kept = escrow.read_escrow(config.state.directory)
    assert kept is not None
    _, stranger = recovery.create_recovery_key(config.seals, tmp_path, "other.test")
    (tmp_path / "s.asc").write_text(stranger)
    with pytest.raises(CommandError, match="is not the key to which this was encrypted"):
        escrow.open_with_secret_key(kept, tmp_path / "s.asc", "")
    with pytest.raises(CommandError, match="is not an OpenPGP secret key"):
        escrow.open_with_secret_key(kept, office, "")
    with pytest.raises(CommandError, match="cannot be read"):
        escrow.open_with_secret_key(kept, tmp_path / "nowhere", "")


def test_the_recovery_key_may_be_one_that_the_office_has_already(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="yz"))
    try:
        certificate, secret = recovery.create_recovery_key(
            configuration.Seals(), folder, "old.test"
        )
        (tmp_path / "theirs.asc").write_text(certificate)
        (tmp_path / "secret.asc").write_text(secret)
        plan = Plan(folder=folder / "etc", state=folder / "s", domain="heping.test", name="邮局",
                    recovery_certificate=tmp_path / "secret.asc")  # fmt: skip
        with pytest.raises(ConfigurationError, match="is the secret half"):
            found(plan, NOW, lambda _sentence: None)
        plan = Plan(folder=folder / "etc", state=folder / "s", domain="heping.test", name="邮局",
                    recovery_certificate=tmp_path / "theirs.asc")  # fmt: skip
        config = config_file.load(found(plan, NOW, lambda _sentence: None))
        assert not (folder / "etc/recovery-secret.asc").exists()
        assert find_advice(config) == []
        kept = escrow.read_escrow(config.state.directory)
        assert kept is not None
        keys = storage_key.load(folder / "etc/storage.key")
        assert escrow.open_with_secret_key(kept, tmp_path / "secret.asc", "") == keys
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_recovery_key_under_a_passphrase_opens_with_it_and_only_with_it(
    office: Path, tmp_path: Path
) -> None:
    home = office.parent / "g"
    with Keyring(home) as keyring:
        made = keyring.create("Safe", "safe@heping.test", passphrase="四个字词", years=0)
        (tmp_path / "secret.asc").write_bytes(keyring.secret(made, passphrase="四个字词"))
        certificate = keyring.certificate(made)
    (office.parent / "recovery.asc").write_bytes(certificate)
    config = settings(office)
    assert any("the recovery key cannot open it" in fault for fault in faults(office))
    kept = escrow.write_escrow(config, ring(office))
    assert escrow.open_with_secret_key(kept, tmp_path / "secret.asc", "四个字词") == ring(office)
    for wrong in ("", "别的字词"):
        with pytest.raises(CommandError, match=r"secret\.asc"):
            escrow.open_with_secret_key(kept, tmp_path / "secret.asc", wrong)


def test_what_check_says_when_keys_and_escrow_do_not_fit(office: Path) -> None:
    config = settings(office)
    file = config.state.directory / escrow.FILE
    kept = escrow.read_escrow(config.state.directory)
    assert kept is not None
    text = file.read_text()
    file.unlink()
    [fault] = faults(office)
    assert "the storage key is not escrowed" in fault
    file.write_text("{}")
    assert all("is damaged; make it anew" in fault for fault in faults(office))
    told = json.loads(text)
    file.write_text(json.dumps(told | {"message": told["message"].replace("=", "-")}))
    assert any("the office key does not open it" in fault for fault in faults(office))
    file.write_text(text)
    storage_key.write(office.parent / "storage.key", KeyRing((storage_key.generate(),)))
    assert any(f"lacks the storage key {told['keys'][0]}" in fault for fault in faults(office))
    both = KeyRing((*ring(office).keys, escrow.open_with_office_key(config, kept).current))
    storage_key.write(office.parent / "storage.key", both)
    assert any("has other storage keys" in fault for fault in faults(office))
    (office.parent / "storage.key").chmod(0o644)
    assert any("can be read by others" in fault for fault in faults(office))
    (office.parent / "storage.key").unlink()
    assert any("is not there" in fault for fault in faults(office))


def test_without_a_recovery_key_check_says_what_that_means(office: Path) -> None:
    text = office.read_text().replace('[recovery]\ncertificate = "recovery.asc"\n', "")
    office.write_text(text)
    [advice] = find_advice(settings(office))
    assert advice.startswith("recovery.certificate: no recovery key is named")


def test_a_plug_pulled_while_a_new_key_is_made_leaves_an_office_that_starts(office: Path) -> None:
    """The escrow is first; the daemon must not ask for a key that is in no file yet."""
    config = settings(office)
    old = ring(office)
    new = KeyRing((*old.keys, storage_key.generate()))
    escrow.write_escrow(config, new, named=old.ids)
    escrow.require_keys(config, old)
    storage_key.write(office.parent / "storage.key", new)
    escrow.require_keys(config, new)
    escrow.write_escrow(config, new)
    with pytest.raises(ConfigurationError, match=f"lacks the storage key {new.current.id}"):
        escrow.require_keys(config, old)
