"""POP3 against a real post office: what it gives, what it keeps, and who may ask."""

from __future__ import annotations

import imaplib
import os
import poplib
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests import certificates, letters
from tests.office import Office
from tests.pop3 import Client, logged_in, put

MAIL = b"From: a@x\r\nSubject: x\r\n\r\n.one\r\n..two\r\n.\r\nthree \xff\xd6\xd0\r\n"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


@contextmanager
def imap(office: Office, login: str) -> Iterator[imaplib.IMAP4]:
    """An IMAP client with INBOX open."""
    client = imaplib.IMAP4_SSL("127.0.0.1", office.imaps_port, ssl_context=office.trust)
    client.login(login, office.accounts[login]["password"])
    assert client.select("INBOX")[0] == "OK"
    try:
        yield client
    finally:
        client.logout()


def flags(client: imaplib.IMAP4) -> list[bool]:
    """Of each message, whether it is read."""
    found = client.fetch("1:*", "(FLAGS)")[1]
    return [b"\\Seen" in one for one in found if isinstance(one, bytes)]


@pytest.mark.one_database("logins and connections")
@pytest.mark.parametrize("implicit", [False, True])
def test_pythons_client_reads_over_both_kinds_of_tls(office: Office, implicit: bool) -> None:
    login = "health" if implicit else "audit"
    office.accept("water", letters.plain("water@heping.test", f"{login}@heping.test", "函"), login)
    client: poplib.POP3
    if implicit:
        client = poplib.POP3_SSL("127.0.0.1", office.pop3s_port, timeout=30, context=office.trust)
    else:
        client = poplib.POP3("127.0.0.1", office.pop3_port, timeout=30)
        assert "STLS" in client.capa()
        assert "USER" not in client.capa()
        with pytest.raises(poplib.error_proto, match="TLS only"):
            client.user(login)
        client.stls(office.trust)
    capabilities = client.capa()
    assert capabilities["SASL"] == ["PLAIN"]
    assert capabilities["EXPIRE"] == ["NEVER"]
    assert {"TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES"} <= set(capabilities)
    assert client.utf8().startswith(b"+OK")
    client.user(login)
    client.pass_(office.accounts[login]["password"])
    count, octets = client.stat()
    assert count == 1
    _, [listed], _ = client.list()
    assert listed == b"1 %d" % octets
    _, lines, size = client.retr(1)
    assert size == octets
    assert lines[0] == b"Return-Path: <water@heping.test>"
    header = lines[: lines.index(b"") + 1]
    assert client.top(1, 0)[1] == header
    assert client.top(1, 1)[1] == [*header, lines[len(header)]]
    assert client.uidl(1).split()[2] == client.uidl()[1][0].split()[1]
    assert client.noop() == b"+OK Nothing done"
    assert client.quit().startswith(b"+OK")


def test_dele_hides_the_message_here_and_the_cabinet_keeps_it(office: Office) -> None:
    put(office, "unit:culture", [MAIL, MAIL + b"2\r\n", MAIL + b"3\r\n"])
    with logged_in(office, "culture") as client:
        names = client.names()
        assert client.ask(b"DELE 1").startswith(b"+OK")
        assert client.ask(b"DELE 1").startswith(b"-ERR")
        assert client.ask(b"RETR 1").startswith(b"-ERR")
        assert client.ask(b"DELE 3").startswith(b"+OK")
        assert client.ask(b"STAT").split()[1] == b"1"
        assert client.names() == names[1:2]
        assert client.ask(b"RSET").split()[1] == b"3"
        assert client.ask(b"DELE 2").startswith(b"+OK")
    with logged_in(office, "culture") as client:
        assert client.names() == names  # it has hung up without QUIT
        client.ask(b"DELE 2")
        client.ask(b"DELE 3")
        assert client.ask(b"QUIT").startswith(b"+OK")
        assert client.line() == b""
    with logged_in(office, "culture") as client:
        assert client.names() == names[:1]
        assert client.read(b"LIST") == b"1 %d\r\n" % len(MAIL)
    with imap(office, "culture") as reader:
        assert flags(reader) == [False, False, False]
    assert b"culture: 2 messages" in office.here("account", "refetch", "culture")
    with logged_in(office, "culture") as client:
        assert client.names() == names


