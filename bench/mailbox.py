"""The mailbox service beside Dovecot, in one run: the questions that mail programs ask most.

Both get the same mails by APPEND, both are asked over TLS by the same client, one after the other.
Each line is the median of some runs, but for what can be done only once (the first time); both have
answered such questions before, of other mails. Dovecot is Debian's, with Maildir and its defaults.

Run it as `python -m bench.mailbox --mails 10000`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from bench import gauge, submit
from tests.imap import dovecot

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_WORDS = [
    "关于",
    "进一步",
    "加强",
    "防汛",
    "抗旱",
    "工作",
    "的",
    "通知",
    "各",
    "单位",
    "认真",
    "落实",
    "会议",
    "精神",
    "安全",
    "生产",
    "检查",
    "报告",
]
THUNDERBIRD = (
    "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID "
    "Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A server, and its process."""

    name: str
    port: int
    user: str
    password: str
    context: ssl.SSLContext
    pid: int
    implicit: bool
    indexed: Callable[[], int] | None = None  # how many mails its index for searching has


class Client:
    """A client that does nothing with what it gets."""

    def __init__(self, place: Place) -> None:
        plain = socket.create_connection(("127.0.0.1", place.port), timeout=300)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not place.implicit:
            self._file = plain.makefile("rb")
            self._file.readline()
            plain.sendall(b"s STARTTLS\r\n")
            while not self._file.readline().startswith(b"s "):
                pass
        self.socket = place.context.wrap_socket(plain, server_hostname="localhost")
        self._file = self.socket.makefile("rb", 1 << 20)
        if place.implicit:
            self._file.readline()
        self._number = 0
        self.ask(f"LOGIN {place.user} {place.password}")

    def ask(self, command: str) -> list[bytes]:
        """The lines of the answer, literals left out. Raises RuntimeError if it is not OK."""
        self._number += 1
        tag = b"t%d " % self._number
        self.socket.sendall(tag + command.encode() + b"\r\n")
        return self.answer(tag)

    def answer(self, tag: bytes) -> list[bytes]:
        """Lines up to the tagged one."""
        lines: list[bytes] = []
        while True:
            line = self.line()
            lines.append(line)
            if line.startswith(tag):
                if not line[len(tag) :].startswith(b"OK"):
                    raise RuntimeError(line.decode())
                return lines

    def line(self) -> bytes:
        """One line of an answer, with its literals left out."""
        whole = b""
        while True:
            line = self._file.readline()
            if not line:
                raise RuntimeError("the server has hung up")
            whole += line
            literal = _LITERAL.search(line)
            if literal is None:
                return whole
            self._file.read(int(literal[1]))

    def append(self, mails: Sequence[bytes], folder: str) -> None:
        """One command for each, without waiting for `+`."""
        for mail in mails:
            self._number += 1
            tag = b"t%d " % self._number
            head = tag + b"APPEND %s {%d+}\r\n" % (folder.encode(), len(mail))
            self.socket.sendall(head + mail + b"\r\n")
            self.answer(tag)

    def close(self) -> None:
        self.socket.close()


def mails(number: int) -> list[bytes]:
    """Mails of 3.7 KB, each different."""
    found = []
    for n in range(number):
        text = "".join(_WORDS[(n * 7 + m * m) % len(_WORDS)] for m in range(330))
        found.append(
            (
                f"Received: from pc{n % 90}.heping.test by mail.heping.test; "
                "Sat, 21 Nov 2026 17:55:00 +0800\r\n"
                f"Date: Sat, 21 Nov 2026 {n % 24:02}:{n % 60:02}:00 +0800\r\n"
                f"From: Office {n % 44} <u{n % 44}@heping.test>\r\nTo: water@heping.test, "
                f"education@heping.test\r\nSubject: Notice {n} about flood control\r\n"
                f"Message-ID: <{n}.{n * n}@heping.test>\r\nMIME-Version: 1.0\r\n"
                'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
                "--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: 8bit\r\n\r\n{text}\r\nneedle{n % 1000:03}\r\n"
                "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Kind regards</p>\r\n"
                "--b--\r\n"
            ).encode()
        )
    return found


