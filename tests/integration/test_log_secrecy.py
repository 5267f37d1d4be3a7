"""The whole log of a daemon, searched for what must never be in it."""

from __future__ import annotations

import base64
import json
import re
import smtplib
from collections.abc import Callable

import pytest

from tests import letters
from tests.attack.strangers import Stranger
from tests.office import Office

pytestmark = pytest.mark.one_database("what the daemon says")

PASSWORD, TYPED = "Winterpass-7391", "Kennwort-4420"
SUBJECT, TEXT, FILE, FIELD = "钟楼修缮", "石桥封闭", "账册明细", "Lantern-5582"
RECIPIENT = "willow-6633"
MARKS = (PASSWORD, TYPED, SUBJECT, TEXT, FILE, FIELD, RECIPIENT)


def forms(mark: str) -> list[str]:
    """As it is, in small letters, and as it goes over the wire."""
    octets = mark.encode()
    quoted = "".join(f"={octet:02X}" for octet in octets)
    # Base64 of it at each of three places, without the letters that its neighbours change.
    shifted = [base64.b64encode(bytes(n) + octets).decode()[4 if n else 0 :] for n in range(3)]
    escaped = json.dumps(mark)[1:-1]
    return [mark, mark.casefold(), escaped, quoted, *(one.rstrip("=")[:-2] for one in shifted)]


def letter(subject: str) -> bytes:
    octets = letters.plain("water", "office", subject, TEXT + "\n", X_Office=FIELD)
    return letters.with_attachment(octets, f"{FILE}.txt", TEXT.encode())


@pytest.mark.parametrize("form", ["json", "journald", "console"])
def test_no_password_and_no_content_is_in_the_log(
    make_office: Callable[..., Office], form: str
) -> None:
    quick = f'[submission]\ndelay_seconds = 0.01\n\n[log]\nformat = "{form}"\nlevel = "debug"'
    with make_office(changes={"[tls]": f"{quick}\n\n[tls]"}).running() as office:
        document = office.accept("water", letter(SUBJECT), "office")
        assert office.accept("water", letter(SUBJECT), "office") != document
        code, _ = office.send("water", letter(f"机密★1年 {SUBJECT}"), "office")
        assert code == 550
        with Stranger(office.submission_port, "127.0.0.3") as client:
            client.starttls()
            assert client.login("water", PASSWORD) == 535
            assert client.login(TYPED, "water") == 535  # in the wrong field
            assert client.ask(b"AUTH LOGIN " + base64.b64encode(TYPED.encode())) == 334
            assert client.ask(base64.b64encode(PASSWORD.encode())) == 535
            assert client.ask(f"AUTH PLAIN {PASSWORD}".encode()) == 501
            assert client.ask(PASSWORD.encode()) == 500
            assert client.ask(f"MAIL FROM:<{RECIPIENT}@heping.test> {FIELD}=1".encode()) == 530
        with office.client("water") as client:
            assert client.mail("water@heping.test")[0] == 250
            assert client.rcpt(f"{RECIPIENT}@heping.test")[0] == 550
            with pytest.raises(smtplib.SMTPServerDisconnected):
                client.docmd("GET", FIELD)
                client.noop()
        office.settled(document)
        office.stop()
        said = office.log
    for mark in MARKS:
        assert [one for one in forms(mark) if one in said] == []
    for account in ("water",):
        assert office.accounts[account]["password"] not in said
    name = '"event": "{}"' if form == "json" else r"(?m)(?:^<\d>| ){} "
    for event in ("ready", "accepted", "refused", "login-failed", "command-refused", "login"):
        assert re.search(name.format(event), said), event
    assert said.count(document) >= 1
    refusals = office.sql("SELECT id FROM refusals")
    assert all(refusal in said for refusal in refusals)
    assert len(refusals) == 1