def test_retr_is_a_hand_over_and_read_top_is_neither_unless_it_gives_all(office: Office) -> None:
    for number in range(3):
        office.accept("office", letters.plain("office", "transport", f"函{number}"), "transport")
    with logged_in(office, "transport") as client:
        first = client.read(b"RETR 1")
        assert client.read(b"RETR 1") == first
        client.read(b"TOP 2 0")
        assert client.read(b"TOP 3 1000000000").endswith(b"\r\n")
    of_unit = (
        "SELECT m.uid FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id "
        "JOIN mailbox_folders f ON f.id = m.folder_id JOIN mailbox_owners o ON o.id = f.owner_id "
        "WHERE o.owner = 'unit:transport' AND c.kind = 'document' AND m.{} IS NOT NULL "
        "ORDER BY m.uid"
    )
    assert office.sql(of_unit.format("handed_over")) == [1, 3]
    assert office.sql(of_unit.format("opened")) == []
    with imap(office, "transport") as reader:
        assert flags(reader) == [True, False, False]


def test_a_document_that_was_fetched_is_handed_over_once_and_opened_by_nobody(
    office: Office,
) -> None:
    document = office.accept(
        "office",
        letters.plain("office", "medical", "和政办发〔2026〕31号 关于开会的通知"),
        "medical",
    )
    for _ in range(2):
        with logged_in(office, "medical") as client:
            client.read(b"RETR 1")
    events = [(one["event"], one["actor"]) for one in office.document(document)["evidence"]]
    handed = [actor for event, actor in events if event == "ContentHandover"]
    assert [actor["account"] for actor in handed] == ["medical"]
    assert "ContentAccessTracking" not in dict(events)
    office.here("fsck")


def test_two_sessions_have_a_snapshot_each_and_both_may_delete(office: Office) -> None:
    ids = put(office, "unit:justice", [MAIL] * 3)
    with logged_in(office, "justice") as one, logged_in(office, "justice") as other:
        put(office, "unit:justice", [MAIL + b"new\r\n"])
        for client in (one, other):
            assert client.ask(b"STAT").split()[1] == b"3"
            assert client.ask(b"DELE 1").startswith(b"+OK")
        assert other.ask(b"DELE 2").startswith(b"+OK")
        assert one.ask(b"QUIT").startswith(b"+OK")
        assert other.read(b"RETR 3") == MAIL
        with imap(office, "justice") as reader:
            reader.uid("STORE", "3", "+FLAGS", "\\Deleted")
            reader.expunge()
        assert other.ask(b"RETR 3") == b"-ERR The message was moved or removed meanwhile"
        assert other.ask(b"DELE 3").startswith(b"+OK")
        assert other.ask(b"QUIT").startswith(b"+OK")
    with logged_in(office, "justice") as client:
        [name] = client.names()
        assert name.endswith(".4")
        assert client.read(b"RETR 1") == MAIL + b"new\r\n"
    taken = office.sql("SELECT message_id FROM mailbox_pop3_taken WHERE account = 'justice'")
    assert sorted(taken) == sorted(ids[:2])


def test_many_sessions_delete_the_same_at_once(office: Office) -> None:
    put(office, "unit:sports", [MAIL] * 40)

    clients = [logged_in(office, "sports") for _ in range(8)]

    def leave(client: Client) -> bytes:
        client.send(b"".join(b"DELE %d\r\n" % number for number in range(1, 41)))
        assert all(client.line().startswith(b"+OK") for _ in range(40))
        return client.ask(b"QUIT")

    with ThreadPoolExecutor(8) as pool:
        assert all(answer.startswith(b"+OK") for answer in pool.map(leave, clients))
    for client in clients:
        client.close()
    with logged_in(office, "sports") as client:
        assert client.ask(b"STAT") == b"+OK 0 0"
        assert client.read(b"UIDL") == b""


def test_a_whole_session_may_be_sent_at_once(office: Office) -> None:
    put(office, "unit:parks", [MAIL] * 2)
    password = office.accounts["parks"]["password"].encode()
    with Client(office) as client:
        client.send(
            b"USER parks\r\nPASS " + password + b"\r\nSTAT\r\nRETR 1\r\nLIST\r\nDELE 2\r\n"
            b"NONSENSE\r\nUIDL 1\r\nQUIT\r\n"
        )
        assert client.line() == b"+OK And the password?"
        assert client.line().startswith(b"+OK Welcome, 2 messages")
        assert client.line() == b"+OK 2 %d" % (2 * len(MAIL))
        assert client.line().startswith(b"+OK")
        assert client.more() == MAIL
        assert client.line().startswith(b"+OK")
        assert len(client.more().splitlines()) == 2
        assert client.line() == b"+OK Message 2 is marked"
        assert client.line() == b"-ERR There is no such command"
        assert client.line().startswith(b"+OK 1 ")
        assert client.line().startswith(b"+OK Goodbye")
        assert client.line() == b""


