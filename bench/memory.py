"""What many large mails at once cost in memory: the daemon and its children, peak over idle.

The promise is 40 clients with 25 MB each for at most 150 MB. Run it as `python -m bench.memory`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from bench import paper
from bench.client import Generator, Mail, Plan, Result
from bench.gauge import MIB, Gauge, Reading, settle
from tests import office as offices

PROMISED = 150_000_000
KINDS = ("pdf", "random", "docx", "random", "zip", "random")


@dataclass(frozen=True, slots=True)
class Task:
    """One mail to be made."""

    number: int
    sender: str
    recipient: str
    size: int
    kind: str
    form: str  # plain, sealed, encrypted
    seals: Path
    path: Path

    def make(self) -> None:
        """Write the mail as it stands on the wire."""
        text = paper.prose(2_000, self.number)
        # OpenPGP's armour of an encrypted mail adds a third.
        size = self.size if self.form != "encrypted" else self.size * 3 // 4
        entity = paper.entity_with_file(text, self.kind, size, self.number)
        key = self.seals / f"{self.sender}.sec.asc"
        if self.form == "sealed":
            entity = paper.seal(entity, key, self.number)
        elif self.form == "encrypted":
            names = ("office-key", self.recipient, self.sender)
            others = [self.seals / f"{name}.pub.asc" for name in names]
            entity = paper.encrypt_to(entity, key, others, self.number)
        address = [f"{self.recipient}@heping.test"]
        subject = f"和{self.number}发〔2026〕{self.number}号 关于报送材料的通知"
        self.path.write_bytes(paper.wire(f"{self.sender}@heping.test", address, subject, entity))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run showed; memory in octets."""

    clients: int
    octets: int  # of all mails on the wire
    accepted: int
    idle: Reading
    peak: Reading
    after: Reading
    seconds: float
    replies: dict[str, int]
    bad: list[str]
    samples: list[tuple[float, int]]

    @property
    def cost(self) -> int:
        """Peak over idle."""
        return self.peak.total - self.idle.total


def forms(clients: int, sealed: int, encrypted: int) -> list[str]:
    """A form for each client, mixed with every kind of file."""
    wanted = ["encrypted"] * encrypted + ["sealed"] * sealed
    wanted += ["plain"] * max(clients - len(wanted), 0)
    # A step that shares no divisor with the number of clients visits each once.
    step = next(n for n in range(clients // 3 + 1, 2 * clients + 2) if _coprime(n, clients))
    return [wanted[number * step % clients] for number in range(clients)]


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


def make_mails(
    office: offices.Office,
    folder: Path,
    chosen: Sequence[str],
    size: int,
    kinds: Sequence[str] = KINDS,
) -> list[Mail]:
    """One mail for each form in `chosen`, each from an account of its own."""
    logins = [name for name, account in office.accounts.items() if account["unit"] == name]
    seals = office.folder / "seals"
    tasks = [
        Task(
            number,
            logins[number % len(logins)],
            logins[(number + 1) % len(logins)],
            size,
            kinds[number % len(kinds)],
            form,
            seals,
            folder / f"{number}.eml",
        )
        for number, form in enumerate(chosen)
    ]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(Task.make, tasks))
    return [
        Mail(
            task.sender,
            office.accounts[task.sender]["password"],
            f"{task.sender}@heping.test",
            [f"{task.recipient}@heping.test"],
            str(task.path),
        )
        for task in tasks
    ]


def measure(
    office: offices.Office, mails: list[Mail], watch: Callable[[Reading], None] = lambda _: None
) -> Outcome:
    """Send all mails at once to the running office and watch its memory."""
    assert office.process is not None
    pid, home = office.process.pid, office.folder
    plan = Plan(
        office.submissions_port, mails, len(mails), trust=str(office.folder / "tls.crt"),
        together=True, preload=False,
    )  # fmt: skip
    with Generator(plan) as generator:
        idle = settle(pid, home)
        with Gauge(pid, home, watch=watch) as gauge:
            result: Result = generator.run()
            time.sleep(2)  # receipts
        after = settle(pid, home)
    return Outcome(
        len(mails), sum(Path(mail.file).stat().st_size for mail in mails), result.accepted, idle,
        gauge.peak, after, result.seconds, result.replies, result.bad, gauge.samples,
    )  # fmt: skip


def table(outcome: Outcome) -> str:
    """For people."""
    lines = [
        f"{outcome.clients} clients, {outcome.octets / 1e6:.0f} MB in {outcome.seconds:.1f} s; "
        f"accepted {outcome.accepted}; replies {outcome.replies}",
        *outcome.bad,
        f"{'process':44}{'idle MB':>10}{'peak MB':>10}{'after MB':>10}",
    ]
    names = dict.fromkeys(
        [*outcome.idle.by_process, *outcome.peak.by_process, *outcome.after.by_process]
    )
    for name in names:
        row = [r.by_process.get(name, 0) / 1e6 for r in (outcome.idle, outcome.peak, outcome.after)]
        lines.append(f"{name:44}" + "".join(f"{value:10.1f}" for value in row))
    row = [r.total / 1e6 for r in (outcome.idle, outcome.peak, outcome.after)]
    lines.append(f"{'sum':44}" + "".join(f"{value:10.1f}" for value in row))
    lines.append(
        f"peak over idle: {outcome.cost / 1e6:.1f} MB (promised: {PROMISED / 1e6:.0f} MB) at "
        f"{outcome.peak.seconds:.1f} s, {len(outcome.samples)} samples"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The script; status 1 if a mail was not accepted or the promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--clients", type=int, default=40, help="clients at once (40)")
    parser.add_argument("--megabytes", type=float, default=25, help="size of each mail (25)")
    parser.add_argument("--sealed", type=int, help="how many are sealed (half)")
    parser.add_argument("--encrypted", type=int, default=0, help="how many are encrypted (0)")
    kinds = ", ".join(paper.FILES)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"attachments: {kinds}")
    parser.add_argument("--rounds", type=int, default=1, help="send so often; memory must not grow")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--samples", action="store_true", help="with every sample in the JSON")
    options = parser.parse_args(arguments)
    sealed = options.clients // 2 if options.sealed is None else options.sealed
    folder = Path(tempfile.mkdtemp(prefix="yzm"))
    outcomes: list[Outcome] = []
    try:
        office = offices.copy_office(
            offices.make_template(folder / "t"), folder / "o", changes={offices.POLICY: ""}
        )
        with office.running():
            for count in range(options.rounds):
                place = folder / f"mails{count}"
                place.mkdir()
                chosen = forms(options.clients, sealed, options.encrypted)
                mails = make_mails(
                    office, place, chosen, int(options.megabytes * 1e6), options.kinds.split(",")
                )
                outcomes.append(measure(office, mails, watch=_progress))
                shutil.rmtree(place)
                sys.stderr.write("\r\x1b[K")
                sys.stdout.write(table(outcomes[-1]) + "\n")
                if outcomes[-1].accepted < outcomes[-1].clients:
                    sys.stdout.write(office.log[-6_000:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        plain = [_plain(outcome, options.samples) for outcome in outcomes]
        options.json.write_text(json.dumps(plain, indent=1))
    good = all(o.accepted == o.clients and o.cost <= PROMISED for o in outcomes)
    return 0 if good else 1


def _progress(reading: Reading) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{reading.seconds:6.1f} s  {reading.total / MIB:7.1f} MiB ")


def _plain(outcome: Outcome, samples: bool) -> dict[str, object]:
    value = asdict(outcome) | {"cost": outcome.cost}
    if not samples:
        value.pop("samples")
    return value


if __name__ == "__main__":
    sys.exit(main())
