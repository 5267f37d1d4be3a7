"""Commands beside the running daemon take effect at once: on people, units, seals and mail."""

from __future__ import annotations

import base64
import json
import smtplib
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests import letters, postbox
from tests.office import ROOT, Office


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    """An office that locks after two wrong passwords and answers them quickly."""
    quick = "[submission]\nlock_after = 2\ndelay_seconds = 0.01\n\n[tls]"
    with make_module_office(changes={"[tls]": quick}).running() as running:
        yield running


@contextmanager
def connected(office: Office, address: str = "127.0.0.1") -> Iterator[smtplib.SMTP]:
    """A client under TLS, from that address, which has not logged in."""
    with smtplib.SMTP(
        "127.0.0.1", office.submission_port, timeout=30, source_address=(address, 0)
    ) as client:
        client.starttls(context=office.trust)
        client.ehlo()
        yield client


def login(office: Office, name: str, password: str, address: str = "127.0.0.1") -> int:
    """The code with which one login is answered; smtplib's own would guess twice."""
    with connected(office, address) as client:
        return authenticate(client, name, password)[0]


def authenticate(client: smtplib.SMTP, name: str, password: str) -> tuple[int, bytes]:
    word = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    return client.docmd("AUTH", f"PLAIN {word}")


def reply_to_rcpt(office: Office, recipient: str) -> int:
    with office.client("water") as client:
        client.mail("water@heping.test")
        return client.rcpt(recipient)[0]


def told(office: Office, noun: str, *words: str) -> Any:
    """What a command prints with --json."""
    return json.loads(office.here(noun, *words, "--json"))


def added(office: Office, name: str, *words: str) -> str:
    """The password of a new account of the water bureau."""
    made = told(office, "account", "add", name, "--name", "新人", "--unit", "water:clerk", *words)
    return str(made["password"])


def test_a_new_account_logs_in_at_once_and_sends(office: Office) -> None:
    assert login(office, "newcomer", "x") == 535
    password = added(office, "newcomer", "--address", "water", "--lasting")
    office.accounts["newcomer"] = {"address": "water@heping.test", "password": password}
    found = office.document(
        office.accept("newcomer", letters.plain("water", "office", "函"), "office")
    )
    assert (found["sender"]["account"], found["sender"]["unit"]) == ("newcomer", "water")


def test_a_changed_password_counts_at_once_and_ends_older_sessions(office: Office) -> None:
    first = added(office, "changer", "--address", "water")
    with connected(office) as client:
        assert authenticate(client, "changer", first)[0] == 235
        second = told(office, "account", "password", "changer")["password"]
        code, text = client.docmd("MAIL", "FROM:<water@heping.test>")
        assert (code, b"The account was changed" in text) == (421, True)
    assert login(office, "changer", first) == 535
    assert login(office, "changer", second) == 235


def test_a_closed_account_and_a_removed_one_cannot_log_in(office: Office) -> None:
    closed, gone = added(office, "closed"), added(office, "gone")
    assert login(office, "closed", closed) == login(office, "gone", gone) == 235
    office.here("account", "change", "closed", "--inactive")
    office.here("account", "remove", "gone")
    assert login(office, "closed", closed) == login(office, "gone", gone) == 535
    office.here("account", "change", "closed", "--active")
    office.here("account", "unlock", "closed")
    assert login(office, "closed", closed) == 235


def test_an_account_is_held_to_its_networks(office: Office) -> None:
    password = added(office, "tied", "--network", "127.0.0.9/32")
    assert login(office, "tied", password) == 535
    assert login(office, "tied", password, "127.0.0.9") == 235


def test_wrong_passwords_lock_the_address_and_not_the_account(office: Office) -> None:
    right = office.accounts["audit"]["password"]
    for _ in range(2):
        assert login(office, "audit", "wrong", "127.0.0.2") == 535
    with connected(office, "127.0.0.2") as client:
        code, text = authenticate(client, "audit", right)
        assert (code, b"ask the operator to unlock it" in text) == (454, True)
    # whoever guesses from elsewhere has not locked the unit out, and is not locked for others
    assert login(office, "audit", right, "127.0.0.3") == 235
    assert login(office, "water", office.accounts["water"]["password"], "127.0.0.2") == 235
    office.here("account", "unlock", "audit")
    assert login(office, "audit", right, "127.0.0.2") == 235


