"""The portal of a running office, as browsers and mail programs meet it: by the CA alone."""

from __future__ import annotations

import imaplib
import json
import plistlib
import poplib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree  # of what the office itself has made

import httpx
import pytest

from tests import letters, manuals
from tests.office import ROOT, Office

pytestmark = pytest.mark.one_database("what is promised is of the pages")

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
ENGLISH = {"Accept-Language": "en-GB,en;q=0.8"}
DISCOVER = """<?xml version="1.0" encoding="utf-8"?>{doctype}
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>
http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a
</AcceptableResponseSchema></Request></Autodiscover>"""
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    made = make_module_office(changes={"[tls]\n": "[submission]\ndelay_seconds = 0.01\n\n[tls]\n"})
    with made.running() as running:
        yield running


class Browser:
    """A browser that trusts the office CA and nothing else."""

    def __init__(self, office: Office, **headers: str) -> None:
        trust = ssl.create_default_context(cafile=str(office.folder / "ca.crt"))
        self.client = httpx.Client(
            base_url=f"https://localhost:{office.portal_port}",
            verify=trust, headers=headers or CHINESE, timeout=60, trust_env=False,
        )  # fmt: skip

    def get(self, path: str = "/") -> httpx.Response:
        return self.client.get(path)

    def token(self) -> str:
        found = _TOKEN.search(self.get().text)
        assert found
        return found[1]

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"form_token": self.token(), **fields})

    def login(self, login: str, password: str) -> httpx.Response:
        return self.post("/login", login=login, password=password)

    def change(self, old: str, new: str, again: str | None = None) -> httpx.Response:
        return self.post("/password", present=old, new=new, again=new if again is None else again)


@pytest.fixture
def browser(office: Office) -> Iterator[Browser]:
    made = Browser(office)
    with made.client:
        yield made


def added(office: Office, login: str, *words: str) -> str:
    made = office.here("account", "add", login, "--name", "新人<i>", "--unit", "water:clerk",
                       "--address", "water", *words, "--json")  # fmt: skip
    return str(json.loads(made)["password"])


def mail_from(office: Office, login: str, password: str) -> tuple[int, str]:
    """What a mail program hears that logs in and begins to send."""
    with smtplib.SMTP("127.0.0.1", office.submission_port, timeout=30) as client:
        client.starttls(context=office.trust)
        client.login(login, password)
        code, text = client.mail("water@heping.test")
        return code, text.decode()


def test_the_certificate_is_good_by_the_ca_alone_at_every_door(
    office: Office, program: Callable[[str], str]
) -> None:
    for port, words in (
        (office.portal_port, []),
        (office.submissions_port, []),
        (office.submission_port, ["-starttls", "smtp"]),
    ):
        done = subprocess.run(
            [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}",
             "-CAfile", str(office.folder / "ca.crt"), "-no-CApath", "-no-CAstore", "-x509_strict",
             "-verify_return_error", "-verify_hostname", "autoconfig.heping.test", *words],
            input="", capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr


def test_a_person_logs_in_sees_the_own_data_and_changes_the_password(
    office: Office, browser: Browser
) -> None:
    first = added(office, "changer", "--lasting")
    page = browser.login("changer", first)
    assert (page.status_code, page.headers["location"]) == (303, "/")
    text = browser.get().text
    assert "新人&lt;i&gt;" in text and "<i>" not in text
    assert "changer" in text and "water@heping.test" in text
    assert "水务局" in text and "收发员" in text and "有效" in text  # the unit's seal
    assert "初始密码" not in text
    answer = browser.change(first, "correct horse battery")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?changed")
    assert "密码已修改" in browser.get("/?changed").text
    assert mail_from(office, "changer", "correct horse battery")[0] == 250
    with pytest.raises(smtplib.SMTPAuthenticationError):
        mail_from(office, "changer", first)
    [change] = [
        one for one in json.loads(office.here("directory", "log", "changer", "--json"))
        if one["action"] == "password"
    ]  # fmt: skip
    assert change["actor"] == "changer (portal)"
    assert "password-changed" in office.log
    for secret in (first, "correct horse battery"):
        assert secret not in office.log


