"""The load generator: submits prepared mails over TLS with AUTH, and says what that cost itself.

Runs as a process of its own (`python -m bench.client`), so that its CPU and memory are not the
server's: reads one JSON plan from standard input, says `ready`, waits for a line, works, and writes
one JSON result. Works against any submission server, not only ours.
"""

from __future__ import annotations

import asyncio
import base64
import json
import resource
import ssl
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Mail:
    """One submission; `file` holds the octets between DATA and its reply."""

    login: str
    password: str
    sender: str
    recipients: list[str]
    file: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, and how."""

    port: int
    mails: list[Mail]
    connections: int
    host: str = "127.0.0.1"
    trust: str = ""  # CA file; empty: any certificate
    tls: str = "implicit"  # implicit, starttls, none
    reuse: bool = True  # one connection for many mails
    together: bool = False  # all connections wait for each other before the first octet of DATA
    preload: bool = True  # mails are read before the start
    keep: bool = False  # tell when each mail was answered
    pace: float = 0.0  # mails a second over all connections, evenly; 0: as fast as they are taken


@dataclass(slots=True)
class Result:
    """What came of it. Times are seconds."""

    replies: dict[str, int] = field(default_factory=dict)  # by code and status
    bad: list[str] = field(default_factory=list)  # the first replies that were no 250
    seconds: float = 0.0  # from the start to the last reply
    cpu: float = 0.0  # of this process in that time
    waits: list[float] = field(default_factory=list)  # from the end of DATA to its reply
    # reply, then time.time() at the end of DATA and at the reply
    answered: list[tuple[str, float, float]] = field(default_factory=list)

    def take(self, reply: str, sent: float, answered: float, *, keep: bool) -> None:
        """One mail was answered."""
        key = " ".join(reply.split()[:2])
        self.replies[key] = self.replies.get(key, 0) + 1
        if not reply.startswith("250") and len(self.bad) < 10:
            self.bad.append(reply)
        self.waits.append(answered - sent)
        if keep:
            self.answered.append((reply, sent, answered))

    @property
    def accepted(self) -> int:
        return self.replies.get("250 2.0.0", 0)


class Session:
    """One logged-in connection."""

    def __init__(self, plan: Plan, mail: Mail, source: str, context: ssl.SSLContext | None) -> None:
        self._plan, self._mail, self._source, self._context = plan, mail, source, context

    async def __aenter__(self) -> Session:
        plan = self._plan
        implicit = plan.tls == "implicit"
        self._reader, self._writer = await asyncio.open_connection(
            plan.host, plan.port, ssl=self._context if implicit else None,
            server_hostname="localhost" if implicit else None,
            local_addr=(self._source, 0), limit=PIECE,
        )  # fmt: skip
        await self._reply()
        await self.say("EHLO client.heping.test")
        if plan.tls == "starttls":
            await self.say("STARTTLS")
            await self._writer.start_tls(self._context, server_hostname="localhost")
            await self.say("EHLO client.heping.test")
        if self._mail.password:
            token = f"\0{self._mail.login}\0{self._mail.password}".encode()
            await self.say("AUTH PLAIN " + base64.b64encode(token).decode())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.write(b"QUIT\r\n")
        self._writer.close()

    async def envelope(self, mail: Mail) -> None:
        """MAIL, RCPT and DATA in one go (RFC 2920)."""
        lines = [f"MAIL FROM:<{mail.sender}>", *(f"RCPT TO:<{r}>" for r in mail.recipients), "DATA"]
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        for line in lines:
            reply = await self._reply()
            if reply[:1] not in "23":
                raise RuntimeError(f"{line}: {reply}")

    async def data(self, octets: bytes | Path) -> tuple[str, float, float]:
        """The reply, the moment when the last octet was handed over, and of the reply."""
        if isinstance(octets, Path):
            with octets.open("rb") as file:
                while piece := file.read(PIECE):
                    self._writer.write(piece)
                    await self._writer.drain()
        else:
            self._writer.write(octets)
            await self._writer.drain()
        sent = time.time()
        return await self._reply(), sent, time.time()

    async def say(self, line: str) -> str:
        """One command; its reply, which must be good."""
        self._writer.write(f"{line}\r\n".encode())
        reply = await self._reply()
        if reply[:1] not in "23":
            raise RuntimeError(f"{line.split(maxsplit=1)[0]}: {reply}")
        return reply

    async def _reply(self) -> str:
        while True:
            line = (await self._reader.readline()).decode("utf-8", "replace")
            if not line:
                raise RuntimeError("the server has hung up")
            if line[3:4] != "-":
                return line.rstrip()


def _context(plan: Plan) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=plan.trust or None)
    context.check_hostname = False
    if not plan.trust:
        context.verify_mode = ssl.CERT_NONE
    return context


async def _work(plan: Plan, result: Result) -> None:
    octets = _read(plan.mails) if plan.preload else {}
    context = _context(plan) if plan.tls != "none" else None
    shares = [plan.mails[n :: plan.connections] for n in range(plan.connections)]
    barrier = asyncio.Barrier(plan.connections)

    async def send(session: Session, mail: Mail, *, wait: bool) -> None:
        await session.envelope(mail)
        if wait:
            await barrier.wait()
        reply, sent, answered = await session.data(octets.get(mail.file) or Path(mail.file))
        result.take(reply, sent, answered, keep=plan.keep)

    async def connection(number: int) -> None:
        source = f"127.0.0.{2 + number % 100}"  # many addresses: none has more than its share
        share = shares[number]
        for some in [share] if plan.reuse else [[mail] for mail in share]:
            async with Session(plan, some[0], source, context) as session:
                for turn, mail in enumerate(some):
                    if plan.pace:
                        due = begun + (turn * plan.connections + number) / plan.pace
                        await asyncio.sleep(due - time.monotonic())
                    await send(session, mail, wait=plan.together and mail is share[0])

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    begun, used = time.monotonic(), time.process_time()
    await asyncio.gather(*(connection(number) for number in range(plan.connections)))
    result.seconds = time.monotonic() - begun
    result.cpu = time.process_time() - used


def _read(mails: list[Mail]) -> dict[str, bytes]:
    return {mail.file: Path(mail.file).read_bytes() for mail in mails}


def main() -> None:
    """Run one plan."""
    import uvloop

    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    given = json.loads(sys.stdin.readline())
    plan = Plan(**{**given, "mails": [Mail(**mail) for mail in given["mails"]]})
    result = Result()
    uvloop.run(_work(plan, result))
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


class Generator:
    """The load generator as a process: ready on entering, at work on `run`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __enter__(self) -> Generator:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.client"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._write(json.dumps(asdict(self._plan)))
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the load generator did not start"
        return self

    def run(self) -> Result:
        """Send everything; returns after the last reply."""
        self._write("go")
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        if not answer:
            raise RuntimeError("the load generator failed, see above")
        return Result(**answer)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


if __name__ == "__main__":
    main()
