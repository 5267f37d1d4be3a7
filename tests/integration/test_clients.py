"""Mail clients that people have, from Debian, against a real post office."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import pytest

from tests import letters, postbox
from tests.office import Office

pytestmark = pytest.mark.one_database("the wire dialogs of mail clients")

Find = Callable[[str], str]
ACCEPTED = re.compile(r"250 2\.0\.0 ([0-9a-z]{26}) accepted")
SUBJECT = "和水报〔2026〕12号 关于防汛值班安排的报告"
# What swaks ends with, by what went wrong.
NO_AUTH, BAD_AUTH, BAD_SENDER, BAD_RECIPIENTS, BAD_DATA = 28, 28, 23, 24, 26


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


def run(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(list(words), input=given, capture_output=True, timeout=60, check=False)


def the_id(output: str) -> str:
    found = ACCEPTED.search(output)
    assert found, output
    return found[1]


def newest(office: Office) -> str:
    """The id of the document that came last, for clients that keep the reply to themselves."""
    return str(office.sql("SELECT id FROM documents ORDER BY received_at DESC, id DESC LIMIT 1")[0])


class Swaks:
    """swaks with the office's certificate as its only authority, and one account."""

    def __init__(self, office: Office, program: str, login: str = "water") -> None:
        self._office, self._program, self._login = office, program, login

    def __call__(self, *words: str, tls: str = "--tls", password: str = "") -> tuple[int, str]:
        office, login = self._office, self._login
        port = office.submissions_port if tls == "--tlsc" else office.submission_port
        trust = ["--tls-verify", "--tls-ca-path", str(office.folder / "tls.crt")] if tls else []
        password = password or office.accounts[login]["password"]
        done = run(
            self._program, "--server", f"127.0.0.1:{port}", *([tls] if tls else []), *trust,
            "--auth-user", login, "--auth-password", password,
            "--from", office.accounts[login]["address"], *words,
        )  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).decode()


@pytest.fixture
def swaks(office: Office, program: Find) -> Swaks:
    return Swaks(office, program("swaks"))


@pytest.mark.parametrize("tls", ["--tls", "--tlsc"])
@pytest.mark.parametrize("way", ["PLAIN", "LOGIN"])
def test_swaks_sends_over_starttls_and_tls_with_plain_and_login(
    tls: str, way: str, swaks: Swaks, office: Office
) -> None:
    status, output = swaks(
        "--auth", way, "--to", "office@heping.test", "--header", f"Subject: {SUBJECT}",
        "--body", f"by {way} over {tls}", tls=tls,
    )  # fmt: skip
    assert status == 0, output
    assert f"AUTH {way}" in output
    found = office.document(the_id(output))
    # swaks writes the subject as raw UTF-8, which no header may hold and many do.
    assert found["metadata"]["number"] == "和水报〔2026〕12号"
    assert found["sender"]["account"] == "water"
    assert found["sender"]["client"]["login"] == "password"
    assert found["sender"]["client"]["tls"].startswith("TLSv1.")
    [view] = postbox.letters(office, "unit:office", found["id"])
    assert f"by {way} over {tls}" in view.text


def test_swaks_sends_with_an_attachment_and_in_a_pipeline(
    swaks: Swaks, office: Office, tmp_path: Path
) -> None:
    table = tmp_path / "值班表.csv"
    table.write_text("日期,带班领导\n11月21日,冯志强\n", encoding="utf-8")
    status, output = swaks(
        "--auth", "PLAIN", "--pipeline", "--to", "office@heping.test,finance@heping.test",
        "--attach-type", "text/csv", "--attach", f"@{table}",
        "--header", "Subject: 值班表", "--body", "见附件",
    )  # fmt: skip
    assert status == 0, output
    found = office.document(the_id(output))
    assert {one["owner"] for one in found["recipients"]} == {"unit:office", "unit:finance"}
    [view] = postbox.letters(office, "unit:finance", found["id"])
    assert view.part("text/csv").get_payload(decode=True) == table.read_bytes()


def test_swaks_with_a_wrong_password_gets_535_and_no_further(swaks: Swaks) -> None:
    status, output = swaks("--auth", "LOGIN", "--to", "office@heping.test", password="wrong")
    assert status == BAD_AUTH
    assert "535 5.7.8 Login or password is wrong" in output
    assert "MAIL FROM" not in output


def test_swaks_is_told_of_an_unknown_recipient_at_once(swaks: Swaks) -> None:
    status, output = swaks("--auth", "PLAIN", "--to", "nobody@heping.test")
    assert status == BAD_RECIPIENTS
    assert "550 5.1.1 There is no such recipient in this office" in output


def test_swaks_cannot_send_as_another_unit(swaks: Swaks) -> None:
    status, output = swaks("--auth", "PLAIN", "--to", "office@heping.test",
                           "--from", "finance@heping.test")  # fmt: skip
    assert status == BAD_SENDER
    assert "553 5.7.1 This account may not send under that address" in output


def test_swaks_is_told_after_the_message_why_it_is_refused(swaks: Swaks) -> None:
    status, output = swaks(
        "--auth", "PLAIN", "--to", "office@heping.test", "--header-To", "finance@heping.test"
    )
    assert status == BAD_DATA
    assert "550 5.7.1 Refused: no blind copies here. Put office@heping.test into To" in output


