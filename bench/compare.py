"""Yizhan beside what an office would pick instead: Postfix, with its own agent or with Dovecot.

One load generator drives them in turn, round by round, with the same mails: distinct sealed
documents made beforehand, over TLS with AUTH. Yizhan checks policy and seal, writes evidence, mails
a receipt and hands a reminder over for each; Postfix does what Postfix does. Accepted is when the
client has its 250; done is when nothing is left to do: mails in Maildir, receipts in the sender's
mailbox, reminders with the carrier. The processor's time is that of the server and all its
children until then.

Run it as root (Postfix changes its user) as `python -m bench.compare`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from bench import picture, postfix, submit
from bench.client import Generator, Mail, Plan, Result
from tests import office as offices

CHARACTERS = {4: 800, 100: 24_000}  # of text, for a mail of about so many KB
_PATIENCE = 300.0  # seconds for what was accepted to be done


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, and how."""

    kilobytes: int
    connections: int
    reused: bool

    @property
    def title(self) -> str:
        """For people."""
        way = "kept" if self.reused else "new for each mail"
        return f"{self.kilobytes} KB, {self.connections} connections {way}"


@dataclass(frozen=True, slots=True)
class Round:
    """One server, one case, one round."""

    server: str
    case: Case
    accepted: float  # a second
    done: float  # a second
    cpu: float  # milliseconds of the server for each mail, until done
    client_cpu: float  # milliseconds of the load generator for each mail
    p50: float  # milliseconds from the end of DATA to 250
    p99: float
    load: float  # of the machine, before


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that is measured."""

    name: str
    port: int  # of the door that is measured
    pids: tuple[int, ...]
    waiting: Callable[[], int]  # what is accepted and not done


@contextmanager
def running(
    names: Sequence[str], office: offices.Office, *, bare: bool
) -> Iterator[dict[str, Server]]:
    """The servers of those names, each with the same people."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:
        for name in names:
            if name.startswith("postfix-"):
                peer = stack.enter_context(
                    postfix.running(
                        {login: one["password"] for login, one in office.accounts.items()},
                        office.folder / "tls.crt", office.folder / "tls.key",
                        agent=name.removeprefix("postfix-"),
                    )
                )  # fmt: skip
                port = peer.bare_port if bare else peer.implicit_port
                servers[name] = Server(name, port, peer.pids, peer.queued)
            else:
                ours = submit.copy(office.folder, office.folder.with_name(name))
                text = ours.config.read_text(encoding="utf-8")
                workers = name.removeprefix("yizhan-") if name != "yizhan" else "1"
                ours.config.write_text(f"[daemon]\nworkers = {workers}\n\n{text}", encoding="utf-8")
                if bare:
                    ours.command = (sys.executable, "-m", "bench.bare", str(ours.config))
                stack.enter_context(ours.running())
                assert ours.process is not None
                port = ours.submission_port if bare else ours.submissions_port
                servers[name] = Server(name, port, (ours.process.pid,), _left(ours))
        yield servers


def _left(office: offices.Office) -> Callable[[], int]:
    return lambda: submit.pending(office)


def once(
    server: Server, case: Case, mails: list[Mail], trust: Path, *, bare: bool, pace: float = 0
) -> Round:
    """Send these; returns when all is done."""
    plan = Plan(
        server.port, mails, case.connections, trust=str(trust), reuse=case.reused,
        tls="none" if bare else "implicit", pace=pace,
    )  # fmt: skip
    load = os.getloadavg()[0]
    with Generator(plan) as generator:
        before, begun = _cpu(server), time.monotonic()
        result: Result = generator.run()
        while server.waiting() and time.monotonic() - begun < _PATIENCE:
            time.sleep(0.02)
        seconds, used = time.monotonic() - begun, _cpu(server) - before
    good = sum(count for reply, count in result.replies.items() if reply.startswith("250"))
    if good != len(mails):
        raise RuntimeError(f"{server.name} did not accept all: {result.replies} {result.bad}")
    waits = sorted(wait * 1000 for wait in result.waits)
    return Round(
        server.name, case, good / result.seconds, good / seconds, 1000 * used / good,
        1000 * result.cpu / good, statistics.median(waits), waits[int(0.99 * (len(waits) - 1))],
        load,
    )  # fmt: skip


