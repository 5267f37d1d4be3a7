"""How fast the demo office takes documents, and what each costs it.

Sends distinct sealed documents of some 4 KB, made beforehand, over TLS with AUTH, and says how many
a second were accepted, how long each waited for its 250, what CPU the daemon and the load generator
used, and when the last receipt and the last reminder were out. With --notice it sends one document
to many units and measures until the last mailbox row and until the receipt.

Run it as `python -m bench.submit`. Figures of a busy machine are of no use: see its load first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from bench import paper
from bench.client import Generator, Mail, Plan, Result
from bench.gauge import tree
from gateway import config_file
from tests import office as offices

_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = """
[policy]
disabled_checks = ["rate"]

[submission.limits]
commands = 1000000
connections = 2000
connections_per_address = 500
"""


@dataclass(frozen=True, slots=True)
class Speed:
    """One run of many mails."""

    mails: int
    connections: int
    reuse: bool
    urgent: bool
    accepted: int
    seconds: float
    daemon_cpu: float  # seconds, until the last reply, children included
    client_cpu: float
    waits: dict[str, float]  # milliseconds from the end of DATA to 250
    commits: float  # of the daemon's writer, until the last reply
    drained: float  # seconds from the start until the last receipt and reminder
    drained_cpu: float  # seconds of the daemon until then
    replies: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    load: float = 0.0  # of the machine, before

    @property
    def rate(self) -> float:
        """Accepted mails a second."""
        return self.accepted / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """One document to many units; milliseconds from the end of DATA."""

    units: int
    replied: float
    rows: float  # until the last mailbox row was there
    receipt: float  # until the receipt was in the sender's mailbox
    reminders: float  # until the last reminder was with the carrier
    daemon_cpu: float  # until then
    load: float


@contextmanager
def founded(units: int = 0) -> Iterator[offices.Office]:
    """A demo office with so many units more, without the limits that a load breaks; not started.

    To make one takes seconds: YIZHAN_TEMPLATE may name the folder of one that is made already.
    """
    folder = Path(tempfile.mkdtemp(prefix="yzs"))
    made = os.environ.get("YIZHAN_TEMPLATE")
    try:
        template = Path(made) if made and not units else None
        template = template or offices.make_template(folder / "t")
        if units:
            enlarge(template, units)
        office = offices.copy_office(template, folder / "o", changes={offices.POLICY: ""})
        with office.config.open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)
        yield office
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_office(
    units: int = 0, options: argparse.Namespace | None = None
) -> Iterator[offices.Office]:
    """The same, started."""
    with founded(units) as office, office.running():
        if options is not None and options.pid:
            sys.stderr.write(f"the daemon's process is {office.process.pid}\n")  # type: ignore[union-attr]
        yield office


def copy(folder: Path, to: Path) -> offices.Office:
    """Another office like the one in that folder, with ports of its own."""
    shutil.copytree(folder, to)
    loaded = config_file.load(to / "yizhan.toml")
    portal = loaded.portal.port if loaded.portal else 0
    old = [
        *(one.port for one in loaded.submission.listeners), loaded.console.port, portal,
        *(one.port for one in loaded.mailbox_listeners),
    ]  # fmt: skip
    new = offices.free_ports(len(old))
    text = (to / "yizhan.toml").read_text(encoding="utf-8")
    text = offices.renumbered(text, old, new)
    (to / "yizhan.toml").write_text(text.replace(str(folder), str(to)), encoding="utf-8")
    return offices.Office(to, *new)


def enlarge(folder: Path, units: int) -> None:
    """Add units as `yizhan unit add` does, each with a duty person, and the group `city` of all."""
    from gateway.directory.duty import add_duty
    from gateway.directory.groups import add_group
    from gateway.directory.model import Level, Post, UnitClass
    from gateway.directory.snapshot import load
    from gateway.directory.units import add_unit
    from gateway.exchange.cabinet import furnish_new
    from gateway.exchange.mailroom import open_mailboxes
    from gateway.store.database import Database
    from gateway.store.drivers import open_blobs

    now, config = datetime.now(UTC), config_file.load(folder / "yizhan.toml")
    database = Database(config.state.database_url, readers=1)
    mailboxes = open_mailboxes(open_blobs(config))

    def work(connection: object) -> None:
        for number in range(units):
            code = f"station{number}"
            add_unit(
                connection, code=code, name=f"第{number}站", level=Level.SUBDISTRICT,  # type: ignore[arg-type]
                unit_class=UnitClass.INSTITUTION, actor="bench", now=now,
            )  # fmt: skip
            add_duty(
                connection, unit=code, name="值班", post=Post.CLERK, actor="bench", now=now,  # type: ignore[arg-type]
                mobile=f"139{number:08d}",
            )  # fmt: skip
        directory = load(connection, config.office.domain)  # type: ignore[arg-type]
        furnish_new(mailboxes, connection, directory.owners(), now)  # type: ignore[arg-type]
        codes = [unit.code for unit in directory.units()]
        add_group(
            connection, name="city", title="全市", members=codes, senders=["*"],  # type: ignore[arg-type]
            actor="bench", now=now,
        )  # fmt: skip

    database.write_now(work)
    database.stop()


@dataclass(frozen=True, slots=True)
class Share:
    """The mails of one sender, made in one go."""

    sender: str
    recipients: tuple[str, ...]
    numbers: range
    subject: str
    key: Path
    folder: Path
    characters: int
    sealed: bool = True

    def make(self) -> None:
        for number in self.numbers:
            entity = paper.entity_of_text(paper.prose(self.characters, number))
            to = [f"{name}@heping.test" for name in self.recipients]
            subject = self.subject.format(number=number)
            octets = paper.wire(
                f"{self.sender}@heping.test",
                to,
                subject,
                paper.seal(entity, self.key, number) if self.sealed else entity,
            )
            (self.folder / f"{number}.eml").write_bytes(octets)


def make_mails(
    office: offices.Office,
    folder: Path,
    count: int,
    connections: int,
    *,
    urgent: bool,
    characters: int = 800,
    sealed: bool = True,
) -> list[Mail]:
    """Distinct sealed documents; the n-th connection's are all of one sender."""
    folder.mkdir()
    logins = [name for name, account in office.accounts.items() if account["unit"] == name]
    word = "【特急】" if urgent else ""
    shares = []
    for n in range(connections):
        sender, recipient = logins[n % len(logins)], logins[(n + 1) % len(logins)]
        shares.append(Share(
            sender, (recipient,), range(n, count, connections),
            word + "和政办发〔2026〕{number}号 关于报送材料的通知",
            office.folder / "seals" / f"{sender}.sec.asc", folder, characters, sealed,
        ))  # fmt: skip
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(Share.make, shares))
    mails = []
    for number in range(count):
        share = shares[number % connections]
        mails.append(Mail(
            share.sender, office.accounts[share.sender]["password"] if sealed else "",
            f"{share.sender}@heping.test", [f"{share.recipients[0]}@heping.test"],
            str(folder / f"{number}.eml"),
        ))  # fmt: skip
    return mails


