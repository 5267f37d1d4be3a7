"""Promises about `yizhan seal`, on a real office in a folder."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import pytest
from pysequoia import Tsk
from typer.testing import CliRunner

from gateway.cli.seal import app
from gateway.config import Seals
from gateway.directory.model import Level, UnitClass
from gateway.directory.units import add_unit
from gateway.errors import CommandError
from gateway.seals.custody import set_office_certificate
from gateway.seals.workshop import create_office_key
from gateway.store import identity
from gateway.store.database import Database
from tests.databases import migrated

CONFIG = """
[office]
domain = "heping.test"
name = "和平区电子邮局"
[state]
directory = "state"
[submission]
listeners = [{ port = 2587 }]
[tls]
certificate = "c.pem"
key = "k.pem"
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory, module_databases):
    folder = tmp_path_factory.mktemp("o")
    state = folder / "state"
    state.mkdir(mode=0o700)
    url = module_databases.copy("migrated", migrated)
    (folder / "yizhan.toml").write_text(
        CONFIG.replace("[state]\n", f'[state]\ndatabase = "{url}"\n')
    )
    database = Database(url)
    now = datetime.now(UTC)
    identity.create(database, state, "heping.test", now)
    for code, name in (("water", "水务局"), ("finance", "财政局")):
        database.write_now(
            lambda conn, code=code, name=name: add_unit(
                conn, code=code, name=name, level=Level.DISTRICT, unit_class=UnitClass.BUREAU,
                seal_limit=2, actor="test", now=now,
            )
        )  # fmt: skip
    certificate = create_office_key(Seals(), state, name="Office", address="p@heping.test")
    database.write_now(lambda conn: set_office_certificate(conn, certificate))
    database.stop()
    yield folder
    for home in state.glob("gnupg/*"):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def run(office, *words, fails=""):
    result = CliRunner().invoke(app, [*words, "--config", str(office / "yizhan.toml")])
    if fails:
        assert isinstance(result.exception, CommandError), result.output
        assert fails in str(result.exception)
        return ""
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_life_of_a_seal_by_commands(office, tmp_path):
    out = ("--out", str(tmp_path), "--no-passphrase", "--json")
    first = json.loads(run(office, "issue", "water", *out))
    private = next(file for file in first["files"] if "private" in file)
    assert first["fingerprint"][-8:] in private

    own = Tsk.generate("水务局 <water@heping.test>")
    (tmp_path / "own.asc").write_bytes(bytes(own.extract_certificate()))
    second = json.loads(run(office, "import", "water", str(tmp_path / "own.asc"), "--json"))
    run(office, "issue", "water", *out, fails="may have 2")
    run(office, "import", "finance", str(tmp_path / "own.asc"), fails="is or was a seal")

    third = json.loads(run(office, "replace", first["fingerprint"], *out))
    run(office, "cancel", second["fingerprint"], "--reason", "stick lost")
    listed = json.loads(run(office, "list", "--all", "--json"))
    assert [(row["fingerprint"], row["state"]) for row in listed] == [
        (first["fingerprint"], "replaced"),
        (second["fingerprint"], "cancelled"),
        (third["fingerprint"], "in force"),
    ]
    assert third["fingerprint"] in run(office, "list", "--unit", "water")
    lines = json.loads(run(office, "log", "--json"))
    assert lines[0]["event"] == "SealCancelled"


def test_a_file_that_cannot_be_written_leaves_no_seal_behind(office, tmp_path):
    missing = str(tmp_path / "nowhere")
    keys = sorted(path.name for path in (office / "state" / "gnupg").rglob("*.key"))
    before = run(office, "list", "--all", "--json")
    away = ("--out", missing, "--no-passphrase")
    run(office, "issue", "finance", *away, fails="nothing was changed")
    assert run(office, "list", "--all", "--json") == before
    assert sorted(path.name for path in (office / "state" / "gnupg").rglob("*.key")) == keys != []


def test_a_cancelled_seal_is_exported_with_its_revocation(office, tmp_path):
    made = json.loads(
        run(office, "issue", "finance", "--out", str(tmp_path), "--no-passphrase", "--json")
    )
    public = run(office, "export", made["fingerprint"])
    run(office, "cancel", made["fingerprint"], "--reason", "test")
    cancelled = run(office, "export", made["fingerprint"])
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)

    def validity(key):
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
        subprocess.run([*gpg, "--import"], input=key.encode(), check=True)
        shown = subprocess.run([*gpg, "--with-colons", "-k"], capture_output=True, check=True)
        return next(
            line.split(":")[1] for line in shown.stdout.decode().split("\n") if line[:3] == "pub"
        )

    assert validity(public) != "r"
    assert validity(cancelled) == "r"
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def test_the_office_key_is_exported_and_its_private_half_is_not(office):
    assert "BEGIN PGP PUBLIC KEY BLOCK" in run(office, "export", "office")
    run(office, "export", "office", "--private", fails="not handed out")


def test_wrong_names_are_said_in_words(office):
    run(office, "issue", "nobody", "--no-passphrase", fails="no unit nobody")
    run(office, "cancel", "0" * 40, "--reason", "x", fails="no seal ends")
    run(office, "issue", "water", fails="--passphrase-file")
