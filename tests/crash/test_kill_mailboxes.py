"""`kill -9` while people work in their mailboxes: what was answered OK is there after the restart,
what was not is there whole or not at all, nothing is there twice, and no UID is given again.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from gateway.cli.office import opened
from gateway.exchange.mailroom import open_mailboxes, tables
from gateway.store.drivers import open_blobs
from mailboxes.tree import FolderTree
from tests.crash.forked import Forked
from tests.crash.stages import Stages
from tests.databases import SQLITE
from tests.imap.test_doors import Client
from tests.office import Office

LOGIN, OWNER = "water", "unit:water"
POINTS = ("mailbox.before-commit", "mailbox.after-commit")
COMMANDS = ("append", "two", "copy", "move", "store", "expunge", "create", "rename")
USUAL = ("two", "move", "store", "expunge")
ON_POSTGRESQL = ("move",)  # it writes most; the others commit in the same way


@dataclass(frozen=True)
class Message:
    subject: str
    flags: frozenset[str]


@dataclass
class Folder:
    """What is in one folder, and what it will give next."""

    messages: dict[int, Message]
    uidnext: int
    claimed: bool  # nobody is to be told of anything \\Recent


State = dict[str, Folder]


def state(office: Office) -> State:
    """The folders as the rows have them; each row counts what is in it."""
    found: State = {}
    with opened(office.config) as here, here.database.engine.connect() as connection:
        store = open_mailboxes(open_blobs(here.config))
        for node in FolderTree(tables).nodes(connection, OWNER):
            rows = store.messages(connection, node.id)
            assert (node.messages, node.octets) == (len(rows), sum(row.size for row in rows))
            messages = {}
            for row in rows:
                octets = b"".join(store.pieces(connection, row.id))
                subject = re.search(rb"Subject: (\w+)", octets)
                assert subject is not None
                messages[row.uid] = Message(subject[1].decode(), frozenset(row.flags))
            assert len(messages) == len(rows)
            assert node.uidnext > max(messages, default=0)
            found[node.name] = Folder(messages, node.uidnext, node.recent >= node.uidnext)
    return found


def said(command: str, before: State) -> bytes:
    """The command for that state."""
    low, high = sorted(before["INBOX"].messages)[:2]
    return {
        "append": b"APPEND INBOX (\\Flagged) {17+}\r\nSubject: new\r\n\r\nx",
        "two": b"APPEND INBOX {14+}\r\nSubject: n\r\n\r\n {14+}\r\nSubject: m\r\n\r\n",
        "copy": b"UID COPY %d:%d Case" % (low, high),
        "move": b"UID MOVE %d:%d Case" % (low, high),
        "store": b"UID STORE %d:%d +FLAGS (\\Deleted $Work)" % (low, high),
        "expunge": b"EXPUNGE",
        "create": b"CREATE Case/New%d" % len(before),
        "rename": b"RENAME Sub Sub%d" % len(before),
    }[command]


def outcome(command: str, before: State) -> dict[str, dict[int, Message]]:
    """What there is when it was carried out."""
    after = {name: dict(folder.messages) for name, folder in before.items()}
    inbox, case = after["INBOX"], after["Case"]
    new, first = before["INBOX"].uidnext, before["Case"].uidnext
    low, high = sorted(inbox)[:2]
    match command:
        case "append":
            inbox[new] = Message("new", frozenset({"\\Flagged"}))
        case "two":
            inbox[new], inbox[new + 1] = Message("n", frozenset()), Message("m", frozenset())
        case "copy":
            case.update({first: inbox[low], first + 1: inbox[high]})
        case "move":
            case.update({first: inbox.pop(low), first + 1: inbox.pop(high)})
        case "store":
            for uid in (low, high):
                more = inbox[uid].flags | {"\\Deleted", "$Work"}
                inbox[uid] = Message(inbox[uid].subject, more)
        case "expunge":
            for uid in [uid for uid, one in inbox.items() if "\\Deleted" in one.flags]:
                del inbox[uid]
        case "create":
            after[f"Case/New{len(before)}"] = {}
        case "rename":
            if "Sub" in after:
                after[f"Sub{len(before)}"] = after.pop("Sub")
    return after


def messages(found: State) -> dict[str, dict[int, Message]]:
    return {name: folder.messages for name, folder in found.items()}


@contextmanager
def served(office: Office, point: str = "") -> Iterator[None]:
    """A daemon that dies at that point, or when the block ends."""
    Stages(office)._start(point)
    try:
        yield
    finally:
        process = office.process
        assert isinstance(process, Forked)
        if not point:
            process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, f"{point} was not reached"
        office.process = None


def carry_out(office: Office, command: str, before: State) -> bytes:
    """Say it; the tagged answer, or nothing where the connection broke."""
    with Client(office, LOGIN) as client:
        if command not in ("append", "two", "create", "rename"):
            client.ok("SELECT INBOX")
        with suppress(AssertionError, OSError):
            return client.say(said(command, before))[-1]
        return b""


def _kill_at_each_point(office: Office, commands: Sequence[str]) -> None:
    with served(office), Client(office, LOGIN) as client:
        for number in range(10):
            assert client.append(b"Subject: m%d\r\n\r\n\r\n" % number).startswith(b"OK")
        for name in ("Case", "Sub", "Sub/Below"):
            client.ok(f"CREATE {name}")
    before = state(office)
    assert len(before["INBOX"].messages) == 10, "an answer was lost with the daemon"
    given: dict[tuple[str, int], str] = {}
    for command in commands:
        for point in POINTS:
            selects = command in ("copy", "move", "store", "expunge")
            times = 2 if selects and not before["INBOX"].claimed else 1
            with served(office, f"{point}:{times}"):
                assert carry_out(office, command, before) == b"", "an answer before it was safe"
            after = state(office)
            done = outcome(command, before) if point.endswith("after-commit") else messages(before)
            if command == "rename":  # what is below goes along
                done = {name: {} for name in after} | {"INBOX": done["INBOX"], "Case": done["Case"]}
                renamed = [name for name in after if re.fullmatch(r"Sub\d+/Below", name)]
                assert bool(renamed) is point.endswith("after-commit")
            assert messages(after) == done, (command, point)
            for name, folder in after.items():
                assert folder.uidnext >= before.get(name, folder).uidnext
                for uid, one in folder.messages.items():
                    assert given.setdefault((name, uid), one.subject) == one.subject
            before = after
    with served(office):
        for command in ("two", "move", "store", "expunge", "append"):
            assert carry_out(office, command, before).startswith(b"OK"), command
            done, before = outcome(command, before), state(office)
            assert messages(before) == done, command
    assert messages(state(office)) == done, "an answer was lost with the daemon"
    office.run("fsck")


@pytest.mark.timeout(300)
def test_what_was_answered_is_there_and_the_rest_is_whole_or_not_at_all(
    database_kind: str, make_office: Callable[..., Office]
) -> None:
    _kill_at_each_point(make_office(), USUAL if database_kind == SQLITE else ON_POSTGRESQL)


@pytest.mark.soak
def test_a_kill_under_each_command_on_both_databases(make_office: Callable[..., Office]) -> None:
    _kill_at_each_point(make_office(), COMMANDS)