def test_a_first_password_sends_and_reads_nothing_until_it_is_changed_at_the_portal(
    office: Office, browser: Browser
) -> None:
    first = added(office, "newcomer")
    code, text = mail_from(office, "newcomer", first)
    assert code == 550
    assert "https://localhost:2443/" in text and "first password must be changed" in text
    with (
        imaplib.IMAP4_SSL("127.0.0.1", office.imaps_port, ssl_context=office.trust) as reader,
        pytest.raises(imaplib.IMAP4.error, match=r"\[EXPIRED\].*before you can send or read"),
    ):
        reader.login("newcomer", first)
    fetcher = poplib.POP3_SSL("127.0.0.1", office.pop3s_port, context=office.trust)
    fetcher.user("newcomer")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\].*before you can send or read"):
        fetcher.pass_(first)
    fetcher.close()
    browser.login("newcomer", first)
    assert "您正在使用初始密码" in browser.get().text
    browser.change(first, "ein gutes Kennwort")
    assert "您正在使用初始密码" not in browser.get().text
    assert mail_from(office, "newcomer", "ein gutes Kennwort")[0] == 250
    with imaplib.IMAP4_SSL("127.0.0.1", office.imaps_port, ssl_context=office.trust) as reader:
        assert reader.login("newcomer", "ein gutes Kennwort")[0] == "OK"
    again = json.loads(office.here("account", "password", "newcomer", "--json"))["password"]
    assert mail_from(office, "newcomer", again)[0] == 550
    given = office.folder / "given"
    given.write_text("typed by the operator\n")
    office.here("account", "password", "newcomer", "--password-file", str(given))
    assert mail_from(office, "newcomer", "typed by the operator")[0] == 250


@pytest.mark.parametrize(
    ("new", "again", "sentence"),
    [
        ("short", "short", "太短"),
        ("x" * 129, "x" * 129, "太长"),
        ("abababababab", "abababababab", "太简单"),
        ("my-picky-word", "my-picky-word", "不能含有账号"),
        ("good enough", "good enougH", "不一致"),
        ("good\x07enough", "good\x07enough", "无法显示"),
        (None, None, "不能与当前密码相同"),
    ],
)
def test_a_password_that_will_not_do_is_refused_in_a_sentence(
    new: str | None, again: str | None, sentence: str, office: Office
) -> None:
    if not office.sql("SELECT 1 FROM accounts WHERE login = 'picky'"):
        _passwords["picky"] = added(office, "picky")
    browser, password = Browser(office), _passwords["picky"]
    with browser.client:
        browser.login("picky", password)
        answer = browser.change(password, new or password, again)
        assert answer.status_code == 400
        assert sentence in answer.text


_passwords: dict[str, str] = {}


def test_the_present_password_is_asked_for_again(office: Office, browser: Browser) -> None:
    password = added(office, "asked")
    browser.login("asked", password)
    answer = browser.change("not that one", "something else")
    assert (answer.status_code, "账号或密码错误" in answer.text) == (400, True)
    assert "something else" not in answer.text


def test_wrong_passwords_lock_the_portal_and_the_mail_doors_together(
    office: Office, browser: Browser
) -> None:
    password = added(office, "guessed", "--lasting")
    for _ in range(4):
        answer = browser.login("guessed", "wrong")
        assert (answer.status_code, "账号或密码错误" in answer.text) == (403, True)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        mail_from(office, "guessed", "wrong")  # the fifth
    answer = browser.login("guessed", password)
    assert (answer.status_code, "分钟后再试" in answer.text) == (403, True)
    office.here("account", "unlock", "guessed")
    assert browser.login("guessed", password).status_code == 303


def test_a_form_that_did_not_come_from_our_page_does_nothing(
    office: Office, browser: Browser
) -> None:
    password = added(office, "forged", "--lasting")
    browser.login("forged", password)
    stolen = {"present": password, "new": "by a stranger", "again": "by a stranger"}
    other = Browser(office)
    with other.client:
        for token in ("", "0" * 64, other.token()):  # that of another browser is worth nothing
            answer = browser.client.post("/password", data={"form_token": token, **stolen})
            assert answer.status_code == 403
    answer = browser.client.post(
        "/password", data={"form_token": browser.token(), **stolen},
        headers={"Sec-Fetch-Site": "cross-site"},
    )  # fmt: skip
    assert answer.status_code == 403
    assert mail_from(office, "forged", password)[0] == 250