def test_sasl_logs_in_with_and_without_a_first_answer(office: Office) -> None:
    def plain(identity: str, login: str, password: str) -> bytes:
        return b64encode(f"{identity}\0{login}\0{password}".encode())

    right = plain("", "housing", office.accounts["housing"]["password"])
    with Client(office) as client:
        assert client.read(b"AUTH") == b"PLAIN\r\n"
        assert client.ask(b"AUTH PLAIN " + plain("", "housing", "wrong")) == (
            b"-ERR [AUTH] Login or password is wrong"
        )
        assert client.ask(b"AUTH PLAIN ====").startswith(b"-ERR")
        assert client.ask(b"AUTH PLAIN " + b64encode(b"housing")).startswith(b"-ERR")
        other = plain("water", "housing", office.accounts["housing"]["password"])
        assert client.ask(b"AUTH PLAIN " + other) == b"-ERR [AUTH] You may act for yourself only"
        assert client.ask(b"AUTH CRAM-MD5").startswith(b"-ERR")
        assert client.ask(b"AUTH EXTERNAL =") == (
            b"-ERR [AUTH] Your program has shown no certificate"
        )
        assert client.ask(b"AUTH PLAIN") == b"+ "
        assert client.ask(b"*").startswith(b"-ERR")
        assert client.ask(b"auth plain") == b"+ "
        assert client.ask(right).startswith(b"+OK Welcome")
        assert client.ask(b"AUTH PLAIN " + right).startswith(b"-ERR")
    with Client(office, implicit=False) as client:
        assert client.ask(b"AUTH PLAIN " + right).startswith(b"-ERR Passwords are taken over TLS")
        client.stls()
        assert client.ask(b"STLS").startswith(b"-ERR")
        assert client.ask(b"AUTH PLAIN " + right).startswith(b"+OK")


@pytest.mark.one_database("logins and connections")
def test_the_last_login_is_noted_with_the_door(office: Office) -> None:
    logged_in(office, "statistics").close()
    deadline = time.monotonic() + 20
    while True:
        doors = office.sql(
            "SELECT l.door FROM account_logins l JOIN accounts a ON a.id = l.account_id "
            "WHERE a.login = 'statistics'"
        )
        if doors == ["pop3"]:
            return
        assert time.monotonic() < deadline, doors
        time.sleep(0.2)