def test_a_new_unit_is_reached_at_once_and_a_merged_one_by_its_successor(office: Office) -> None:
    assert reply_to_rcpt(office, "heritage@heping.test") == 550
    office.here("unit", "add", "heritage", "--name", "文物局")
    octets = letters.plain("water", "heritage", "关于古井的函")
    document_id = office.accept("water", octets, "heritage")
    [view] = postbox.letters(office, "unit:heritage", document_id)
    assert view.folder == "INBOX"
    office.here("unit", "merge", "heritage", "--into", "culture")
    octets = letters.plain("water", "heritage", "关于古桥的函")
    found = office.document(office.accept("water", octets, "heritage"))
    assert [one["owner"] for one in found["recipients"]] == ["unit:culture"]


def test_a_cancelled_seal_is_found_cancelled_with_the_next_document(office: Office) -> None:
    seal = office.folder / "seals" / "education.sec.asc"

    def send(number: int) -> tuple[int, str]:
        subject = f"和教函〔2026〕{number}号 关于停课的函"
        octets = letters.sealed(letters.plain("education", "office", subject), seal)
        return office.send("education", octets, "office")

    code, text = send(1)
    assert office.document(text.split()[1])["seal"]["state"] == "valid"
    [entry] = told(office, "seal", "list", "--unit", "education")
    assert entry["uses"] == 1
    office.here("seal", "cancel", entry["fingerprint"], "--reason", "USB stick lost")
    code, text = send(2)
    assert code == 550
    assert f"(key {entry['fingerprint'][-16:]}) was cancelled at 2" in text
    [refusal] = office.sql("SELECT id FROM refusals WHERE mail_from = 'education@heping.test'")
    assert [one["code"] for one in office.document(refusal)["reasons"]] == ["SealCancelled"]
    # a new one counts from the next document on
    office.here("seal", "issue", "education", "--out", str(office.folder), "--no-passphrase")
    [new] = office.folder.glob("education-*.private.asc")
    new.rename(seal)
    code, text = send(3)
    assert office.document(text.split()[1])["seal"]["state"] == "valid"


@pytest.mark.parametrize("address", ["postmaster@heping.test", "Postmaster", "abuse@heping.test"])
def test_postmaster_reaches_the_operators_mailbox(address: str, office: Office) -> None:
    octets = letters.plain("water", address if "@" in address else f"{address}@heping.test", "求助")
    with office.client("water") as client:
        client.mail("water@heping.test")
        assert client.rcpt(address)[0] == 250
        code, text = client.data(octets)
        assert code == 250
    document_id = text.decode().split()[1]
    assert len(postbox.letters(office, "person:operator", document_id)) == 1


TABLE = """类型,代码,名称,英文名称,类别,上级单位,所属单位,账号类型,岗位,手机
单位,forestry,林业局,Forestry Bureau,委办局,office,,,,
账号,forestry-chen,陈小林,,,,forestry:收发员,个人,,
账号,forestry,林业局收发室,,,,forestry:收发员,共用,,
值班,forestry,陈小林,,,,,,收发员,13800009999
"""


def test_a_table_in_gb18030_makes_units_and_people_that_work_at_once(office: Office) -> None:
    file, made = office.folder / "林业.csv", office.folder / "passwords.toml"
    file.write_bytes(TABLE.encode("gb18030"))
    office.run("directory", "import", str(file), "--passwords", str(made))
    assert made.stat().st_mode & 0o077 == 0
    passwords = tomllib.loads(made.read_text(encoding="utf-8"))["accounts"]
    assert login(office, "forestry-chen", passwords["forestry-chen"]["password"]) == 235
    octets = letters.plain("office", "forestry", "【特急】和政办发〔2026〕71号 关于防火的通知")
    document_id = office.accept("office", octets, "forestry")
    found = office.settled(document_id)
    assert [one["name"] for one in found["reminders"]] == ["陈小林"]
    shown = told(office, "unit", "show", "forestry")
    assert (shown["name"], shown["parent"]) == ("林业局", "office")


