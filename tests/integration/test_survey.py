"""`yizhan status`, `log` and `doctor` say of a real office what is so, and what to do about it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import config_file
from gateway.store.database import Database
from gateway.store.facts import Fact, forget, remember
from gateway.survey.doctor import examine, is_sound
from gateway.survey.finding import Weight
from tests import certificates, letters
from tests.office import Office, free_ports

pytestmark = pytest.mark.one_database("what is asked of the database has tests on both")

NUMBERED = "【特急】和政办发〔2026〕45号 关于做好防汛工作的通知"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


def found(office: Office) -> dict[str, tuple[str, str]]:
    """What the doctor finds: sentence -> part and remedy. Advice of the machine is left out."""
    settings = config_file.load(office.config)
    return {
        one.sentence: (part.part, one.remedy)
        for part in examine(settings, office.config, datetime.now(UTC))
        for one in part.findings
        if part.part not in ("clock", "name", "disk")
    }


def mailbox_ports(office: Office) -> list[int]:
    return [one.port for one in config_file.load(office.config).mailbox_listeners]


def said(office: Office, words: str) -> tuple[str, str]:
    """Part and remedy of the one finding in which those words stand."""
    [one] = [sentence for sentence in found(office) if words in sentence]
    return found(office)[one]


def remembered(office: Office, fact: Fact, value: dict[str, object] | None, age: timedelta) -> None:
    """Let the office remember that, or nothing."""
    database = Database(office.database_url, readers=1)
    then = datetime.now(UTC) - age
    if value is None:
        database.write_now(lambda c: forget(c, fact))
    else:
        database.write_now(lambda c: remember(c, fact, value, then))
    database.stop()


def test_status_shows_what_is_open_and_log_what_happened(office: Office) -> None:
    assert office.process is not None
    octets = letters.plain("office", "water education", NUMBERED)
    document = office.accept("office", octets, "water", "education")
    office.settled(document)
    shown = office.run("status").stdout
    assert f"(process {office.process.pid}), health: ok" in shown
    assert "unsigned    2 deliveries of 1 document\n" in shown
    assert f"oldest      {document} 和政办发〔2026〕45号 (extra)" in shown
    assert "missing: education, water" in shown
    assert "! last backup none was made yet" in shown
    assert "防汛" not in shown and "\x1b" not in shown
    data = office.json("status")
    assert (data["running"], data["health"], data["today"]["document"]) == (True, "ok", 1)
    assert data["unsigned"]["oldest"]["id"] == document

    office.here("delivery", "sign", document, "--unit", "water", "--name", "王伟")
    told = office.run("log", "和政办发〔2026〕45号").stdout
    assert told.startswith(f"{document}  accepted\n")
    assert "signed for by water@heping.test (王伟" in told
    assert "receipt put into 回执 of unit:office" in told
    assert "防汛" not in told
    # of many at once one line tells, unless each is asked for
    everybody = office.accept("office", letters.plain("office", "all", "【加急】通知"), "all")
    office.settled(everybody)
    assert "delivered to 44 recipients" in office.run("log", everybody).stdout
    each = office.run("log", everybody, "--all").stdout
    assert each.count("delivered to ") == 44


def test_a_word_that_names_nothing_or_several_is_answered_with_status_1(office: Office) -> None:
    done = office.run("log", "nothing", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("nothing here is called 'nothing'; give the id of a document")
    twins = [
        office.accept("office", letters.plain("office", "water", subject), "water")
        for subject in ("和政办函〔2026〕7号 关于甲的函", "和政办函〔2026〕7号 关于乙的函")
    ]
    done = office.run("log", "和政办函〔2026〕7号", check=False)
    assert done.returncode == 1
    assert all(twin in done.stdout for twin in twins)


def test_a_sound_office_is_found_sound(office: Office) -> None:
    done = office.run("doctor")
    assert done.stdout.endswith("Nothing is wrong.\n")
    assert "well    set-up, process, ports, files" in done.stdout
    data = office.json("doctor")
    assert data["sound"] is True
    assert {"clock", "disk", "database", "units"} <= set(data["examined"])


def test_a_certificate_that_was_not_reloaded_is_found_and_one_that_ends(office: Office) -> None:
    made = certificates.make(office.folder, "next", days=10)
    kept = {name: (office.folder / name).read_bytes() for name in ("tls.crt", "tls.key")}
    (office.folder / "tls.crt").write_bytes(made.file.read_bytes())
    (office.folder / "tls.key").write_bytes(made.key.read_bytes())
    try:
        wrong = [one for one in found(office) if "still shows another certificate" in one]
        doors = [office.submission_port, office.submissions_port, *mailbox_ports(office)]
        assert len(wrong) == len(doors) >= 4
        assert all(any(f"port {port} still" in one for one in wrong) for port in doors)
        assert found(office)[wrong[0]] == ("ports", "systemctl reload yizhan")
        assert "in 9 days" in next(one for one in found(office) if "TLS certificate" in one)
        assert "! ends soon" in office.run("status").stdout
    finally:
        for name, octets in kept.items():
            (office.folder / name).write_bytes(octets)
    assert not [one for one in found(office) if "certificate" in one]


def test_a_door_that_does_not_answer_is_found(office: Office) -> None:
    text = office.config.read_text(encoding="utf-8")
    for port in (office.submission_port, office.imap_port):
        [closed] = free_ports(1)
        office.config.write_text(
            text.replace(f"port = {port}\n", f"port = {closed}\n"), encoding="utf-8"
        )
        try:
            part, remedy = said(office, f"port {closed} (starttls) does not answer with a greeting")
            assert part == "ports" and "firewall" in remedy
        finally:
            office.config.write_text(text, encoding="utf-8")


def test_a_door_of_another_protocol_is_found(office: Office) -> None:
    text = office.config.read_text(encoding="utf-8")
    other = text.replace(f"port = {office.imap_port}\n", f"port = {office.submission_port}\n")
    office.config.write_text(other, encoding="utf-8")
    try:
        part, _ = said(office, f"port {office.submission_port} (starttls) does not answer with")
        assert part == "ports"
    finally:
        office.config.write_text(text, encoding="utf-8")


def test_what_the_health_page_says_is_told(office: Office) -> None:
    outgoing = office.folder / "sms" / "outgoing"
    outgoing.rename(outgoing.with_name("away"))
    try:
        assert said(office, "the health page says of reminders")[0] == "process"
        status = office.run("status").stdout
        assert "!   reminders" in status and "health: degraded" in status
        done = office.run("doctor", check=False)
        assert done.returncode == 1
        assert done.stdout.endswith("Something is wrong.\n")
    finally:
        outgoing.with_name("away").rename(outgoing)


def test_backups_checks_and_a_restore_are_judged(office: Office) -> None:
    assert said(office, "no backup was ever made")[0] == "backup"
    hours = timedelta(hours=40)
    remembered(office, Fact.BACKUP, {"directory": "/backup"}, hours)
    assert said(office, "the last backup is 40 hours old")[1].startswith("`yizhan backup /backup`")
    assert "! last backup 40 hours ago" in office.run("status").stdout
    remembered(office, Fact.BACKUP, {"directory": "/backup"}, timedelta(hours=2))
    remembered(office, Fact.FSCK, {"left": 3}, hours)
    assert "fsck --repair" in said(office, "found faults that are left: 3")[1]
    remembered(office, Fact.FSCK, {"left": 0}, hours)
    remembered(office, Fact.HELD, {"backup_at": "2026-11-20"}, hours)
    assert "yizhan restore release" in said(office, "no receipt, summary or reminder goes out")[1]
    assert "! held        restored from the backup of 2026-11-20" in office.run("status").stdout
    remembered(office, Fact.HELD, None, hours)
    assert found(office) == {}


def test_a_unit_that_lacks_somebody_is_named(office: Office) -> None:
    office.here("unit", "add", "heritage", "--name", "文物局")
    for lacks in ("an account", "a duty person", "a seal in force"):
        part, remedy = said(office, f"1 unit has not {lacks}")
        assert part == "units" and remedy.startswith("`yizhan ")
    office.here("unit", "remove", "heritage")


def test_files_of_others_and_leftovers_are_found(office: Office) -> None:
    key, left = office.folder / "state" / "evidence-key.pem", office.folder / "state" / "x.tmp"
    key.chmod(0o640)
    left.touch()
    try:
        assert said(office, "the evidence key: others can read it") == ("files", f"chmod 600 {key}")
        assert said(office, f"{left}: was left over")[0] == "files"
    finally:
        key.chmod(0o600)
        left.unlink()


def test_a_stopped_office_is_said_to_be_stopped(
    make_office: Callable[..., Office], tmp_path: Path
) -> None:
    office = make_office("stopped")
    assert "! post office does not run" in office.run("status").stdout
    assert "systemctl start yizhan" in said(office, "the post office does not run")[1]
    assert office.json("status")["running"] is False
    settings = config_file.load(office.config)
    examined = examine(settings, office.config, datetime.now(UTC))
    assert not is_sound(examined)
    wrong = [o for part in examined for o in part.findings if o.weight is Weight.WRONG]
    assert len(wrong) == 1, "only that it does not run"
    # a database that is gone is a finding too, and hides nothing of the rest
    shutil.move(office.folder / "state" / "yizhan.db", tmp_path)
    parts = {part for part, _ in found(office).values()}
    assert {"process", "database"} <= parts


def test_a_mailbox_that_is_full_is_found_and_one_that_will_be(office: Office) -> None:
    office.accept("office", letters.plain("office", "water", "函"), "water")
    used = office.json("mailbox", "quota", "water")["octets"]
    try:
        office.run("mailbox", "quota", "water", "1")
        part, remedy = said(office, "the mailbox unit:water is full")
        assert part == "quota" and "yizhan mailbox quota unit:water" in remedy
        status = office.run("status").stdout
        assert "!   quota" in status and "mailboxes are full" in status
        office.run("mailbox", "quota", "water", str(used + 1))
        assert said(office, "the mailbox unit:water will be full soon")[0] == "quota"
        office.accept("office", letters.plain("office", "water", "函二"), "water")  # has room
    finally:
        office.run("mailbox", "quota", "water", "office")
    assert not [one for one in found(office) if "mailbox unit:water" in one]


def test_who_reads_a_mailbox_that_is_full_gets_a_letter(make_office: Callable[..., Office]) -> None:
    office = make_office()
    with office.running():
        office.accept("office", letters.plain("office", "water", "函"), "water")
    office.here("mailbox", "quota", "unit:water", "300")
    with office.running():  # which looks at its start, and every five minutes
        deadline = time.monotonic() + 20
        while not (told := [one for one in office.mailbox("unit:water")["INBOX"] if full(one)]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        office.accept("office", letters.plain("office", "water", "函二"), "water")
    assert len(told) == 1
    assert office.run("fsck", check=False).returncode == 0
    with office.running():
        time.sleep(1)
        assert [one for one in office.mailbox("unit:water")["INBOX"] if full(one)] == told


def full(letter: bytes) -> bool:
    return b"X-Yizhan-Event: Mailbox-Full" in letter