@pytest.mark.one_database("logins and connections")
def test_a_new_password_and_a_closed_account_count_at_once(office: Office) -> None:
    """A session went on under a password that counted no longer."""
    put(office, "unit:archives", [MAIL])
    word = office.folder / "word"
    word.write_text("typed by the operator\n")
    for sentence, words in (
        (b"This account is closed", ("change", "archives", "--inactive")),
        (
            b"The account was changed, connect and log in again",
            ("password", "archives", "--password-file", str(word)),
        ),
    ):
        with logged_in(office, "archives") as client:
            assert client.read(b"RETR 1") == MAIL
            office.here("account", *words)
            deadline = time.monotonic() + 20
            while (answer := client.ask(b"STAT")).startswith(b"+OK"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert answer == b"-ERR [AUTH] " + sentence
            assert client.line() == b""
        office.here("account", "change", "archives", "--active")


def test_rights_that_are_taken_away_meanwhile_count_at_once(office: Office) -> None:
    put(office, "unit:credit", [MAIL])
    with logged_in(office, "credit") as client:
        assert client.ask(b"STAT").startswith(b"+OK 1 ")
        office.sql(
            "INSERT INTO mailbox_acl (folder_id, identifier, rights) "
            "SELECT f.id, 'credit', 'l' FROM mailbox_folders f JOIN mailbox_owners o "
            "ON o.id = f.owner_id WHERE o.owner = 'unit:credit' AND f.name = 'INBOX'"
        )
        deadline = time.monotonic() + 20
        while (answer := client.ask(b"RETR 1")).startswith(b"+OK"):
            client.more()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert answer == b"-ERR [AUTH] You may not do that here"
        assert client.line() == b""
    with Client(office) as client:
        client.ask(b"USER credit")
        password = office.accounts["credit"]["password"].encode()
        assert client.ask(b"PASS " + password) == b"-ERR [SYS/PERM] You may not do that here"


def test_a_message_that_cannot_be_read_is_never_taken_for_whole(office: Office) -> None:
    mail = letters.plain("water@heping.test", "market@heping.test", "大件")
    before = set((office.folder / "state" / "blobs").rglob("*"))
    office.accept("water", letters.with_attachment(mail, "a.bin", os.urandom(3_000_000)), "market")
    [blob] = [
        path
        for path in set((office.folder / "state" / "blobs").rglob("*")) - before
        if path.is_file()
    ]
    with logged_in(office, "market") as client:
        os.truncate(blob, 2_000_000)
        client.ask(b"RETR 1")
        with pytest.raises((AssertionError, ConnectionError), match=r"cut|reset"):
            client.more()
    blob.unlink()
    with logged_in(office, "market") as client:
        assert client.ask(b"RETR 1").startswith(b"-ERR [SYS/TEMP] ")
        assert client.ask(b"NOOP").startswith(b"+OK")
    handed = office.sql(
        "SELECT m.handed_over FROM mailbox_messages m JOIN mailbox_contents c "
        "ON c.id = m.content_id WHERE c.size > 3000000 AND c.blob LIKE ?",
        f"%{blob.name.split('.')[0]}%",
    )
    assert set(handed) == {None}  # nor in Sent, where it is too


def test_a_large_message_is_streamed_octet_for_octet(office: Office) -> None:
    body = b"".join(b".%d\r\n..%s\r\n" % (n, b"\xe4\xb8\xad" * (n % 90)) for n in range(60_000))
    octets = letters.plain("water@heping.test", "education@heping.test", "大件")
    head = octets.partition(b"\r\n\r\n")[0].replace(b"base64", b"8bit")
    office.accept("water", head + b"\r\n\r\n" + body, "education", mail=["BODY=8BITMIME"])
    with logged_in(office, "education") as client:
        size = int(client.ask(b"LIST 1").split()[2])
        whole = client.read(b"RETR 1")
        assert len(whole) == size > 8_000_000
        assert whole.endswith(b"\r\n\r\n" + body)
        top = client.read(b"TOP 1 70000")
        assert whole.startswith(top)
        assert top.endswith(b"\r\n\r\n" + b"\r\n".join(body.split(b"\r\n")[:70_000]) + b"\r\n")
    with imap(office, "education") as reader:
        assert flags(reader) == [True]


@pytest.mark.one_database("certificates are decided before any message is there")
def test_a_client_certificate_logs_in_by_external(
    make_office: Callable[..., Office],
) -> None:
    office = make_office(changes={"[tls]": '[submission]\nclient_ca = "ca.pem"\n\n[tls]'})
    ca = certificates.make(office.folder, "ca", ca=True)
    own = certificates.make(office.folder, "water", ca)
    office.here("account", "change", "water", "--certificate", own.fingerprint)
    trust = ssl.create_default_context(cafile=str(office.folder / "tls.crt"))
    trust.load_cert_chain(own.file, own.key)
    with office.running(), Client(office, trust=trust) as client:
        assert b"SASL PLAIN EXTERNAL\r\n" in client.read(b"CAPA")
        assert client.ask(b"STAT") == b"-ERR Please log in first"
        assert client.ask(b"AUTH EXTERNAL " + b64encode(b"housing")).startswith(b"-ERR [AUTH]")
        assert client.ask(b"AUTH EXTERNAL =").startswith(b"+OK Welcome, 0 messages")


@pytest.mark.one_database("which process serves whom")
def test_several_processes_show_the_same_inbox(make_office: Callable[..., Office]) -> None:
    own = make_office(changes={"[state]": "[daemon]\nworkers = 3\n\n[state]"})
    with own.running():
        for number in range(4):
            own.accept("office", letters.plain("office", "water", f"函{number}"), "water")
        with ExitStack() as stack:
            several = [stack.enter_context(logged_in(own, "water")) for _ in range(8)]
            [names] = {tuple(one.names()) for one in several}
            assert len(names) == 4
            with ThreadPoolExecutor(8) as pool:
                [first] = {*pool.map(lambda one: one.read(b"RETR 1"), several)}
            assert b"Subject:" in first
            several[0].ask(b"DELE 2")
            several[0].ask(b"QUIT")
        handed = own.sql("SELECT count(*) FROM mailbox_messages WHERE handed_over IS NOT NULL")
        assert handed == [1]
        for _ in range(8):
            with logged_in(own, "water") as client:
                assert tuple(client.names()) == (names[0], *names[2:])
        with imap(own, "water") as reader:
            assert flags(reader) == [True, False, False, False]