@contextmanager
def theirs() -> Iterator[Place]:
    """Dovecot."""
    with submit.founded() as office:
        folder = Path(office.folder)
        folder.parent.chmod(0o755)
        folder.chmod(0o755)
        for name in ("tls.crt", "tls.key"):
            (folder / name).chmod(0o644)
        settings = {
            "ssl": "required", "ssl_cert": f"<{folder / 'tls.crt'}", "mail_fsync": "optimized",
            "ssl_key": f"<{folder / 'tls.key'}", "mail_max_userip_connections": "1000",
        }  # fmt: skip
        with dovecot.running(**settings) as server:
            pid = server.pid
            yield Place(
                "dovecot", server.port, server.user, server.password, office.trust, pid, False
            )


@contextmanager
def ours() -> Iterator[Place]:
    """Yizhan."""
    with submit.running_office() as office:
        assert office.process is not None
        password = office.accounts["water"]["password"]
        yield Place(
            "yizhan", office.imaps_port, "water", password, office.trust, office.process.pid, True,
            lambda: int(office.sql("SELECT COUNT(*) FROM mailbox_heads")[0]),
        )  # fmt: skip


class Run:
    """All questions to one server."""

    def __init__(self, place: Place, number: int, idle: int) -> None:
        self._place = place
        self._number = number
        self._idle = idle
        self.figures: dict[str, float] = {}

    def all(self) -> dict[str, float]:
        """Seconds, or octets where the name says so."""
        client = Client(self._place)
        self._warm(client)
        client.ask("CREATE bench")
        stock = mails(self._number)
        many = min(1000, self._number // 2)
        few = many // 5
        self._say("filling")
        client.append(stock[: self._number - many], "bench")
        self._once(f"append-{many}", lambda: client.append(stock[-many:], "bench"))
        client.close()
        self._wait_for_index()
        client = Client(self._place)
        self._once("select-cold", lambda: client.ask("SELECT bench"))
        self._often("select-again", lambda: client.ask("SELECT bench"))
        self._often("fetch-flags", lambda: client.ask("FETCH 1:* (FLAGS UID)"))
        self._once("envelope-first", lambda: client.ask("FETCH 1:* ENVELOPE"))
        self._often("envelope-again", lambda: client.ask("FETCH 1:* ENVELOPE"))
        last = self._number
        headers = f"UID FETCH {last - many + 1}:{last} {THUNDERBIRD}"
        self._once(f"headers-{many}-first", lambda: client.ask(headers))
        self._often(f"headers-{many}-again", lambda: client.ask(headers))
        bodies = f"FETCH {last - few + 1}:{last} (UID RFC822.SIZE BODY.PEEK[])"
        self._once(f"bodies-{few}-first", lambda: client.ask(bodies))
        self._often(f"bodies-{few}-again", lambda: client.ask(bodies))
        self._once("search-text-first", lambda: client.ask("SEARCH TEXT needle123"))
        self._often("search-text-again", lambda: client.ask("SEARCH TEXT needle456"))
        self._often("search-subject", lambda: client.ask("SEARCH SUBJECT control"))
        self._often("search-flags", lambda: client.ask("SEARCH UNSEEN UNDELETED"))
        self._flip(client, many)
        self._often("sort-date", lambda: client.ask("SORT (REVERSE DATE) UTF-8 ALL"))
        self._often("status", lambda: client.ask("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"))
        self._often(f"copy-{few // 2}", lambda: client.ask(f"COPY 1:{few // 2} INBOX"))
        self._delay()
        self._wake(self._idle)
        client.close()
        return self.figures

    def _warm(self, client: Client) -> None:
        """Both have answered such questions before, of other mails: what is first is the mails."""
        client.ask("CREATE warm")
        client.append(mails(300), "warm")
        client.ask("SELECT warm")
        for items in ("(FLAGS UID)", "ENVELOPE", THUNDERBIRD, "(UID RFC822.SIZE BODY.PEEK[])"):
            client.ask(f"FETCH 1:* {items}")
        client.ask("SORT (REVERSE DATE) UTF-8 ALL")
        client.ask("UNSELECT")

    def _wait_for_index(self) -> None:
        """It is made in the background, while mails come and after."""
        indexed, started = self._place.indexed, time.perf_counter()
        if indexed is None:
            return
        had = indexed()
        while indexed() < self._number:
            if time.perf_counter() > started + 600:
                raise RuntimeError("the index is not made")
            time.sleep(0.2)
        taken = time.perf_counter() - started
        self._say(f"indexed the last {self._number - had} mails in {taken:.1f} s")

    def _once(self, name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        self.figures[name] = time.perf_counter() - started
        self._say(f"{name} {self.figures[name]:.4f}")

    def _often(self, name: str, work: Callable[[], object], times: int = 7) -> None:
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        self.figures[name] = statistics.median(taken)
        self._say(f"{name} {self.figures[name]:.4f}")

    def _flip(self, client: Client, many: int) -> None:
        ways = iter("+-" * 20)
        store = f"STORE 1:{many} %sFLAGS (\\Flagged)"
        self._often(f"store-{many}", lambda: client.ask(store % next(ways)))

    def _delay(self) -> None:
        """The longest NOOP of another client while one, in a process of its own, fetches all."""
        fork = multiprocessing.get_context("fork")
        ready, start, done = fork.Event(), fork.Event(), fork.Event()
        heavy = fork.Process(target=_fetch_all, args=(self._place, ready, start, done))
        heavy.start()
        other = Client(self._place)
        ready.wait()
        start.set()
        worst = 0.0
        while not done.is_set():
            started = time.perf_counter()
            other.ask("NOOP")
            worst = max(worst, time.perf_counter() - started)
            time.sleep(0.002)
        heavy.join()
        self.figures["noop-worst"] = worst
        self._say(f"noop-worst {worst:.4f}")
        other.close()

    def _wake(self, number: int) -> None:
        before = self._memory()
        idle = [Client(self._place) for _ in range(number)]
        for one in idle:
            one.ask("SELECT bench")
            one.socket.sendall(b"i IDLE\r\n")
            while not one.line().startswith(b"+"):
                pass
        time.sleep(1)
        self.figures["idle-octets"] = self._memory() - before
        writer = Client(self._place)
        writer.append(mails(1), "bench")
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            writer.append(mails(1), "bench")
            for one in idle:
                while b"EXISTS" not in one.line():
                    pass
            taken.append(time.perf_counter() - started)
        self.figures["idle-wake"] = statistics.median(taken)
        self._say(f"idle {self.figures['idle-octets'] / 1e6:.1f} MB, wake {taken}")
        for one in [*idle, writer]:
            one.close()

    def _memory(self) -> int:
        return sum(gauge.pss(one) for one in gauge.tree(self._place.pid))

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{self._place.name}: {text}\n")


def _fetch_all(place: Place, ready: Event, start: Event, done: Event) -> None:
    client = Client(place)
    client.ask("SELECT bench")
    ready.set()
    start.wait()
    client.ask("FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
    done.set()


def main() -> None:
    """Measure both and print the table, or JSON."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--mails", type=int, default=10_000)
    options.add_argument("--idle", type=int, default=50, help="clients that idle")
    options.add_argument("--only", choices=("dovecot", "yizhan"))
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for name, begin in (("dovecot", theirs), ("yizhan", ours)):
        if chosen.only in (None, name):
            with begin() as place:
                figures[name] = Run(place, chosen.mails, chosen.idle).all()
    if chosen.json:
        print(json.dumps(figures, indent=1))
        return
    names = list(next(iter(figures.values())))
    print("| question | " + " | ".join(figures) + " |")
    for name in names:
        print(f"| {name} | " + " | ".join(f"{one[name]:.4f}" for one in figures.values()) + " |")


if __name__ == "__main__":
    main()