def _cpu(server: Server) -> float:
    return sum(submit.cpu(pid) for pid in server.pids)


def measure(options: argparse.Namespace) -> list[Round]:
    """All rounds of all cases; the servers take turns within a round."""
    found: list[Round] = []
    cases = [
        Case(kilobytes, connections, way == "reused")
        for kilobytes, connections, way in product(
            options.kilobytes, options.connections, options.ways
        )
    ]
    with (
        submit.founded() as office,
        running(options.servers, office, bare=options.bare) as servers,
    ):
        for case, number in product(cases, range(options.rounds + 1)):
            folder = office.folder / "mails"
            mails = submit.make_mails(
                office, folder, options.mails, case.connections, urgent=False,
                characters=CHARACTERS[case.kilobytes], sealed=not options.bare,
            )  # fmt: skip
            for server in servers.values():
                one = once(
                    server, case, mails, office.folder / "tls.crt",
                    bare=options.bare, pace=options.pace,
                )  # fmt: skip
                if number:  # the first warms up
                    found.append(one)
                _say(one, number)
            shutil.rmtree(folder)
    return found


def _say(one: Round, number: int) -> None:
    sys.stderr.write(
        f"{one.case.title}, round {number}, {one.server}: accepted {one.accepted:.0f}/s, done "
        f"{one.done:.0f}/s, {one.cpu:.2f} ms, p50 {one.p50:.0f} p99 {one.p99:.0f} ms, "
        f"generator {one.client_cpu:.2f} ms, load {one.load:.1f}\n"
    )


def medians(found: list[Round]) -> dict[Case, dict[str, dict[str, float]]]:
    """By case and server: the median of each figure over the rounds."""
    table: dict[Case, dict[str, dict[str, float]]] = {}
    for case in dict.fromkeys(one.case for one in found):
        for server in dict.fromkeys(one.server for one in found):
            rounds = [one for one in found if one.case == case and one.server == server]
            table.setdefault(case, {})[server] = {
                name: statistics.median(getattr(one, name) for one in rounds)
                for name in ("accepted", "done", "cpu", "client_cpu", "p50", "p99")
            }
    return table


def describe(table: dict[Case, dict[str, dict[str, float]]]) -> str:
    """As a table in Markdown, with the ratio to the first server."""
    lines = [
        "| | accepted/s | done/s | ratio of done | CPU a mail | p50 | p99 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case, servers in table.items():
        lines.append(f"| **{case.title}** | | | | | | |")
        first = next(iter(servers.values()))
        lines += [
            f"| {name} | {one['accepted']:.0f} | {one['done']:.0f} | "
            f"{one['done'] / first['done']:.2f} | {one['cpu']:.1f} ms | {one['p50']:.0f} ms | "
            f"{one['p99']:.0f} ms |"
            for name, one in servers.items()
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The script; status 1 if a peer cannot be run."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--mails", type=int, default=400, help="in a round (400)")
    parser.add_argument("--rounds", type=int, default=5, help="after one that warms up (5)")
    parser.add_argument("--kilobytes", type=int, nargs="+", default=[4, 100], choices=CHARACTERS)
    parser.add_argument("--connections", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--ways", nargs="+", default=["reused", "new"], choices=["reused", "new"])
    parser.add_argument(
        "--servers", nargs="+",
        default=["postfix-lmtp", "postfix-virtual", "yizhan", "yizhan-2", "yizhan-3"],
        help="postfix-lmtp, postfix-virtual, yizhan; yizhan-N is one with daemon.workers = N",
    )  # fmt: skip
    parser.add_argument(
        "--pace", type=float, default=0, help="mails a second, for latency below full load"
    )
    parser.add_argument("--bare", action="store_true", help="no TLS, no AUTH, no seal")
    parser.add_argument("--json", type=Path, help="write every round to this file")
    parser.add_argument("--picture", type=Path, help="draw the medians into this file (SVG)")
    options = parser.parse_args(arguments)
    try:
        found = measure(options)
    except postfix.PeerMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    table = medians(found)
    print(describe(table))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    if options.picture:
        rows = {case.title: {s: one["done"] for s, one in t.items()} for case, t in table.items()}
        options.picture.write_text(picture.bars("mails done a second", rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
