"""The evidence key: kept for its owner only, never overwritten, certified by the office."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.evidence import keys
from gateway.seals.signer import FakeSigner

from .conftest import NOW


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_a_key_is_written_for_its_owner_only_and_reads_back(
    tmp_path: Path, passphrase: bytes | None
) -> None:
    made = keys.create_evidence_key(tmp_path, passphrase)
    assert (tmp_path / keys.FILE_NAME).stat().st_mode & 0o777 == 0o600
    read = keys.load_evidence_key(tmp_path, passphrase)
    assert (read.id, read.public) == (made.id, made.public)
    assert made.id == hashlib.sha256(made.public).hexdigest()[:32]
    assert keys.verify(made.public, b"x", read.sign(b"x"))
    assert not keys.verify(made.public, b"y", read.sign(b"x"))


def test_an_open_key_of_a_protected_office_is_read_without_its_passphrase(tmp_path: Path) -> None:
    made = keys.create_evidence_key(tmp_path)
    assert keys.load_evidence_key(tmp_path, b"other").id == made.id


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.create_evidence_key(tmp_path)
    before = (tmp_path / keys.FILE_NAME).read_bytes()
    with pytest.raises(FileExistsError):
        keys.create_evidence_key(tmp_path)
    assert (tmp_path / keys.FILE_NAME).read_bytes() == before


def test_a_key_that_cannot_be_used_is_one_sentence_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / keys.FILE_NAME
    with pytest.raises(ConfigurationError, match="No such file"):
        keys.load_evidence_key(tmp_path)
    keys.create_evidence_key(tmp_path, b"secret")
    for wrong in (None, b"wrong"):
        with pytest.raises(ConfigurationError, match="passphrase opens"):
            keys.load_evidence_key(tmp_path, wrong)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        keys.load_evidence_key(tmp_path, b"secret")
    path.chmod(0o600)
    path.write_text("hello")
    with pytest.raises(ConfigurationError, match="is not a private key"):
        keys.load_evidence_key(tmp_path)


def test_openssl_reads_the_key_and_verifies_a_record_signature(tmp_path: Path) -> None:
    """In 30 years somebody will have another Ed25519 implementation than ours."""
    made = keys.create_evidence_key(tmp_path)
    (tmp_path / "data").write_bytes(b"yizhan-record-v1\n{}")
    (tmp_path / "sig").write_bytes(made.sign(b"yizhan-record-v1\n{}"))
    public = bytes.fromhex("302a300506032b6570032100") + made.public  # RFC 8410
    (tmp_path / "public.der").write_bytes(public)
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public.der",
         "-rawin", "-in", "data", "-sigfile", "sig"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_office_certifies_the_key_by_a_statement_that_stays(
    database: object, tmp_path: Path
) -> None:
    from gateway.store.database import Database

    assert isinstance(database, Database)
    key = keys.create_evidence_key(tmp_path)
    certificate = keys.certify(key, office="heping.test", now=NOW, signer=FakeSigner())
    assert json.loads(certificate.statement) == {
        "version": 1,
        "purpose": "yizhan-evidence-key",
        "office": "heping.test",
        "algorithm": "Ed25519",
        "key": key.id,
        "public": __import__("base64").b64encode(key.public).decode(),
        "created": "2026-03-09T08:30:00.123Z",
    }
    again = keys.certify(key, office="heping.test", now=NOW, signer=FakeSigner())
    for each in (certificate, again):
        database.write_now(lambda c, each=each: keys.keep_certificate(c, each))  # type: ignore[misc]
    assert database.read_now(keys.certificates) == [certificate]
    assert database.read_now(lambda c: keys.certificates(c, ["0" * 32])) == []