def submit(
    office: offices.Office, mails: list[Mail], connections: int, *, reuse: bool, urgent: bool
) -> Speed:
    """Send them all; returns when the last receipt and reminder are out."""
    assert office.process is not None
    plan = Plan(
        office.submissions_port, mails, connections, trust=str(office.folder / "tls.crt"),
        reuse=reuse,
    )  # fmt: skip
    load = os.getloadavg()[0]
    with Generator(plan) as generator:
        commits, begun = metric(office, "yizhan_database_commits_total"), time.monotonic()
        before = cpu(office.process.pid)
        result: Result = generator.run()
        used, commits = cpu(office.process.pid) - before, metric(
            office, "yizhan_database_commits_total"
        ) - commits  # fmt: skip
        while pending(office):
            time.sleep(0.05)
        drained, drained_cpu = time.monotonic() - begun, cpu(office.process.pid) - before
    return Speed(
        len(mails), connections, reuse, urgent, result.accepted, result.seconds, used, result.cpu,
        _spread(result.waits), commits, drained, drained_cpu, result.replies, result.bad, load,
    )  # fmt: skip


def notice(office: offices.Office, group: str, units: int) -> Notice:
    """Send one urgent sealed document to the group."""
    assert office.process is not None
    folder = office.folder / f"notice-{time.monotonic_ns()}"
    folder.mkdir()
    share = Share(
        "office", (group,), range(1), "【特急】和政办发〔2026〕" + str(time.monotonic_ns() % 9_999)
        + "号 关于防汛工作的通知", office.folder / "seals" / "office.sec.asc", folder, 800,
    )  # fmt: skip
    share.make()
    account = office.accounts["office"]
    mail = Mail(
        "office", account["password"], account["address"], [f"{group}@heping.test"],
        str(folder / "0.eml"),
    )  # fmt: skip
    plan = Plan(office.submissions_port, [mail], 1, trust=str(office.folder / "tls.crt"), keep=True)
    load, before = os.getloadavg()[0], cpu(office.process.pid)
    with Generator(plan) as generator, closing(_open(office)) as database:
        result = generator.run()
        [(reply, sent, answered)] = result.answered
        document = reply.split()[2]
        rows = _wait(database, _ROWS, document, units)
        receipt = _wait(database, _RECEIPT, document, 1)
        reminders = _wait(database, _REMINDERS, document, units)
    used = cpu(office.process.pid) - before
    times = [(moment - sent) * 1000 for moment in (answered, rows, receipt, reminders)]
    return Notice(units, *times, used, load)


_ROWS = """SELECT count(*) FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id
 WHERE c.key = ? AND c.kind = 'document' AND m.seen = 0"""
_RECEIPT = """SELECT count(*) FROM mailbox_messages m JOIN mailbox_contents c ON c.id = m.content_id
 WHERE c.key = ? AND c.kind = 'receipt'"""
_REMINDERS = "SELECT count(*) FROM reminders WHERE document_id = ? AND state = 'handed-over'"