def test_without_tls_no_login_is_offered_and_nothing_can_be_sent(
    swaks: Swaks, office: Office
) -> None:
    status, output = swaks("--auth", "PLAIN", "--to", "office@heping.test", tls="")
    assert status == NO_AUTH
    assert office.accounts["water"]["password"] not in output
    assert "AUTH" not in output.replace("STARTTLS", "")
    status, output = swaks("--auth-optional", "PLAIN", "--to", "office@heping.test", tls="")
    assert status == BAD_SENDER
    assert "530 5.7.0 Start TLS first" in output
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=10) as client:
        client.ehlo()
        assert client.docmd("AUTH", "PLAIN AHdhdGVyAHB3")[0] == 538


def test_msmtp_sends_with_a_delivery_notification_request(
    office: Office, program: Find, tmp_path: Path
) -> None:
    rc = tmp_path / "msmtprc"
    rc.write_text(
        "defaults\n"
        f"tls on\ntls_trust_file {office.folder / 'tls.crt'}\nauth on\n"
        f"user water\npassword {office.accounts['water']['password']}\n"
        "from water@heping.test\n"
        f"account starttls\nhost localhost\nport {office.submission_port}\n"
        f"account tls\nhost localhost\nport {office.submissions_port}\ntls_starttls off\n",
        encoding="utf-8",
    )
    rc.chmod(0o600)
    for account, wish in (("starttls", "never"), ("tls", "success,failure")):
        octets = letters.plain("water", "office", SUBJECT)
        done = run(
            program("msmtp"), "-C", str(rc), "-a", account, "--read-recipients",
            "--dsn-notify", wish, "--dsn-return", "hdrs", given=octets,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        found = office.settled(newest(office))
        assert found["dsn"]["ret"] == "HDRS"
        assert found["envelope"][0]["notify"] == ",".join(sorted(wish.upper().split(",")))
        sent = postbox.receipts(office, "unit:water", found["id"])
        assert len(sent) == (0 if wish == "never" else 1)


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_curl_uploads_the_exact_octets(
    scheme: str, office: Office, program: Find, tmp_path: Path
) -> None:
    port = office.submissions_port if scheme == "smtps" else office.submission_port
    file = tmp_path / "report.eml"
    # lines that begin with dots must be doubled on the wire and undone again
    file.write_bytes(
        letters.plain("water", "office", SUBJECT).partition(b"\r\n\r\n")[0]
        + b"\r\n\r\n.\r\n..\r\nthe end\r\n"
    )
    done = run(
        program("curl"), "--silent", "--show-error", "--ssl-reqd",
        "--url", f"{scheme}://localhost:{port}/client.heping.test",
        "--cacert", str(office.folder / "tls.crt"),
        "--user", f"water:{office.accounts['water']['password']}",
        "--mail-from", "water@heping.test", "--mail-rcpt", "office@heping.test",
        "--upload-file", str(file),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert office.here("document", "export", newest(office)) == file.read_bytes()


def test_curl_does_not_trust_another_certificate(office: Office, program: Find) -> None:
    done = run(
        program("curl"), "--silent", "--show-error", "--ssl-reqd",
        "--url", f"smtps://localhost:{office.submissions_port}",
        "--user", "water:secret", "--mail-from", "water@heping.test",
    )  # fmt: skip
    assert done.returncode == 60  # CURLE_PEER_FAILED_VERIFICATION


def international(subject: str) -> bytes:
    """A mail with raw UTF-8 in its header, as RFC 6532 has it."""
    message = EmailMessage(policy=policy.SMTPUTF8)
    message["From"] = "水务局 <water@heping.test>"
    message["To"] = "区政府办 <office@heping.test>"
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="heping.test")
    message.set_content("区政府办公室：\n\n  报告如下。\n", cte="8bit")
    return message.as_bytes()


def test_python_sends_an_internationalised_message(office: Office) -> None:
    octets = international(SUBJECT)
    assert SUBJECT.encode() in octets
    options = ["SMTPUTF8", "BODY=8BITMIME"]
    with office.client("water") as client:
        assert client.sendmail("water@heping.test", ["office@heping.test"], octets, options) == {}
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("water@heping.test", ["没有@heping.test"], octets, options)
        code, text = refused.value.recipients["没有@heping.test"]
        assert (code, "本局没有这个收件人" in text.decode()) == (550, True)
    found = office.document(newest(office))
    assert found["metadata"]["number"] == "和水报〔2026〕12号"
    assert found["sender"]["client"]["protocol"] == "UTF8SMTPSA"
    assert office.here("document", "export", found["id"]) == octets


def test_who_speaks_smtputf8_is_refused_in_chinese_and_others_in_english(office: Office) -> None:
    octets = international("关于评奖的函").replace(b"To: ", b"X-To: ")
    with office.client("water") as client:
        for options, word in ((["SMTPUTF8"], "密送"), ([], "blind copies")):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("water@heping.test", ["office@heping.test"], octets, options)
            client.rset()
            assert refused.value.smtp_code == 550
            assert word in refused.value.smtp_error.decode()
