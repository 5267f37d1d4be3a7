"""`yizhan policy` beside a real office: real configuration, real database, no daemon."""

from __future__ import annotations

import json
import shutil
from email.message import EmailMessage
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import resources
from gateway.cli.policy import app
from gateway.directory.demo_office import populate
from gateway.directory.snapshot import load
from gateway.errors import CommandError, ConfigurationError
from gateway.store import identity
from gateway.store.database import Database
from tests.databases import Databases, migrated

from .conftest import NOW

CONFIG = """
[office]
domain = "heping.test"
name = "和平区电子邮局"
[state]
directory = "state"
[[submission.listeners]]
port = 2587
[tls]
certificate = "tls.crt"
key = "tls.key"
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, module_databases: Databases) -> Path:
    """The demo office's directory in a real store; returns the configuration file."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "state").mkdir(mode=0o700)
    config = folder / "yizhan.toml"
    url = module_databases.copy("migrated", migrated)
    config.write_text(
        CONFIG.replace("[state]\n", f'[state]\ndatabase = "{url}"\n'), encoding="utf-8"
    )
    database = Database(url)
    identity.create(database, folder / "state", "heping.test", NOW)
    database.write_now(lambda conn: populate(conn, "heping.test", {}, actor="test", now=NOW))
    assert database.read_now(lambda conn: load(conn, "heping.test")).unit("water")
    database.stop()
    return config


def run(*words: str | Path) -> Result:
    """Run the command; its errors come out as they are."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def letter(folder: Path, subject: str, *, sender: str = "water@heping.test") -> Path:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = "finance@heping.test"
    message["Subject"] = subject
    message["Message-ID"] = "<1@heping.test>"
    message.set_content("各位同事：午餐改在十二点。\n")
    path = folder / "x.eml"
    path.write_bytes(message.as_bytes())  # with LF, as a file on disk has
    return path


ENVELOPE = ("--from", "water@heping.test", "--to", "finance@heping.test")


def test_explain_says_that_plain_mail_is_mail(office: Path, tmp_path: Path) -> None:
    mail = letter(tmp_path, "午餐")
    result = run("explain", mail, *ENVELOPE, "--config", office, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["outcome"], told["rule"], told["class"]) == ("accept", "plain-mail", "mail")
    assert told["unit"] == "water"
    assert told["facts"]["directions"] == ["level"]


def test_explain_names_the_rule_that_refuses_and_quotes_no_subject(
    office: Path, tmp_path: Path
) -> None:
    mail = letter(tmp_path, "【机密】关于午餐的通知")
    told = run("explain", mail, *ENVELOPE, "--config", office, "--json").stdout
    data = json.loads(told)
    assert (data["outcome"], data["rule"], data["alert"]) == ("refuse", "marking", True)
    assert "午餐" not in told
    shown = run("explain", mail, *ENVELOPE, "--config", office, "--all").stdout
    assert "refuse, by the rule marking" in shown
    assert "the security officer is told" in shown
    assert "午餐" not in shown


def test_explain_says_who_may_not_send(office: Path, tmp_path: Path) -> None:
    mail = letter(tmp_path, "午餐", sender="finance@heping.test")
    words = ("explain", mail, "--to", "water@heping.test", "--config", office)
    told = json.loads(
        run(*words, "--from", "finance@heping.test", "--account", "water", "--json").stdout
    )
    assert told["rule"] == "sender-foreign"
    with pytest.raises(CommandError, match="no account may send as nobody@heping"):
        run(*words, "--from", "nobody@heping.test")
    with pytest.raises(CommandError, match="there is no account nobody"):
        run(*words, "--from", "water@heping.test", "--account", "nobody")
    with pytest.raises(CommandError, match="an address is written name@domain"):
        run(*words, "--from", "water")


def test_explain_leaves_nothing_behind(office: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in (office.parent / "state").iterdir())
    run("explain", letter(tmp_path, "午餐"), *ENVELOPE, "--config", office)
    after = sorted(path.name for path in (office.parent / "state").iterdir())
    assert [name for name in after if name not in before and name != "gnupg"] == []


def test_explain_of_a_file_that_is_not_there_says_so(office: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.eml: cannot be read"):
        run("explain", tmp_path / "none.eml", *ENVELOPE, "--config", office)


def test_the_shipped_rules_pass_their_test(office: Path) -> None:
    result = run("test", "--config", office)
    assert result.exit_code == 0
    assert "0 failed" in result.stdout


def test_a_rule_that_breaks_a_case_fails_the_test(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(resources.folder("policies"), folder)
    rules = folder / "10-refusals.toml"
    rules.write_text(rules.read_text("utf-8").replace("hops is over 30", "hops is over 29"))
    result = run("test", folder)
    assert result.exit_code == 1
    assert "30 hops do not: outcome is 'refuse', not 'accept'" in result.stderr
    failed = [case for case in json.loads(run("test", folder, "--json").stdout) if case["faults"]]
    assert [case["case"] for case in failed] == ["30 hops do not"]


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no rule files"):
        run("test", tmp_path)


def test_rules_and_checks_are_listed_for_people_and_for_programs() -> None:
    folder = resources.folder("policies")
    rules = json.loads(run("rules", folder, "--json").stdout)
    assert rules[0]["rule"] == "marking"
    assert rules[0]["then"] == "refuse ClassificationMarking, tell the security officer"
    assert "class is among unchecked-classes" in run("rules", folder).stdout
    checks = json.loads(run("checks", "--json").stdout)
    assert checks[0]["name"] == "identity"
    assert "marking-places" in run("checks").stdout


@pytest.mark.parametrize("command", ["test", "explain", "checks", "rules"])
def test_every_command_ends_its_help_in_an_example(command: str) -> None:
    assert "Example: yizhan policy" in run(command, "--help").stdout