def _open(office: offices.Office) -> sqlite3.Connection:
    path = office.folder / "state" / "yizhan.db"
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _wait(database: sqlite3.Connection, query: str, document: str, count: int) -> float:
    """The moment when that many rows were first seen, looked for every 5 ms."""
    end = time.monotonic() + 120
    while database.execute(query, (document,)).fetchone()[0] < count:
        if time.monotonic() > end:
            raise RuntimeError(f"not {count} rows after two minutes: {query}")
        time.sleep(0.005)
    return time.time()


def pending(office: offices.Office) -> int:
    """Receipts and reminders that are due and not out yet."""
    now = int(time.time() * 1000)
    with closing(_open(office)) as database:
        receipts = database.execute("SELECT count(*) FROM outbox WHERE kind = 'receipt'")
        reminders = database.execute(
            "SELECT count(*) FROM reminders WHERE state IN ('queued', 'handing-over') "
            "AND due_at < ?", (now,),
        )  # fmt: skip
        return int(receipts.fetchone()[0]) + int(reminders.fetchone()[0])


def cpu(pid: int) -> float:
    """Seconds of CPU that the tree has used, living processes and children that ended."""
    total = 0
    for number in tree(pid):
        try:
            stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        total += sum(int(word) for word in stat.rpartition(")")[2].split()[11:15])
    return total / _TICKS


def metric(office: offices.Office, name: str) -> float:
    """The value of one of the daemon's metrics without labels."""
    import httpx

    for line in httpx.get(office.url("/metrics"), timeout=10).text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise KeyError(name)


def _spread(waits: list[float]) -> dict[str, float]:
    ordered = sorted(wait * 1000 for wait in waits)
    if not ordered:
        return {}
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    found = {n: ordered[min(int(p * len(ordered)), len(ordered) - 1)] for n, p in places.items()}
    return {"mean": statistics.fmean(ordered), **found}


def describe(speed: Speed) -> str:
    """One run for people."""
    each, used = max(speed.accepted, 1), speed.daemon_cpu * 1000
    waits = " ".join(f"{name} {value:.0f}" for name, value in speed.waits.items())
    way = "reused" if speed.reuse else "new"
    return "\n".join((
        f"{speed.mails} mails, {speed.connections} connections ({way})"
        f"{', urgent' if speed.urgent else ''}: {speed.rate:.0f}/s, {speed.replies}",
        *speed.bad,
        f"  250 after (ms): {waits}",
        f"  daemon CPU {used / each:.2f} ms a mail "
        f"({100 * speed.daemon_cpu / speed.seconds:.0f} % of one core); load generator "
        f"{1000 * speed.client_cpu / each:.2f} ms a mail "
        f"({100 * speed.client_cpu / speed.seconds:.0f} %)",
        f"  commits {speed.commits:.0f}; receipts and reminders out after {speed.drained:.1f} s, "
        f"daemon CPU until then {1000 * speed.drained_cpu / each:.2f} ms a mail; "
        f"load before {speed.load:.1f}",
    ))  # fmt: skip


def describe_notice(one: Notice) -> str:
    """One notice for people."""
    return (
        f"notice to {one.units} units (ms after the end of DATA): 250 {one.replied:.0f}, last "
        f"mailbox row {one.rows:.0f}, receipt {one.receipt:.0f}, last reminder "
        f"{one.reminders:.0f}; daemon CPU {one.daemon_cpu * 1000:.0f} ms; load {one.load:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The script; status 1 if a mail was not accepted."""
    parser = argparse.ArgumentParser(prog="python -m bench.submit", description=__doc__)
    parser.add_argument("--mails", type=int, default=1_000, help="how many (1,000)")
    parser.add_argument("--connections", type=int, default=20, help="at once (20)")
    parser.add_argument("--new", action="store_true", help="a connection for each mail")
    parser.add_argument("--urgent", action="store_true", help="with a reminder at once, by file")
    parser.add_argument("--rounds", type=int, default=1, help="runs; the first warms up")
    parser.add_argument("--notice", type=int, nargs="*", metavar="UNITS",
                        help="send a notice to so many units instead: 44 or more")  # fmt: skip
    parser.add_argument("--pid", action="store_true", help="say which process the daemon is")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    found: list[Speed | Notice] = []
    if options.notice is not None:
        for units in options.notice or [44, 1_000]:
            with running_office(units - 44, options) as office:
                for _ in range(options.rounds):
                    found.append(notice(office, "city" if units > 44 else "all", units))
                    print(describe_notice(found[-1]), flush=True)
    else:
        with running_office(0, options) as office:
            for count in range(options.rounds):
                mails = make_mails(
                    office, office.folder / f"mails{count}", options.mails, options.connections,
                    urgent=options.urgent,
                )  # fmt: skip
                found.append(submit(
                    office, mails, options.connections, reuse=not options.new,
                    urgent=options.urgent,
                ))  # fmt: skip
                print(describe(found[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 0 if all(not isinstance(o, Speed) or o.accepted == o.mails for o in found) else 1


if __name__ == "__main__":
    sys.exit(main())
