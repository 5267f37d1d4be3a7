"""Whatever several clients do to one folder at once, in two processes: what each of them was told
is what there is, by message numbers, by UIDs, by modification sequences, and after an absence.

Each client keeps a mirror, as a mail program does, from untagged responses alone.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.databases import Databases, opened
from tests.fuzz.effort import FACTOR
from tests.mailroom import Client, Mailroom

_ITEMS = re.compile(rb"\* (\d+) FETCH \((.*)\)\Z", re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"MODSEQ \((\d+)\)")
_FLAG_WORDS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Done", "$Later")


@dataclass(eq=False)
class Entry:
    uid: int = 0  # 0: the client was not told yet
    flags: frozenset[bytes] | None = None
    modseq: int = 0


@dataclass
class Mirror:
    """What a client knows of the folder."""

    client: Client
    way: str  # plain, CONDSTORE or QRESYNC
    entries: list[Entry] = field(default_factory=list)
    uidvalidity: int = 0
    highest: int = 0  # all up to that is known
    seen: int = 0  # the highest that was told of any message

    def hear(self, line: bytes, *, expunges: bool) -> None:
        """Believe one response."""
        if match := _ITEMS.match(line):
            number = int(match[1])
            assert 1 <= number <= len(self.entries), (line, len(self.entries))
            self._fetched(self.entries[number - 1], match[2])
        elif match := re.match(rb"\* (\d+) (EXISTS|EXPUNGE)\Z", line):
            number = int(match[1])
            if match[2] == b"EXISTS":
                assert number >= len(self.entries), line
                self.entries += [Entry() for _ in range(number - len(self.entries))]
            else:
                assert expunges, f"RFC 3501, 7.4.1 forbids it here: {line!r}"
                assert self.way != "QRESYNC", line
                del self.entries[number - 1]
        elif match := re.match(rb"\* VANISHED ((?:\(EARLIER\) )?)([0-9:,]+)\Z", line):
            gone = _spread(match[2])
            if not match[1]:
                assert expunges, line
                assert self.way == "QRESYNC", line
            for uid in gone:
                self._drop(uid, known_only=bool(match[1]))
        elif match := re.match(rb"\* OK \[UIDVALIDITY (\d+)\]", line):
            self.uidvalidity = int(match[1])
        elif match := re.match(rb"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
            self.highest = int(match[1])

    def _fetched(self, entry: Entry, items: bytes) -> None:
        if found := _UID.search(items):
            assert entry.uid in (0, int(found[1])), "the number is another message's"
            entry.uid = int(found[1])
        if found := _FLAGS.search(items):
            entry.flags = frozenset(found[1].split()) - {b"\\Recent"}
        if found := _MODSEQ.search(items):
            assert int(found[1]) >= entry.modseq, "a modification sequence went back"
            entry.modseq = int(found[1])
            self.seen = max(self.seen, entry.modseq)

    def _drop(self, uid: int, *, known_only: bool) -> None:
        """A message has vanished; perhaps one that was gone before the client could ask about it:
        then it stands between those with lower and those with higher UIDs."""
        lower = 0
        for entry in self.entries:
            if entry.uid == uid or (not known_only and not entry.uid and lower < uid):
                fits = entry.uid == uid or all(
                    other.uid > uid
                    for other in self.entries[self.entries.index(entry) :]
                    if other.uid
                )
                if fits:
                    self.entries.remove(entry)
                    return
            lower = entry.uid or lower
        assert known_only, f"{uid} has vanished, of which the client was never told"

    async def say(self, command: str) -> bytes:
        """Say it and believe what comes; the tagged response."""
        *untagged, last = await self.client.say(command)
        may = command.startswith(("UID ", "NOOP", "EXPUNGE", "MOVE", "COPY", "APPEND", "SELECT"))
        for line in untagged:
            self.hear(line, expunges=may)
        assert last[:3] in (b"OK ", b"NO "), (command, last)
        assert b"SERVERBUG" not in last, (command, last)
        if self.way == "QRESYNC" and not command.startswith("FETCH"):
            await self.learn()  # what VANISHED names should be known before
        return last

    async def learn(self) -> None:
        """Ask for the UIDs that it was not told, as mail programs do."""
        low = next((n for n, entry in enumerate(self.entries, 1) if not entry.uid), 0)
        if low:
            await self.say(f"FETCH {low}:* (UID FLAGS)")

    async def catch_up(self) -> None:
        """Know all that there is at this moment, so that a later resynchronisation is short."""
        await self.say("NOOP")
        seen = self.seen
        await self.learn()
        self.highest = max(self.highest, seen)

    async def come_back(self, room: Mailroom) -> None:
        """Lose the connection and resynchronise."""
        await self.client.hang_up()
        self.client = await room.client("wang")
        if self.way == "plain":
            self.entries = []
            await self.say("SELECT Work")
            await self.learn()
            return
        await self.client.ok(f"ENABLE {self.way}")
        if self.way == "CONDSTORE":
            self.entries = []
            await self.say("SELECT Work (CONDSTORE)")
            await self.learn()
            return
        self.entries = [entry for entry in self.entries if entry.uid]
        before, self.way = self.entries, "resyncing"
        *untagged, last = await self.client.say(
            f"SELECT Work (QRESYNC ({self.uidvalidity} {self.highest}))"
        )
        assert last.startswith(b"OK"), last
        known = {entry.uid: entry for entry in before}
        exists, news = -1, len(untagged)
        for place, line in enumerate(untagged):
            if line.startswith(b"* VANISHED (EARLIER)"):
                for uid in _spread(line.rpartition(b" ")[2]):
                    known.pop(uid, None)
            elif _ITEMS.match(line):
                found = _UID.search(line)
                assert found is not None, line
                known.setdefault(int(found[1]), Entry(int(found[1])))
            elif match := re.match(rb"\* (\d+) EXISTS", line):
                if exists >= 0:
                    news = place
                    break
                exists = int(match[1])
            elif line.startswith(b"* VANISHED"):
                news = place
                break
            elif match := re.match(rb"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
                self.highest = int(match[1])
        self.entries = [known[uid] for uid in sorted(known)]
        assert len(self.entries) == exists, "the resynchronised mirror lacks or has too many"
        self.way = "QRESYNC"
        for place, line in enumerate(untagged):
            if place >= news or _ITEMS.match(line):
                self.hear(line, expunges=True)


def _spread(text: bytes) -> set[int]:
    found: set[int] = set()
    for piece in text.decode().split(","):
        low, _, high = piece.partition(":")
        found.update(range(int(low), int(high or low) + 1))
    return found


async def act(  # noqa: PLR0912  # one for each thing
    mirror: Mirror, dice: random.Random, room: Mailroom
) -> None:
    """One thing that a mail program does."""
    count = len(mirror.entries)
    uid = dice.choice(("", "UID "))
    numbers = "1:*"
    if count:
        low, high = sorted((dice.randint(1, count), dice.randint(1, count)))
        numbers = f"{low}:{high}" if not uid else "*"
        uids = [entry.uid for entry in mirror.entries if entry.uid]
        if uid and uids:
            low, high = sorted((dice.choice(uids), dice.choice(uids)))
            numbers = f"{low}:{high}"
    elif not uid:
        uid = "UID "
    flag, way = dice.choice(_FLAG_WORDS), dice.choice(("+", "-", "+", ""))
    match dice.randrange(12):
        case 0 | 1 | 2:
            await mirror.say("APPEND Work {14+}\r\nSubject: a\r\n\r\n")
        case 3 | 4:
            silent = dice.choice(("", ".SILENT"))
            before = mirror.entries[:]
            await mirror.say(f"{uid}STORE {numbers} {way}FLAGS{silent} ({flag})")
            if silent:
                for entry in before:  # what it has not asked for it does not know
                    entry.flags = None
        case 5:
            await mirror.say(f"{uid}STORE {numbers} +FLAGS (\\Deleted)")
        case 6:
            await mirror.say(dice.choice(("EXPUNGE", f"UID EXPUNGE {numbers}" if uid else "NOOP")))
        case 7:
            verb = dice.choice(("MOVE", "COPY"))
            where = dice.choice(("Other", "Work"))
            await mirror.say(f"{uid}{verb} {numbers} {where}")
        case 8:
            await mirror.say(f"{uid}FETCH {numbers} (UID FLAGS)")
        case 9:
            await mirror.say(f"{uid}SEARCH UNSEEN NOT DELETED")
        case 10:
            await mirror.learn()
        case 11:
            if dice.random() < 0.3:
                await mirror.come_back(room)
            else:
                await mirror.catch_up()


async def story(folder: Path, database: Databases, seed: int, steps: int) -> None:
    dice = random.Random(seed)
    room = Mailroom(opened(database), folder)
    room.add("wang")
    room.mailbox("person:wang", "Work", "Other")
    other = room.of_another_process()
    mirrors: list[tuple[Mirror, Mailroom]] = []
    for way, place in (
        ("plain", room), ("QRESYNC", room), ("CONDSTORE", other), ("QRESYNC", other),
    ):  # fmt: skip
        mirror = Mirror(await place.client("wang"), way)
        if way != "plain":
            await mirror.client.ok(f"ENABLE {way}")
        await mirror.say("SELECT Work")
        mirrors.append((mirror, place))
    for _ in range(steps):
        some = dice.sample(mirrors, dice.choice((1, 1, 2, 3)))
        await asyncio.gather(*(act(mirror, dice, place) for mirror, place in some))
    for mirror, place in mirrors:
        await mirror.say("NOOP")
        await mirror.learn()
        rows = room.database.read_now(
            lambda c: {
                row.uid: row
                for row in room.store.messages(c, room.store.folder_id(c, "person:wang", "Work"))
            }
        )
        assert [entry.uid for entry in mirror.entries] == sorted(rows), (mirror.way, seed)
        told = {entry.uid: entry.flags for entry in mirror.entries if entry.flags is not None}
        mirror.entries = [Entry(entry.uid) for entry in mirror.entries]
        if mirror.entries:
            await mirror.say("FETCH 1:* (UID FLAGS MODSEQ)")
        for entry in mirror.entries:
            assert told.get(entry.uid, entry.flags) == entry.flags, (mirror.way, seed, entry)
            assert entry.modseq == rows[entry.uid].modseq
        await mirror.come_back(place)
        assert [entry.uid for entry in mirror.entries] == sorted(rows), (mirror.way, seed)
    counts = {
        folder.name: (folder.messages, folder.size)
        for folder in room.database.read_now(lambda c: room.store.folders(c, "person:wang"))
    }
    nodes = room.database.read_now(lambda c: room.tree.nodes(c, "person:wang"))
    assert {node.name: (node.messages, node.octets) for node in nodes} == counts
    await room.close()
    await other.close()
    await room.database.close()


@pytest.mark.parametrize("seed", range(int(2 * FACTOR)))
async def test_what_clients_were_told_is_what_there_is(
    seed: int, tmp_path: Path, databases: Databases
) -> None:
    with capture_logs() as lines:
        await story(tmp_path, databases, seed, 150)
    assert [line for line in lines if line["log_level"] in ("error", "critical")] == []
