"""What a client meets at the door, beyond what the dialogs in tests/dialogs hold."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.config import Submission
from gateway.directory.edit import set_password
from gateway.directory.passwords import hash_password
from gateway.directory.tables import accounts
from gateway.errors import ConfigurationError, Deferred, Refused, StoreUnavailable
from gateway.intake import replies
from gateway.intake.conversation import Conversation
from gateway.store.database import Database


def test_an_accepted_message_reaches_the_exchange_as_it_was_sent(open_door):
    running = open_door()
    client = running.connect()
    client.begin()
    answer = client.mail(b"Subject: a\r\n\r\n..dot\r\nb\r\n.\r\n")
    assert answer == "250 2.0.0 06f3xqv7c8e0000000000000aa accepted"
    kept = running.exchange.kept[0]
    assert kept.octets == b"Subject: a\r\n\r\n.dot\r\nb\r\n"
    submission = kept.submission
    assert str(submission.sender) == "water@heping.test"
    assert [str(r.address) for r in submission.recipients] == ["office@heping.test"]
    assert submission.client.protocol == "ESMTPSA"
    assert submission.client.address == "127.0.0.1"
    assert submission.client.helo == "client.test"
    assert submission.client.login == "password"
    assert submission.client.tls.startswith("TLSv1.")
    assert submission.warnings == ()
    assert ("message", "accepted", "23") in running.counts.seen


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_several_messages_go_over_one_connection(open_door, tls):
    running = open_door(tls=tls)
    client = running.connect()
    client.begin(implicit=tls == "implicit")
    for number in range(3):
        assert client.mail(b"Subject: %d\r\n\r\n.\r\n" % number).startswith("250 ")
    assert client.ask("QUIT").startswith("221 ")
    assert client.line() == ""
    assert [k.octets for k in running.exchange.kept] == [
        b"Subject: %d\r\n\r\n" % n for n in range(3)
    ]


def test_commands_behind_the_end_of_data_are_answered_in_order(open_door):
    running = open_door()
    client = running.connect()
    client.begin()
    answer = client.mail(b"Subject: a\r\n\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    assert answer.startswith("250 2.0.0 06f3")
    assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "221"]


def test_what_is_larger_than_memory_arrives_whole(open_door):
    running = open_door(limits={"memory": 4096})
    client = running.connect()
    client.begin()
    line = b"0123456789" * 7 + b"\r\n"
    body = line * 40_000
    assert client.mail(b"Subject: large\r\n\r\n" + body + b".\r\n").startswith("250 ")
    assert running.exchange.kept[0].octets == b"Subject: large\r\n\r\n" + body


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Refused("No seal", zh="没有印章", code=554, enhanced="5.7.7"), "554 5.7.7 No seal"),
        (Deferred("Later"), "451 4.3.0 Later"),
        (StoreUnavailable("x", cause="disk"), "452 4.3.1 The post office cannot store mail now"),
        (ValueError("inner secret"), "451 4.3.0 The post office had an error"),
    ],
)
def test_what_the_exchange_raises_becomes_a_reply_without_inner_words(open_door, error, expected):
    running = open_door()

    async def fail() -> None:
        raise error

    running.exchange.answer = fail
    client = running.connect()
    client.begin()
    answer = client.mail(b"Subject: a\r\n\r\n.\r\n")
    assert answer.startswith(expected)
    assert "secret" not in answer
    assert client.ask("NOOP").startswith("250 ")


def test_a_chinese_reply_comes_only_where_utf8_is_allowed(open_door):
    async def refuse() -> None:
        raise Refused("No seal", zh="没有印章", code=554, enhanced="5.7.7")

    running = open_door()
    running.exchange.answer = refuse
    client = running.connect()
    client.begin()
    assert client.mail(b"a: b\r\n\r\n.\r\n") == "554 5.7.7 No seal"
    client.ask("MAIL FROM:<water@heping.test> SMTPUTF8")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    client.send(b"a: b\r\n\r\n.\r\n")
    assert client.reply() == "554-5.7.7 没有印章\n554 5.7.7 No seal"
    always = open_door(utf8_replies="always")
    client = always.connect()
    client.reply()
    assert client.ask("MAIL FROM:<a@b>").splitlines()[1] == "503 5.5.1 请先发送 EHLO"


def test_a_client_that_leaves_during_the_commit_does_not_undo_it(open_door):
    running = open_door()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    running.exchange.answer = wait
    client = running.connect()
    client.begin()
    client.ask("MAIL FROM:<water@heping.test>")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    client.send(b"Subject: a\r\n\r\n.\r\n")
    running.run(begun.wait())
    client.close()
    time.sleep(0.1)
    running.loop.call_soon_threadsafe(go_on.set)
    running.run(_until(lambda: running.exchange.kept))
    assert running.exchange.kept[0].octets == b"Subject: a\r\n\r\n"
    assert not running.exchange.cancelled


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


def test_a_client_that_leaves_during_data_leaves_nothing(open_door):
    running = open_door(limits={"memory": 1000})
    client = running.connect()
    client.begin()
    client.ask("MAIL FROM:<water@heping.test>")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    client.send(b"Subject: a\r\n\r\n" + b"x" * 5000)
    client.close()
    running.run(_until(lambda: running.counts.inside == 0))
    assert running.exchange.kept == []
    assert any(seen[:2] == ("message", "abandoned") for seen in running.counts.seen)


def test_a_client_that_closes_its_sending_half_still_gets_its_replies(open_door):
    client = open_door().connect()
    client.send(b"EHLO a\r\nNOOP\r\n")
    client.end()
    assert client.reply().startswith("220 ")
    assert "PIPELINING" in client.reply()
    assert client.reply().startswith("250 ")
    assert client.line() == ""


def test_what_was_sent_in_the_clear_behind_starttls_is_forgotten(open_door):
    client = open_door().connect()
    client.reply()
    client.ask("EHLO client.test")
    client.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<water@heping.test>\r\n")
    assert client.reply().startswith("220 ")
    client.tls()
    assert client.ask("RSET").startswith("250 "), "an injected command was answered"
    assert client.ask("MAIL FROM:<water@heping.test>").startswith("503 5.5.1 Send EHLO")


def test_the_error_budget_survives_starttls(open_door):
    client = open_door(limits={"errors": 3}).connect()
    client.reply()
    client.ask("EHLO a")
    assert client.ask("BOGUS").startswith("500 ")
    assert client.ask("BOGUS").startswith("500 ")
    client.ask("STARTTLS")
    client.tls()
    assert client.ask("BOGUS").startswith("500 ")
    assert client.reply() == "421 4.7.0 Too many errors, goodbye"


def test_a_failed_handshake_ends_only_that_connection(open_door):
    running = open_door()
    for _ in range(2):
        client = running.connect()
        client.reply()
        client.ask("EHLO a")
        client.ask("STARTTLS")
        client.send(b"this is no TLS\r\n")
        client.end()
    running.run(_until(lambda: running.counts.inside == 0))
    running.connect().begin()


def test_limits_on_connections_say_which_one_it_was(open_door):
    running = open_door(limits={"connections": 3, "connections_per_address": 2})
    inside = [running.connect(), running.connect()]
    assert all(client.reply().startswith("220 ") for client in inside)
    late = running.connect()
    assert late.reply() == "421 4.7.0 Too many connections from your address"
    assert late.line() == ""
    inside[0].ask("QUIT")
    inside[0].line()
    running.run(_until(lambda: running.counts.inside == 1))
    assert running.connect().reply().startswith("220 ")
    crowded = open_door(limits={"connections": 1})
    crowded.connect().reply()
    assert crowded.connect().reply().startswith("421 4.3.2 Too many connections")


def test_silence_and_slowness_end_with_a_reply(open_door):
    running = open_door(limits={"command_seconds": 0.2})
    client = running.connect()
    client.reply()
    assert client.reply() == "421 4.4.2 Nothing was sent for too long, goodbye"
    running = open_door(limits={"data_seconds": 0.2})
    client = running.connect()
    client.begin()
    client.ask("MAIL FROM:<water@heping.test>")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    client.send(b"Subject: slow")
    assert client.reply() == "421 4.4.2 The message took too long"
    running = open_door(limits={"session_seconds": 0.2})
    client = running.connect()
    client.reply()
    assert client.reply() == "421 4.4.2 The session took too long, connect again"


def test_a_message_above_the_limit_is_read_to_its_end_and_refused(open_door):
    running = open_door(limits={"size": 100_000})
    client = running.connect()
    client.begin()
    answer = client.mail(b"Subject: a\r\n\r\n" + b"y" * 100_000 + b"\r\n.\r\n")
    assert answer == "552 5.3.4 The message is larger than 0.1 MiB"
    assert client.mail(b"Subject: b\r\n\r\n.\r\n").startswith("250 ")


def test_a_flood_beyond_the_limit_ends_the_connection(open_door):
    running = open_door(limits={"size": 1000})
    client = running.connect()
    client.begin()
    client.ask("MAIL FROM:<water@heping.test>")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    with pytest.raises(OSError):  # reset or broken pipe, as the kernel likes
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            client.send(b"z" * 65_536)
    assert ("turned away", "size") in running.counts.seen


def test_a_full_disk_is_said_before_the_message_is_sent(open_door):
    client = open_door(limits={"free_space": 1 << 60}).connect()
    client.begin()
    assert client.ask("MAIL FROM:<water@heping.test>").startswith("452 4.3.1 ")


def test_a_stopping_door_sends_idle_clients_away_and_finishes_the_others(open_door):
    running = open_door()
    idle = running.connect()
    idle.reply()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    running.exchange.answer = wait
    busy = running.connect()
    busy.begin()
    busy.ask("MAIL FROM:<water@heping.test>")
    busy.ask("RCPT TO:<office@heping.test>")
    busy.ask("DATA")
    busy.send(b"Subject: a\r\n\r\n.\r\n")
    running.run(begun.wait())
    stopping = asyncio.run_coroutine_threadsafe(running.door.stop(10), running.loop)
    assert idle.reply().startswith("421 4.3.2 The post office is being restarted")
    assert idle.line() == ""
    running.loop.call_soon_threadsafe(go_on.set)
    assert busy.reply().startswith("250 2.0.0 ")
    assert busy.reply().startswith("421 4.3.2 ")
    stopping.result(10)
    with pytest.raises(ConnectionRefusedError):
        running.connect()


def test_stopping_does_not_wait_for_a_slow_client_beyond_its_time(open_door):
    running = open_door()
    client = running.connect()
    client.begin()
    client.ask("MAIL FROM:<water@heping.test>")
    client.ask("RCPT TO:<office@heping.test>")
    client.ask("DATA")
    begun = time.monotonic()
    running.run(running.door.stop(0.2))
    assert time.monotonic() - begun < 2
    assert running.exchange.kept == []


def test_a_port_in_use_is_one_sentence(open_door):
    running = open_door()
    with pytest.raises(ConfigurationError, match=r"submission\.listeners: cannot listen on"):
        open_door(port=running.port)


def test_a_changed_certificate_is_used_by_the_next_handshake(open_door, certificates):
    running = open_door()
    stays = running.connect()
    stays.begin()
    server, other = certificates["server"], certificates["stranger"]
    kept = server.certificate.read_bytes(), server.key.read_bytes()
    try:
        server.certificate.write_bytes(other.certificate.read_bytes())
        server.key.write_bytes(other.key.read_bytes())
        running.tls.reload()
        client = running.connect()
        client.begin()
        assert client._socket.getpeercert(binary_form=True) == other.der
        assert stays.ask("NOOP").startswith("250 ")
    finally:
        server.certificate.write_bytes(kept[0])
        server.key.write_bytes(kept[1])


def test_every_limit_and_reply_stands_in_the_manual():
    manual = (Path(__file__).parents[3] / "docs" / "submission.md").read_text(encoding="utf-8")
    fixed = [r for r in vars(replies).values() if isinstance(r, replies.Reply)]
    for reply in [*fixed, replies.too_large(36_700_160)]:
        assert reply.text in manual, reply.text
        assert f"{reply.code} {reply.enhanced}".strip() in manual
    for name in Submission.model_fields["limits"].annotation.model_fields:
        assert f"`limits.{name}`" in manual, name


def test_a_session_does_not_outlive_its_password(open_door, directory_url):
    client = open_door().connect()
    client.begin("reader")
    assert client.ask("MAIL FROM:<reader@heping.test>").startswith("553 ")
    database = Database(directory_url)
    old = database.read_now(
        lambda conn: conn.scalar(
            select(accounts.c.password_hash).where(accounts.c.login == "reader")
        )
    )
    try:
        for password_hash in (hash_password("another one"), old):
            database.write_now(
                lambda conn, value=password_hash: set_password(
                    conn, "reader", value, actor="test", now=datetime.now(UTC)
                )
            )
            if password_hash != old:
                answer = client.ask("MAIL FROM:<reader@heping.test>")
                assert answer.startswith("421 4.7.0 The account was changed")
    finally:
        database.stop()


def test_the_replies_to_a_pipelined_group_travel_together(open_door, monkeypatch):
    sent: list[bytes] = []
    real = Conversation.send

    async def note(self: Conversation, octets: bytes) -> None:
        sent.append(self._unsent + octets)
        await real(self, octets)

    client = open_door().connect()
    client.begin()
    monkeypatch.setattr(Conversation, "send", note)
    group = "MAIL FROM:<water@heping.test>", "RCPT TO:<office@heping.test>", "RCPT TO:<x@y>"
    client.send("".join(f"{line}\r\n" for line in (*group, "DATA")).encode())
    codes = [client.reply()[:3] for _ in range(4)]
    client.send(b"a: b\r\n\r\n.\r\n")
    assert client.reply()[:3] == "250"
    assert codes == ["250", "250", "550", "354"]
    # What was refused goes out at once, with all that waited.
    assert [octets.count(b"\r\n") for octets in sent] == [3, 1, 1]
    # One at a time they are answered one at a time.
    del sent[:]
    for line in (*group[:2], "RSET"):
        client.ask(line)
    assert [octets.count(b"\r\n") for octets in sent] == [1, 1, 1]