def test_a_table_with_faults_names_their_lines_and_does_nothing(office: Office) -> None:
    bad = TABLE.replace("forestry", "fishery").replace("13800009999", "12").replace("委办局", "会")
    file = office.folder / "bad.csv"
    file.write_bytes(bad.encode("gb18030"))
    done = office.run("directory", "import", str(file), check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"{file}: line ") for line in lines)
    assert {"line 2", "line 5"} <= {line.split(": ")[1] for line in lines}
    assert office.run("unit", "show", "fishery", check=False).returncode == 1


@pytest.mark.parametrize(
    "command",
    [
        "unit list", "unit show water", "unit desk list", "account list", "account show water",
        "group list", "duty list", "directory log", "seal list", "seal log", "policy rules",
        "policy test", "document list", "mailbox list", "mailbox show unit:water",
    ],
)  # fmt: skip
def test_json_output_is_json(command: str, office: Office) -> None:
    noun, *words = command.split()
    found = told(office, noun, *words)
    assert isinstance(found, list | dict)
    assert found


def test_help_of_the_installed_program_ends_with_an_example() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "document", "list", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "Example: yizhan document list --unit water" in done.stdout


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(office: Office) -> None:
    document = office.accept("water", letters.plain("water", "office", "回复"), "office")
    done = office.run("document", "export", document, "-o", "/nonexistent/x.eml", check=False)
    assert (done.returncode, done.stderr) == (1, "/nonexistent/x.eml: No such file or directory\n")


def test_the_code_of_a_unit_names_its_mailbox(office: Office) -> None:
    found = [office.json("mailbox", "show", owner) for owner in ("unit:water", "water")]
    assert found[0] == found[1]


def test_the_health_page_and_the_metrics_say_how_the_office_is(office: Office) -> None:
    before = metrics(office)
    octets = letters.plain("water", "office", "关于健康的函")
    office.accept("water", octets, "office")
    after = metrics(office)
    accepted = 'yizhan_submissions_total{outcome="accepted"}'
    assert after[accepted] == before.get(accepted, 0) + 1
    assert after["yizhan_submission_bytes_total"] >= before["yizhan_submission_bytes_total"] + len(
        octets
    )
    assert after["yizhan_healthy"] == 1
    assert after["yizhan_database_commits_total"] > before["yizhan_database_commits_total"]

    page = httpx.get(office.url("/health"))
    assert (page.status_code, page.json()["status"]) == (200, "ok")
    assert {"database", "blobs", "reminders"} <= set(page.json()["probes"])
    text = httpx.get(office.url("/"), headers={"Accept": "text/html"})
    assert text.text.startswith("和平区政府电子邮局: ok")
    assert httpx.get(office.url("/nothing")).status_code == 404
    # an SMS spool that has gone is told on the page, and mail goes on
    outgoing = office.folder / "sms" / "outgoing"
    outgoing.rename(outgoing.with_name("away"))
    page = httpx.get(office.url("/health"))
    assert (page.status_code, page.json()["status"]) == (503, "degraded")
    assert str(outgoing) in page.json()["probes"]["reminders"]
    assert metrics(office)["yizhan_healthy"] == 0
    office.accept("water", letters.plain("water", "office", "关于短信的函"), "office")
    outgoing.with_name("away").rename(outgoing)
    assert httpx.get(office.url("/health")).status_code == 200


def metrics(office: Office) -> dict[str, float]:
    page = httpx.get(office.url("/metrics"))
    assert page.headers["content-type"].startswith("text/plain")
    lines = [line.rsplit(" ", 1) for line in page.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}
