"""Logging in by client certificate instead of a password, with real clients."""

from __future__ import annotations

import json
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import certificates, letters
from tests.certificates import Certificate
from tests.office import Office

pytestmark = pytest.mark.one_database(
    "who may log in by which certificate is decided before any document is there"
)

Find = Callable[[str], str]


@pytest.fixture(scope="module")
def trusted(make_module_office: Callable[..., Office]) -> Iterator[tuple[Office, Certificate]]:
    """An office that trusts one CA for client certificates, and that CA."""
    office = make_module_office(changes={"[tls]": '[submission]\nclient_ca = "ca.pem"\n\n[tls]'})
    ca = certificates.make(office.folder, "ca", ca=True)
    with office.running():
        yield office, ca


@pytest.fixture
def office(trusted: tuple[Office, Certificate]) -> Office:
    return trusted[0]


@pytest.fixture
def ca(trusted: tuple[Office, Certificate]) -> Certificate:
    return trusted[1]


@contextmanager
def shown(office: Office, own: Certificate) -> Iterator[smtplib.SMTP]:
    """A client that shows the certificate in its handshake and has not logged in."""
    trust = ssl.create_default_context(cafile=str(office.folder / "tls.crt"))
    trust.load_cert_chain(own.file, own.key)
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30) as client:
        client.starttls(context=trust)
        client.ehlo()
        yield client


def external(client: smtplib.SMTP) -> int:
    return client.docmd("AUTH", "EXTERNAL =")[0]


def test_a_certificate_of_the_offices_ca_logs_in_by_its_fingerprint(
    office: Office, ca: Certificate, tmp_path: Path
) -> None:
    own = certificates.make(tmp_path, "water", ca)
    with shown(office, own) as client:
        assert "EXTERNAL" in client.esmtp_features["auth"]
        assert external(client) == 535
    office.here("account", "change", "water", "--certificate", own.fingerprint)
    with shown(office, own) as client:
        # the handshake alone logs nobody in
        assert client.docmd("MAIL", "FROM:<water@heping.test>")[0] == 530
        assert external(client) == 235
        code, text = office.offer(client, "water", letters.plain("water", "office", "函"), "office")
        assert code == 250, text
    found = office.document(text.split()[1])
    assert found["sender"]["client"]["login"] == "certificate"
    assert found["evidence"][0]["actor"]["login"] == "certificate"
    office.here("account", "change", "water", "--no-certificate")
    with shown(office, own) as client:
        assert external(client) == 535


def test_a_self_signed_certificate_logs_in_once_the_directory_has_it(
    office: Office, tmp_path: Path
) -> None:
    own = certificates.make(tmp_path, "education")
    with pytest.raises((ssl.SSLError, smtplib.SMTPException, OSError)), shown(office, own):
        pass
    office.here("account", "change", "education", "--certificate", str(own.file))
    with shown(office, own) as client:
        assert external(client) == 235
        assert client.docmd("MAIL", "FROM:<education@heping.test>")[0] == 250
    [listed] = json.loads(office.here("account", "show", "education", "--json"))["certificates"]
    assert listed["fingerprint"] == own.fingerprint


@pytest.mark.parametrize("days", [-1, 30])
def test_an_expired_certificate_and_one_of_a_strange_ca_end_the_handshake(
    days: int, office: Office, ca: Certificate, tmp_path: Path
) -> None:
    issuer = ca if days < 0 else certificates.make(tmp_path, "other-ca", ca=True)
    own = certificates.make(tmp_path, "x", issuer, days=days)
    with pytest.raises((ssl.SSLError, smtplib.SMTPException, OSError)), shown(office, own):
        pass
    with office.client("water") as client:
        assert client.noop()[0] == 250


def test_msmtp_and_curl_send_with_a_certificate_and_without_a_password(
    office: Office, ca: Certificate, program: Find, tmp_path: Path
) -> None:
    own = certificates.make(tmp_path, "finance", ca)
    office.here("account", "change", "finance", "--certificate", own.fingerprint)
    trust = str(office.folder / "tls.crt")
    rc = tmp_path / "msmtprc"
    rc.write_text(
        f"defaults\ntls on\ntls_trust_file {trust}\ntls_cert_file {own.file}\n"
        f"tls_key_file {own.key}\nauth external\nuser finance\nfrom finance@heping.test\n"
        f"account default\nhost localhost\nport {office.submission_port}\n",
        encoding="utf-8",
    )
    rc.chmod(0o600)
    octets = letters.plain("finance", "office", "关于会议的函")
    curl = [
        program("curl"), "--silent", "--show-error",
        "--url", f"smtps://localhost:{office.submissions_port}", "--cacert", trust,
        "--cert", str(own.file), "--key", str(own.key), "--login-options", "AUTH=EXTERNAL",
        "--mail-from", "finance@heping.test", "--mail-rcpt", "office@heping.test",
        "--upload-file", "-",
    ]  # fmt: skip
    commands = (
        [program("msmtp"), "-C", str(rc), "office@heping.test"],
        [*curl, "--user", "finance:"],
        [*curl, "--user", "finance:", "--sasl-ir"],
        # Without a name curl answers the challenge by "=", which is not base64.
        curl,
    )
    for number, command in enumerate(commands):
        mail = octets + b"%d\r\n" % number
        done = subprocess.run(command, input=mail, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, (command, done.stderr.decode())
    assert len(json.loads(office.here("document", "list", "--unit", "finance", "--json"))) == len(
        commands
    )
