"""IMAP at a real post office: who gets in, who sees what, what is filed and what is not.

One office serves all; each test has a unit of its own, or leaves things as they were.
"""

from __future__ import annotations

import base64
import imaplib
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import httpx
import pytest

from tests import certificates, letters
from tests.office import Office

pytestmark = pytest.mark.one_database("what doors say; the rows are asked for elsewhere")

SECONDS = 30
SECRET = "青石桥泵站"
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Client:
    """One connection that hides nothing."""

    def __init__(
        self, office: Office, login: str = "", *, implicit: bool = True,
        trust: ssl.SSLContext | None = None, address: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self.office, self._trust = office, trust or office.trust
        port = office.imaps_port if implicit else office.imap_port
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS, (address, 0))
        self._file = self.socket.makefile("rb")
        if implicit:
            self.secure()
        self.greeting = self.line()
        self._number = 0
        if login:
            self.ok(f'LOGIN {login} "{office.accounts[login]["password"]}"')

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._file.close()
        self.socket.close()

    def secure(self) -> None:
        self.socket = self._trust.wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next response with its literals, without its end; empty: they have hung up."""
        found = self._file.readline()
        while (literal := _LITERAL.search(found)) is not None:
            found += self._file.read(int(literal[1]))
            found += self._file.readline()
        return found.removesuffix(b"\r\n")

    def until(self, tag: str) -> list[bytes]:
        found = [self.line()]
        while not found[-1].startswith(tag.encode() + b" "):
            assert found[-1], found
            found.append(self.line())
        return found

    def say(self, command: str | bytes) -> list[bytes]:
        """All responses; the tagged one last, without its tag."""
        self._number += 1
        tag = f"t{self._number}"
        octets = command.encode() if isinstance(command, str) else command
        self.send(tag.encode() + b" " + octets + b"\r\n")
        found = self.until(tag)
        found[-1] = found[-1].removeprefix(tag.encode() + b" ")
        return found

    def ok(self, command: str | bytes) -> list[bytes]:
        *untagged, last = self.say(command)
        assert last.startswith(b"OK"), (command, last)
        return untagged

    def fails(self, command: str | bytes, code: str = "", how: str = "NO") -> bytes:
        last = self.say(command)[-1]
        wanted = f"{how} [{code}]" if code else f"{how} "
        assert last.startswith(wanted.encode()), (command, last)
        return last

    def append(self, octets: bytes, folder: str = "INBOX", flags: str = "") -> bytes:
        head = f"APPEND {folder} {f'({flags}) ' if flags else ''}{{{len(octets)}+}}\r\n"
        return self.say(head.encode() + octets)[-1]


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    submission = '[submission]\nclient_ca = "ca.pem"\nlock_after = 2\n\n[tls]'
    office = make_module_office(changes={"[tls]": submission})
    certificates.make(office.folder, "ca", ca=True)
    with office.running():
        yield office


@pytest.fixture(autouse=True)
def unharmed(office: Office) -> Iterator[None]:
    """After each test a clerk is served, and nothing has failed inside."""
    yield
    with Client(office, "committee") as client:
        client.ok("SELECT INBOX")
    for word in ("Traceback", "session-failed", "command-failed", "Task exception"):
        assert word not in office.log


def password(office: Office, login: str) -> str:
    return office.accounts[login]["password"]


# Who gets in


def test_no_password_is_taken_in_the_clear(office: Office) -> None:
    with Client(office, implicit=False) as client:
        assert b"LOGINDISABLED" in client.greeting
        assert b"STARTTLS" in client.greeting
        assert b"AUTH=" not in client.greeting
        client.fails(f"LOGIN water {password(office, 'water')}", "PRIVACYREQUIRED")
        plain = base64.b64encode(f"\0water\0{password(office, 'water')}".encode()).decode()
        client.fails(f"AUTHENTICATE PLAIN {plain}", "PRIVACYREQUIRED")
        client.fails("AUTHENTICATE PLAIN", "PRIVACYREQUIRED")
        client.fails("SELECT INBOX", how="BAD")


def test_what_came_in_the_clear_with_starttls_is_not_believed(office: Office) -> None:
    """CVE-2011-0411."""
    with Client(office, implicit=False) as client:
        login = f"x LOGIN water {password(office, 'water')}\r\n"
        client.send(f"a STARTTLS\r\n{login}y CAPABILITY\r\n".encode())
        assert client.line() == b"a OK Begin TLS now"
        client.secure()
        [capability] = client.ok("CAPABILITY")
        assert b"AUTH=PLAIN" in capability
        assert b"STARTTLS" not in capability
        client.fails("SELECT INBOX", how="BAD")
        client.fails("STARTTLS", how="BAD")
        client.ok(f"LOGIN water {password(office, 'water')}")
        client.fails("STARTTLS", how="BAD")
        client.fails(f"LOGIN water {password(office, 'water')}", how="BAD")


def test_sasl_plain_with_and_without_an_initial_response(office: Office) -> None:
    secret = password(office, "water")
    for text, good in (
        (f"\0water\0{secret}", True), (f"water\0water\0{secret}", True),
        (f"{office.accounts['water']['address']}\0water\0{secret}", True),
        (f"office\0water\0{secret}", False), (f"water\0{secret}", False),
    ):  # fmt: skip
        plain = base64.b64encode(text.encode())
        with Client(office) as client:
            last = client.say(b"AUTHENTICATE PLAIN " + plain)[-1]
            assert last.startswith(b"OK [CAPABILITY ") is good, last
        with Client(office) as client:
            client.send(b"a AUTHENTICATE PLAIN\r\n")
            assert client.line() == b"+ "
            client.send(plain + b"\r\n")
            assert client.line().startswith(b"a OK") is good
            assert client.say("SELECT INBOX")[-1].startswith(b"OK") is good
    with Client(office) as client:
        client.send(b"a AUTHENTICATE PLAIN\r\n*\r\n")
        assert client.line() == b"+ "
        assert client.line().startswith(b"a BAD")
        client.fails("AUTHENTICATE PLAIN !!!", how="BAD")
        client.fails("AUTHENTICATE CRAM-MD5")
        client.fails("AUTHENTICATE EXTERNAL =", "AUTHENTICATIONFAILED")


def test_wrong_passwords_lock_the_account_at_all_doors_for_that_address(office: Office) -> None:
    with Client(office) as client:
        for _ in range(2):
            client.fails('LOGIN sports "wrong"', "AUTHENTICATIONFAILED")
        client.fails(f"LOGIN sports {password(office, 'sports')}", "AUTHENTICATIONFAILED")
    with pytest.raises(Exception, match=r"535|454"), office.client("sports"):
        raise AssertionError("the lock is not shared")
    with Client(office, "sports", address="127.0.0.2") as other:
        other.ok("SELECT INBOX")


def test_a_client_certificate_logs_in_by_external(office: Office) -> None:
    file = office.folder / "ca.pem"
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    ca = certificates.Certificate(file, office.folder / "ca.key", der)
    own = certificates.make(office.folder, "archives", ca)
    office.here("account", "change", "archives", "--certificate", own.fingerprint)
    trust = ssl.create_default_context(cafile=str(office.folder / "tls.crt"))
    trust.load_cert_chain(own.file, own.key)
    deadline = time.monotonic() + 20
    while True:  # until the daemon has read the directory again
        with Client(office, trust=trust) as client:
            assert b"AUTH=EXTERNAL" in client.greeting
            client.fails(f"AUTHENTICATE EXTERNAL {base64.b64encode(b'housing').decode()}")
            if client.say("AUTHENTICATE EXTERNAL =")[-1].startswith(b"OK"):
                client.ok("SELECT INBOX")
                return
        assert time.monotonic() < deadline


def test_floods_before_the_login_end(office: Office) -> None:
    with Client(office) as client:
        client.send(b"x NOSUCH\r\n" * 200)
        said = []
        while line := client.line():
            said.append(line)
        assert said[-1].startswith(b"* BYE")
        assert len(said) <= 21
    metrics = httpx.get(office.url("/metrics"), timeout=SECONDS).text
    counted = r'^yizhan_mailbox_turned_away_total\{[^}]*why="errors"[^}]*\} [1-9]'
    assert re.search(counted, metrics, re.M), "POP3 counted it, IMAP did not"
    with Client(office) as client:
        client.send(b"A" * 2_000_000 + b"\r\n")
        assert client.line().startswith(b"* BAD")
        client.ok("CAPABILITY")


# Who sees what


def test_the_mailboxes_of_other_units_are_in_a_namespace(office: Office) -> None:
    with Client(office, "audit-wu") as client:
        client.ok("ENABLE UTF8=ACCEPT")
        [line] = client.ok("NAMESPACE")
        match = re.fullmatch(rb'\* NAMESPACE \(\(""\s"/"\)\) NIL \(\("(.*)/" "/"\)\)', line)
        assert match is not None, line
        names = [one.rpartition(b'"/" ')[2].strip(b'"') for one in client.ok('LIST "" *')]
        shared = [name for name in names if name.startswith(match[1] + b"/")]
        units = {name.split(b"/")[1] for name in shared}
        assert len(units) >= 2
        for unit in units:
            inbox = b"%s/%s/INBOX" % (match[1], unit)
            assert inbox in names
            client.ok(b'SELECT "%s"' % inbox)


def test_a_role_that_is_taken_away_is_gone_from_a_running_session(office: Office) -> None:
    with Client(office, "nanshi-ma") as client:
        client.ok("ENABLE UTF8=ACCEPT")
        lines = client.ok('LIST "" *INBOX')
        shared = [line.rpartition(b'"/" ')[2] for line in lines if b'/INBOX"' in line]
        [inbox] = shared or [b"INBOX"]
        client.ok(b"SELECT " + inbox)
        office.here("account", "change", "nanshi-ma", "--inactive")
        deadline = time.monotonic() + 20
        while not (said := client.say("NOOP"))[-1].startswith(b"NO [AUTHORIZATIONFAILED]"):
            assert said[-1].startswith(b"OK")
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.line().startswith(b"* BYE")
        assert client.line() == b""


def test_a_session_does_not_outlive_its_password_or_certificate(office: Office) -> None:
    """It went on reading for as long as it liked: only closed accounts were sent away."""
    file = office.folder / "ca.pem"
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    ca = certificates.Certificate(file, office.folder / "ca.key", der)
    own = certificates.make(office.folder, "leaving", ca)
    word = office.folder / "word"
    word.write_text("the first of two\n")
    office.here(
        "account", "add", "leaving", "--name", "李离", "--unit", "water:clerk",
        "--password-file", str(word), "--certificate", own.fingerprint,
    )  # fmt: skip
    trust = ssl.create_default_context(cafile=str(office.folder / "tls.crt"))
    trust.load_cert_chain(own.file, own.key)
    with Client(office) as guest, Client(office, trust=trust) as shown:
        deadline = time.monotonic() + 20
        while not guest.say('LOGIN leaving "the first of two"')[-1].startswith(b"OK"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        shown.ok("AUTHENTICATE EXTERNAL =")
        word.write_text("the second of two\n")
        office.here("account", "password", "leaving", "--password-file", str(word))
        _is_sent_away(guest)
        shown.ok("SELECT INBOX")
        office.here("account", "change", "leaving", "--no-certificate")
        _is_sent_away(shown)


def _is_sent_away(client: Client) -> None:
    deadline = time.monotonic() + 20
    while (said := client.say("STATUS INBOX (MESSAGES)"))[-1].startswith(b"OK"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert said[-1].startswith(b"NO [AUTHORIZATIONFAILED] ")
    assert "账号已变更" in said[-1].decode()
    assert client.line().startswith(b"* BYE")
    assert client.line() == b""


def test_readers_read_and_change_nothing(office: Office) -> None:
    with Client(office, "committee") as clerk, Client(office, "security") as reader:
        assert clerk.append(b"Subject: a\r\n\r\n\r\n", flags="\\Flagged").startswith(b"OK")
        reader.ok("ENABLE UTF8=ACCEPT")
        [inbox] = [
            line.rpartition(b'"/" ')[2] for line in reader.ok('LIST "" *INBOX')
            if b'/INBOX"' in line
        ]  # fmt: skip
        [said] = reader.ok(b"MYRIGHTS " + inbox)
        assert said.endswith(b" lrs")
        reader.ok(b"SELECT " + inbox)
        for command in (
            b"STORE 1 +FLAGS (\\Deleted)", b"STORE 1 FLAGS (\\Answered)", b"EXPUNGE",
            b"MOVE 1 INBOX", b"COPY 1 " + inbox, b"APPEND " + inbox + b" {4+}\r\na: b",
            b"DELETE " + inbox, b"SETACL " + inbox + b" security lrswipkxtea",
        ):  # fmt: skip
            assert reader.say(command)[-1].startswith(b"NO "), command
        reader.ok("STORE 1 FLAGS (\\Seen)")
        clerk.ok("SELECT INBOX")
        [line] = clerk.ok("FETCH 1 FLAGS")
        assert b"\\Flagged" in line
        assert b"\\Seen" not in line, "it is the reader's own"


def test_rights_by_hand_begin_with_those_of_the_role(office: Office) -> None:
    with Client(office, "finance-qian") as chief:
        chief.ok("ENABLE UTF8=ACCEPT")
        inbox = next(
            line.rpartition(b'"/" ')[2] for line in chief.ok('LIST "" *INBOX') if b'/INBOX"' in line
        )
        for identifier, change, given in (
            (b"$clerk", b"-t", b"$clerk lrswipkxe"), (b"finance", b"-e", b"finance lrswipkxt"),
            (b"water-li", b"+l", b"water-li l"),
        ):  # fmt: skip
            chief.ok(b"SETACL %s %s %s" % (inbox, identifier, change))
            assert given in chief.ok(b"GETACL " + inbox)[0]
            chief.ok(b"DELETEACL %s %s" % (inbox, identifier))
        for unknown in (b"$king", b"nobody", b"anyone"):
            chief.fails(b"SETACL %s %s -t" % (inbox, unknown), "CANNOT")


def test_rights_that_a_mail_program_gives_are_in_the_log_of_changes(office: Office) -> None:
    """Those that a command gives were, and nobody could say who had given the others."""
    with Client(office, "finance-qian") as admin:
        admin.ok("ENABLE UTF8=ACCEPT")
        inbox = '"单位信箱/财政局/INBOX"'
        for command in (
            f"SETACL {inbox} $leader lr", f"SETACL {inbox} $leader lr",
            f"SETACL {inbox} $leader +s", f"DELETEACL {inbox} $leader",
        ):  # fmt: skip
            admin.ok(command)
    told = json.loads(office.here("directory", "log", "unit:finance", "--limit", "3", "--json"))
    assert {(one["actor"], one["action"], one["kind"]) for one in told} == {
        ("finance-qian (imap)", "rights", "mailbox")
    }
    given = [(one["before"]["rights"], one["after"]["rights"]) for one in told]
    assert given == [("lrs", None), ("lr", "lrs"), (None, "lr")]
    assert {one["after"]["folder"] for one in told} == {"INBOX"}
    assert {one["after"]["who"] for one in told} == {"$leader"}


# What is told, and when


def _idle(client: Client) -> None:
    client.send(b"i IDLE\r\n")
    assert client.line() == b"+ Idling"


def test_mail_that_comes_by_smtp_wakes_who_idles(office: Office) -> None:
    with Client(office, "water") as client, Client(office, "water-li") as other:
        before = int(re.search(rb"\* (\d+) EXISTS", b"\n".join(client.ok("SELECT INBOX")))[1])  # type: ignore[index]
        other.ok("ENABLE UTF8=ACCEPT")
        [inbox] = [
            line.rpartition(b'"/" ')[2] for line in other.ok('LIST "" *INBOX') if b"/INBOX" in line
        ]  # fmt: skip
        other.ok(b"SELECT " + inbox)
        for one in (client, other):
            _idle(one)
        office.accept("office", letters.plain("office", "water", "防汛会议"), "water")
        for one in (client, other):
            assert one.line() == b"* %d EXISTS" % (before + 1)
            one.send(b"DONE\r\n")
            assert one.until("i")[-1].startswith(b"i OK")
        [line] = client.ok("FETCH * (BODY.PEEK[HEADER.FIELDS (SUBJECT)] FLAGS)")
        assert b"Subject: =?utf-8?" in line
        client.ok("STORE * +FLAGS (\\Flagged \\Seen)")
        [line] = [one for one in other.ok("NOOP") if b"FETCH" in one]
        assert b"\\Flagged" in line
        assert b"\\Seen" not in line


@pytest.mark.parametrize("workers", [3])
def test_clients_of_several_processes_see_each_other_at_once(
    workers: int, make_office: Callable[..., Office]
) -> None:
    own = make_office(changes={"[state]": f"[daemon]\nworkers = {workers}\n\n[state]"})
    with own.running(), ExitStack() as stack:
        clients = [stack.enter_context(Client(own, "water")) for _ in range(6)]
        for client in clients:
            client.ok("SELECT INBOX")
        writer, *readers = clients
        for client in readers:
            _idle(client)
        assert writer.append(b"Subject: a\r\n\r\n\r\n").startswith(b"OK [APPENDUID")
        for client in readers:
            assert client.line() == b"* 1 EXISTS"
            assert client.line().endswith(b" RECENT")
        writer.ok("STORE 1 +FLAGS (\\Deleted $Later)")
        for client in readers:
            while b"$Later" not in (line := client.line()) or b"FETCH" not in line:
                assert line.startswith((b"* FLAGS", b"* OK [PERMANENTFLAGS")), line
        writer.ok("EXPUNGE")
        for client in readers:
            assert client.line() == b"* 1 EXPUNGE"
        own.accept("office", letters.plain("office", "water", "防汛会议"), "water")
        for client in readers:
            assert client.line() == b"* 1 EXISTS"
            client.send(b"DONE\r\n")
            client.until("i")
        for client in clients:
            client.ok("NOOP")
            assert client.ok("UID SEARCH ALL")[0] == b"* SEARCH 2"
    assert "Traceback" not in own.log


# What is filed


def test_what_bears_a_classification_marking_is_not_kept(office: Office) -> None:
    """Nothing of it: not in a row, not in a file, not in the log."""
    marked = letters.plain("parks", "parks", f"机密★1年 {SECRET}", f"机密★1年\n\n{SECRET}\n")
    plain = letters.plain("parks", "parks", "明天开会")
    with Client(office, "parks") as client:
        last = client.append(marked)
        assert last.startswith(b"NO [CANNOT] ")
        assert "密级标志".encode() in last
        both = b"APPEND INBOX {%d+}\r\n%s {%d+}\r\n%s" % (len(plain), plain, len(marked), marked)
        client.fails(both, "CANNOT")
        client.ok("SELECT INBOX")
        assert client.ok("SEARCH ALL") == [b"* SEARCH"]
        assert client.append(plain).startswith(b"OK [APPENDUID")
    assert office.sql("SELECT count(*) FROM mailbox_contents WHERE kind = 'filed'") != [0]
    traces = [SECRET.encode(), SECRET.encode("gb18030"), base64.b64encode(SECRET.encode())[:16]]
    coded = base64.b64encode(f"机密★1年 {SECRET}".encode())
    for path in Path(office.folder).rglob("*"):
        if path.is_file():
            octets = path.read_bytes()
            for trace in (*traces, coded):
                assert trace not in octets, path


def test_a_full_mailbox_takes_nothing_from_people_and_everything_from_the_office(
    office: Office,
) -> None:
    filler = b"Subject: a\r\n\r\n" + b"x" * 20_000 + b"\r\n"
    with Client(office, "market") as client:
        assert client.append(filler).startswith(b"OK")
        office.here("mailbox", "quota", "unit:market", "30000")
        client.fails(b"APPEND INBOX {%d+}\r\n%s" % (len(filler), filler), "OVERQUOTA")
        client.ok("SELECT INBOX")
        client.ok("CREATE Elsewhere")
        client.fails("COPY 1 Elsewhere", "OVERQUOTA")
        [root, quota] = client.ok("GETQUOTAROOT INBOX")
        assert root == b"* QUOTAROOT INBOX unit:market"
        assert quota == b"* QUOTA unit:market (STORAGE 20 30)"
        client.fails("SETQUOTA unit:market (STORAGE 99)", "NOPERM")
        client.fails("GETQUOTA unit:water", "NONEXISTENT")
        client.ok("MOVE 1 Elsewhere")  # it needs no room
        assert b"* 1 EXPUNGE" not in client.ok("NOOP")
        big = letters.plain("office", "market", "大件", "长文\n" * 8_000)
        office.accept("office", big, "market")
        assert b"* 1 EXISTS" in client.ok("NOOP")
        client.fails(b"APPEND INBOX {4+}\r\na: b", "OVERQUOTA")
        client.ok("SELECT Elsewhere")
        client.ok("STORE 1 +FLAGS (\\Deleted)")
        client.ok("EXPUNGE")


def test_several_messages_are_filed_together_or_not_at_all(office: Office) -> None:
    with Client(office, "justice") as client:
        two = b"APPEND INBOX (\\Seen) {4+}\r\na: b ($x) {4+}\r\nc: d"
        last = client.say(two)[-1]
        assert re.match(rb"OK \[APPENDUID \d+ 1:2\]", last), last
        for bad in (b" {0+}\r\n", b" ~{2+}\r\n\0\0", b" {99999999}"):
            assert client.say(two + bad)[-1].startswith(b"NO "), bad
        assert client.say(two + b" nonsense")[-1].startswith(b"BAD ")
        assert client.say(two + b" (\\Odd) {4+}\r\ne: f")[-1].startswith(b"BAD ")
        client.fails(b"APPEND Nowhere {4+}\r\na: b", "TRYCREATE")
        client.ok("SELECT INBOX")
        assert client.ok("UID SEARCH ALL") == [b"* SEARCH 1 2"]
        found = client.ok("FETCH 1:2 (FLAGS)")
        assert b"\\Seen" in found[0]
        assert b"$x" in found[1]


def test_a_large_message_is_streamed_and_memory_stays_bounded(office: Office) -> None:
    body = base64.encodebytes(bytes(range(256)) * 60_000).replace(b"\n", b"\r\n")  # 20 MB
    octets = (
        b"From: housing@heping.test\r\nTo: housing@heping.test\r\nSubject: x\r\n"
        b"Message-ID: <big@heping.test>\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + body
    )
    office.accept("housing", octets, "housing")
    process = office.process
    assert process is not None
    with Client(office, "housing") as client, Client(office, "office") as other:
        client.ok("SELECT INBOX")
        before = _resident(process.pid)
        deaf = [Client(office, "housing") for _ in range(6)]
        for one in deaf:
            one.ok("SELECT INBOX")
            one.send(b"x FETCH 1 BODY.PEEK[]\r\n")
        other.ok("SELECT INBOX")
        for _ in range(20):
            other.ok("NOOP")
        [line] = client.ok("FETCH 1 BODY.PEEK[TEXT]")
        assert line.removesuffix(b")").endswith(body[-1_000:])
        assert body in line
        grown = _resident(process.pid) - before
        assert grown < 60_000_000, f"{grown / 1e6:.0f} MB for clients that read nothing"
        for one in deaf:
            one.socket.close()


def _resident(pid: int) -> int:
    """Octets of memory that the daemon itself holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the daemon is not there")


