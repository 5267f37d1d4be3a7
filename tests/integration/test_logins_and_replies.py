"""Logins and replies at a real post office: in whose language, by what, how many wrong ones.

A clerk reads the own language where the client can show it, and ASCII elsewhere.
"""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests import certificates, letters
from tests.office import Office

pytestmark = pytest.mark.one_database("the wire dialogs of logins and replies")

ENGLISH_UNIT = "commerce"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    """An office that locks soon and answers wrong passwords quickly."""
    quick = "[submission]\nlock_after = 2\ndelay_seconds = 0.01\n\n[tls]"
    with make_module_office(changes={"[tls]": quick}).running() as running:
        yield running


def marked(sender: str) -> bytes:
    return letters.plain(sender, "office", "〔机密〕关于会议的函")


def test_a_refusal_has_the_clerks_language_first_and_ascii_where_that_is_all(
    office: Office,
) -> None:
    octets = marked("water")
    code, text = office.send("water", octets, "office", mail=["SMTPUTF8"])
    first, second = text.splitlines()
    assert code == 550
    assert re.search("[一-鿿]", first)
    assert second.isascii()

    # The same again is answered from memory, in what this client can read.
    code, remembered = office.send("water", octets, "office")
    assert (code, remembered) == (550, second)
    code, remembered = office.send("water", octets, "office", mail=["SMTPUTF8"])
    assert remembered.splitlines() == [first, second]
    assert len(office.sql("SELECT id FROM refusals")) == 1

    code, text = office.send(ENGLISH_UNIT, marked(ENGLISH_UNIT), "office", mail=["SMTPUTF8"])
    assert text.splitlines() == [second, first]


def test_an_acceptance_is_one_line_in_any_language(office: Office) -> None:
    octets = letters.plain("water", "office", "关于会议的函")
    code, text = office.send("water", octets, "office", mail=["SMTPUTF8"])
    assert code == 250
    assert re.fullmatch(r"2\.0\.0 [0-9a-z]{26} accepted", text)


def test_locked_logins_and_the_workers_backlog_are_metrics(office: Office) -> None:
    wrong = base64.b64encode(b"\0finance\0wrong").decode()
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=60) as client:
        client.starttls(context=office.trust)
        client.ehlo()
        answers = [client.docmd("AUTH", f"PLAIN {wrong}") for _ in range(3)]
    assert [code for code, _ in answers] == [535, 535, 454]
    assert answers[0][1] == b"5.7.8 Login or password is wrong"
    page = httpx.get(office.url("/metrics")).text
    assert "\nyizhan_logins_locked 1.0\n" in page
    assert re.search(r"\nyizhan_outbox_waiting [0-9]+\.0\n", page)
    assert re.search(r"\nyizhan_evidence_unsealed [0-9]+\.0\n", page)
    assert httpx.get(office.url("/health")).json()["probes"]["outbox"] == "ok"


def test_a_session_by_certificate_ends_with_its_certificate(office: Office) -> None:
    own = certificates.make(office.folder, "education")
    office.here("account", "change", "education", "--certificate", str(own.file))
    trust = ssl.create_default_context(cafile=str(office.folder / "tls.crt"))
    trust.load_cert_chain(own.file, own.key)
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=60) as client:
        client.starttls(context=trust)
        client.ehlo()
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
        assert client.mail("education@heping.test")[0] == 250
        client.rset()
        office.here("account", "change", "education", "--no-certificate")
        code, text = client.docmd("MAIL", "FROM:<education@heping.test>")
        assert code == 421
        assert text.startswith(b"4.7.0 The account was changed")
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=60) as client:
        client.starttls(context=trust)
        client.ehlo()
        assert "EXTERNAL" not in client.esmtp_features["auth"], "no certificate is known any more"
