"""`yizhan receipt verify` in a process of its own, as somebody without an office runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Made

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str | Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = "from gateway.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", command, "receipt", "verify", *arguments],
        capture_output=True,
        check=False,
        input=given,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def receipt(accepted: Made, tmp_path: Path) -> Path:
    (tmp_path / "office.pgp").write_bytes(accepted.signer.certificate)
    path = tmp_path / "receipt.eml"
    path.write_bytes(accepted.render())
    return path


def test_a_genuine_receipt_is_said_to_be_genuine(receipt: Path) -> None:
    done = run(receipt, "--office-key", receipt.parent / "office.pgp")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("proved    The office's key ")
    assert lines[-1] == "The receipt is genuine."


def test_a_program_reads_json_from_a_receipt_on_standard_input(receipt: Path) -> None:
    key = receipt.parent / "office.pgp"
    done = run("-", "--office-key", key, "--json", given=receipt.read_bytes())
    value = json.loads(done.stdout)
    assert value["ok"] is True
    assert value["events"][1]["recipient"] == "water@heping.test"


def test_a_changed_receipt_is_not_proved_and_the_exit_status_says_so(receipt: Path) -> None:
    octets = receipt.read_bytes()
    receipt.write_bytes(octets.replace(b"Action: delivered", b"Action: failed", 1))
    done = run(receipt, "--office-key", receipt.parent / "office.pgp")
    assert done.returncode == 1
    assert b"NOT       The mail does not bear a valid signature" in done.stdout
    assert done.stdout.endswith(b"The receipt is NOT proved.\n")


def test_a_file_that_cannot_be_used_is_one_sentence(receipt: Path) -> None:
    missing = run(receipt.parent / "none.eml", "--office-key", receipt.parent / "office.pgp")
    assert missing.returncode == 1
    assert (
        missing.stderr.decode()
        .strip()
        .endswith("none.eml: cannot be read: No such file or directory")
    )
    no_key = run(receipt, "--office-key", receipt)
    assert no_key.returncode == 1
    assert b"this is not an OpenPGP public key" in no_key.stderr