def test_half_open_and_idle_clients_keep_nobody_waiting(office: Office) -> None:
    with ExitStack() as stack:
        for number in range(40):
            half = socket.create_connection(("127.0.0.1", office.imaps_port), SECONDS)
            stack.callback(half.close)
            if number % 2:
                half.sendall(b"\x16\x03\x01")
        for _ in range(40):
            idle = stack.enter_context(Client(office, "office"))
            idle.ok("SELECT INBOX")
            _idle(idle)
        with Client(office, "office") as client:
            client.send(b"a NO")
            with Client(office, "office") as other:
                other.ok("SELECT INBOX")
            client.send(b"OP\r\n")
            assert client.line() == b"a OK Nothing done"
            client.ok("SELECT INBOX")
            assert client.append(b"Subject: a\r\n\r\n\r\n").startswith(b"OK")


def test_imap4rev2_is_spoken_to_who_asks_for_it(office: Office) -> None:
    with Client(office, "credit") as client:
        assert client.ok("ENABLE IMAP4rev2") == [b"* ENABLED IMAP4rev2"]
        client.ok("CREATE Copies")
        client.append(b"Subject: a\r\n\r\n\r\n")
        said = client.ok("SELECT inbox")
        assert b'* LIST () "/" INBOX' in said
        assert not any(b"RECENT" in line or b"UNSEEN" in line for line in said)
        [line] = client.ok("SEARCH ALL")
        assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) ALL 1', line)
        [line] = client.ok("UID SEARCH RETURN (MIN MAX COUNT SAVE) ALL")
        assert line.endswith(b"UID MIN 1 MAX 1 COUNT 1")
        assert b"\\Flagged" in client.ok("UID STORE $ +FLAGS (\\Flagged)")[-1]
        client.append(b"Subject: b\r\n\r\n\r\n")
        assert not any(b"RECENT" in line for line in client.ok("NOOP"))
        assert b"COPYUID" in client.say("UID COPY $ Copies")[-1]
        client.ok("SEARCH RETURN (SAVE) SUBJECT nothing")
        assert client.say("UID COPY $ Copies")[-1].startswith(b"OK There was nothing")