def test_a_session_ends_with_the_password_with_the_account_and_by_logging_out(
    office: Office, browser: Browser
) -> None:
    password = added(office, "ended")
    browser.login("ended", password)
    browser.post("/logout")
    assert "ended" not in browser.get().text
    browser.login("ended", password)
    kept = dict(browser.client.cookies)
    assert "新人" in browser.get().text
    password = json.loads(office.here("account", "password", "ended", "--json"))["password"]
    assert "新人" not in browser.get().text
    browser.login("ended", password)
    assert dict(browser.client.cookies) != kept  # never the token that was there before
    office.here("account", "change", "ended", "--inactive")
    assert "新人" not in browser.get().text


def test_every_answer_forbids_scripts_frames_and_caches(browser: Browser) -> None:
    for path in ("/", "/nowhere", "/ca.crt"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script" not in policy and "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["cache-control"] == "no-store"
    page = browser.get()
    assert "<script" not in page.text and " style=" not in page.text and "<style" not in page.text
    browser.client.cookies.clear()
    cookie = browser.get().headers["set-cookie"].lower()
    for word in ("__host-yizhan=", "secure", "httponly", "samesite=strict", "path=/"):
        assert word in cookie
    assert browser.get("/style.css").headers["content-type"].startswith("text/css")


def test_the_page_speaks_the_readers_language(office: Office) -> None:
    for headers, word in ((CHINESE, "登录"), (ENGLISH, "Log in"), ({"X": "y"}, "登录")):
        reader = Browser(office, **headers)
        with reader.client:
            assert word in reader.get().text
            wrong = reader.login("nobody-here", "wrong").text
            assert ("密码错误" in wrong) is (word == "登录")


def test_what_is_too_large_or_unknown_is_refused(office: Office, browser: Browser) -> None:
    assert browser.post("/login", login="x" * 9000).status_code == 413
    assert browser.client.post("/login", content=b"\xff=1").status_code == 400
    assert browser.client.post("/login", content=b"&".join([b"a=1"] * 50)).status_code == 400
    assert browser.get("/login").status_code == 405
    assert browser.get("/../../etc/passwd").status_code == 404
    answer = browser.client.post("/login", content=b"form_token=" + b"x" * 70_000)
    assert answer.status_code == 413


def test_thunderbird_finds_well_formed_settings(office: Office, browser: Browser) -> None:
    for path in ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"):
        answer = browser.get(f"{path}?emailaddress=water%40heping.test")
        assert answer.headers["content-type"].startswith("text/xml")
        root = Tree.fromstring(answer.content)  # noqa: S314
        assert root.findtext("emailProvider/domain") == "heping.test"
        assert servers_of(root, "outgoingServer") == [
            ("smtp", "mail.heping.test", str(office.submissions_port), "SSL"),
            ("smtp", "mail.heping.test", str(office.submission_port), "STARTTLS"),
        ]
        assert servers_of(root, "incomingServer")[:2] == [
            ("imap", "mail.heping.test", str(office.imaps_port), "SSL"),
            ("imap", "mail.heping.test", str(office.imap_port), "STARTTLS"),
        ]


def servers_of(root: Tree.Element, element: str) -> list[tuple[str | None, ...]]:
    return [
        (one.get("type"), *(one.findtext(key) for key in ("hostname", "port", "socketType")))
        for one in root.iter(element)
    ]


def test_outlook_finds_its_settings_and_no_entity_is_ever_resolved(
    office: Office, browser: Browser
) -> None:
    def ask(path: str, text: str) -> str:
        answer = browser.client.post(path, content=text.encode())
        assert answer.status_code == 200
        Tree.fromstring(answer.content)  # noqa: S314
        return answer.text

    good = DISCOVER.format(doctype="", address="Water@heping.test")
    for path in ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"):
        said = ask(path, good)
        assert f"<Port>{office.submissions_port}</Port>" in said
        assert f"<Port>{office.imaps_port}</Port>" in said and said.count("<Protocol>") == 2
        assert "<LoginName>water</LoginName>" in said and "<SSL>on</SSL>" in said
    secret = office.folder / "secret"
    secret.write_text("a-secret-file@heping.test")
    for doctype, address in (
        (f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]>', "&e;"),
        ('<!DOCTYPE a [<!ENTITY e "water@heping.test">]>', "&e;"),
        (f'<!DOCTYPE a SYSTEM "file://{secret}">', "water@heping.test"),
        ("", "&e;"),
        ("", "water@elsewhere.test"),
        ("", "<b>nobody</b>"),
    ):
        said = ask(
            "/autodiscover/autodiscover.xml", DISCOVER.format(doctype=doctype, address=address)
        )
        assert "<ErrorCode>600</ErrorCode>" in said
        assert "a-secret-file" not in said and "<Port>" not in said
    assert browser.client.post("/autodiscover/autodiscover.xml", content=b"<").status_code == 200
    large = browser.client.post("/autodiscover/autodiscover.xml", content=b" " * 20_000)
    assert large.status_code == 413


def test_apples_profile_has_the_office_ca_and_the_account(office: Office, browser: Browser) -> None:
    answer = browser.get("/email.mobileconfig?email=water%40heping.test")
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    profile = plistlib.loads(answer.content)
    ca, account = profile["PayloadContent"]
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    assert account["IncomingMailServerPortNumber"] == office.imaps_port
    assert ca["PayloadType"] == "com.apple.security.root"
    assert ca["PayloadContent"] == browser.get("/ca.crt").content
    pem = (office.folder / "ca.crt").read_text()
    assert ca["PayloadContent"] == ssl.PEM_cert_to_DER_cert(pem)
    assert browser.get("/email.mobileconfig?email=x@elsewhere.test").status_code == 400
    assert browser.get("/email.mobileconfig?email=%22%3E").status_code == 400


def test_whoever_says_nothing_keeps_nobody_else_out(office: Office, browser: Browser) -> None:
    """A connection without a handshake, and one with half a request, hold a place and no more."""
    there, stranger = ("127.0.0.1", office.portal_port), ("127.0.0.2", 0)
    silent = [socket.create_connection(there, 10, stranger) for _ in range(25)]
    trust = ssl.create_default_context(cafile=str(office.folder / "ca.crt"))
    plain = socket.create_connection(there, 10)
    half = trust.wrap_socket(plain, server_hostname="localhost")
    half.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nform")
    try:
        assert browser.get().status_code == 200
        assert silent[-1].recv(1) == b""  # an address has twenty places
    finally:
        for one in (*silent, half):
            one.close()


def test_a_renewed_certificate_is_shown_after_a_reload_and_is_still_by_the_same_ca(
    office: Office,
) -> None:
    def serial() -> str:
        trust = ssl.create_default_context(cafile=str(office.folder / "ca.crt"))
        with (
            socket.create_connection(("127.0.0.1", office.portal_port), timeout=10) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            return str(client.getpeercert()["serialNumber"])  # type: ignore[index]

    before = serial()
    office.here("certificate", "renew", "--new-key", "--name", "post.heping.test")
    assert office.process is not None
    office.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while serial() == before:
        assert time.monotonic() < deadline, office.log
        time.sleep(0.1)
    [server, *_] = json.loads(office.here("certificate", "show", "--json"))
    assert "post.heping.test" in server["names"]
    refused = office.run("certificate", "renew", "--name", "www.bank.test", check=False)
    assert refused.returncode == 1
    assert "may not sign this name" in refused.stderr


def test_a_unit_turns_ready_when_all_was_so_once(office: Office) -> None:
    def row() -> dict[str, Any]:
        told = json.loads(office.here("unit", "readiness", "--json"))
        [found] = [one for one in told["units"] if one["unit"] == "water"]
        return dict(found)

    octets = letters.plain("water", "water", "函").replace(
        b"Subject:", b"User-Agent: Mozilla Thunderbird\r\nSubject:", 1
    )
    document_id = office.accept("water", octets, "water")
    office.settled(document_id)
    found = row()
    assert found["client"] == "Mozilla Thunderbird"
    assert found["last_sent"] and found["received"] and found["seal_valid"]
    assert {"signed", "sms"} <= set(found["missing"])
    office.here("delivery", "sign", document_id, "--unit", "water", "--name", "李娜")
    office.sql("UPDATE reminders SET state = 'sent' WHERE document_id = ?", document_id)
    if not office.sql("SELECT 1 FROM reminders WHERE document_id = ?", document_id):
        pytest.fail("no reminder was made")
    deadline = time.monotonic() + 40
    while row()["missing"]:  # the login is written down within twenty seconds
        assert time.monotonic() < deadline, row()
        time.sleep(1)
    told = office.here("unit", "readiness").decode()
    assert re.search(r"1 of 44 ready", told)
    page = office.folder / "readiness.html"
    office.here("unit", "readiness", "--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.count('class="ready"') == 1 and "44 个单位中 1 个已就绪" in text


def test_sheets_set_the_passwords_that_they_print(office: Office, tmp_path: Path) -> None:
    first = added(office, "sheeted")
    chosen = added(office, "chosen", "--lasting")
    page = tmp_path / "sheets.html"
    told = json.loads(
        office.here("account", "sheet", "--unit", "water", "--new-password",
                    "--output", str(page), "--json")
    )  # fmt: skip
    assert page.stat().st_mode & 0o077 == 0
    assert "sheeted" in told["new_passwords"] and "chosen" not in told["new_passwords"]
    text = page.read_text(encoding="utf-8")
    assert text.count('<article class="sheet"') == told["sheets"]
    assert text.count("<svg") == told["sheets"] and "<script" not in text
    [mine] = [one for one in text.split("<article") if ">sheeted<" in one]
    password = re.search(r'class="password">([^<]+)<', mine)
    assert password and password[1] != first
    assert "新人&lt;i&gt;" in mine and "<i>" not in mine
    assert mail_from(office, "sheeted", password[1])[0] == 550  # a first password
    assert mail_from(office, "chosen", chosen)[0] == 250
    show = json.loads(office.here("certificate", "show", "--json"))
    ca = next(one for one in show if one["what"] == "office CA")
    assert ca["sha256"][:47] in mine and str(office.submissions_port) in mine
    again = office.run("account", "sheet", "water", "--output", str(page), check=False)
    assert (again.returncode, "such a file already" in again.stderr) == (1, True)
    blank = tmp_path / "blank.html"
    office.here("account", "sheet", "sheeted", "--output", str(blank))
    assert 'class="blank"' in blank.read_text(encoding="utf-8")
    failed = office.run("account", "sheet", "nobody", "-o", str(tmp_path / "n.html"), check=False)
    assert failed.returncode == 1 and not (tmp_path / "n.html").exists()


def test_every_command_of_the_page_on_clients_does_what_it_says(
    office: Office, tmp_path: Path
) -> None:
    told = {}
    for command in manuals.console_commands(ROOT / "docs" / "clients.md"):
        if command.startswith("yizhan "):
            words = command.replace("/root", str(tmp_path)).split()[1:]
            words = [str(tmp_path / one) if one == "office-ca.crt" else one for one in words]
            told[command.split(" --")[0]] = office.here(*words).decode()
    assert "_submissions._tcp.heping.test." in told["yizhan records"]
    assert "10.1.0.25" in told["yizhan records"]
    der = (tmp_path / "office-ca.crt").read_bytes()
    assert ssl.DER_cert_to_PEM_cert(der).split() == (office.folder / "ca.crt").read_text().split()
    # None of the demo's 47 people loses a password that counts as the own one.
    sheets = (tmp_path / "sheets.html").read_text(encoding="utf-8")
    assert sheets.count('<article class="sheet"') >= len(office.accounts)
    assert mail_from(office, "water", office.accounts["water"]["password"])[0] == 250
    assert (tmp_path / "readiness.html").exists()