def test_pythons_own_client_files_finds_and_moves(office: Office) -> None:
    with imaplib.IMAP4("127.0.0.1", office.imap_port) as client:
        client.starttls(office.trust)
        client.login("health", password(office, "health"))
        assert client.create('"&ZYdO9mfc-/2026"')[0] == "OK"
        status, [said] = client.append("INBOX", "", None, letters.plain("a", "b", "防汛"))  # type: ignore[arg-type]
        assert status == "OK"
        assert b"APPENDUID" in said
        assert client.select("INBOX") == ("OK", [b"1"])
        assert client.uid("MOVE", "1", '"&ZYdO9mfc-/2026"')[0] == "OK"
        assert client.select('"&ZYdO9mfc-/2026"') == ("OK", [b"1"])


def test_the_office_delivers_though_its_folders_were_renamed_or_removed(office: Office) -> None:
    """People may do with the drawers what they like; receipts and copies come all the same."""
    with Client(office, "education") as client:
        client.ok("ENABLE UTF8=ACCEPT")
        names = [one.rpartition(b'"/" ')[2] for one in client.ok('LIST "" *')]
        for number, name in enumerate(names):
            if name != b"INBOX" and client.say(b"DELETE " + name)[-1].startswith(b"NO"):
                client.say(b"RENAME %s Old%d" % (name, number))
        document = office.accept(
            "education", letters.plain("education", "culture", "通知"), "culture"
        )
        office.settled(document)
        with Client(office, "culture") as other:
            other.ok("SELECT INBOX")
            assert other.ok("SEARCH ALL") == [b"* SEARCH 1"]
    receipts = [name for name, mails in office.mailbox("unit:education").items() if mails]
    assert receipts, "the receipt has come to no folder"
