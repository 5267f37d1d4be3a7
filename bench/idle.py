"""What an unused office costs: its start, its memory, and 1,000 clients that only hold on.

Starts the demo office, reads the proportional set size (PSS) of the daemon and its children once it
is ready, then lets clients connect with TLS and say EHLO, and reads it again. With `--minutes` it
waits first: children that read attachments end after five minutes without work.

Run it as `python -m bench.idle --clients 1000 --minutes 6`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import gauge, submit
from tests.office import Office

_SETTLED_SECONDS = 3.0
_AT_ONCE = 20  # handshakes
_ADDRESSES = 200  # that the clients share: none has more than its share


@dataclass(frozen=True, slots=True)
class Idle:
    """Seconds, octets, and octets for each client."""

    started: float  # until the doors are open
    started_cpu: float  # seconds of the processor until settled
    memory: int
    rested: int  # after the wait; 0: there was none
    clients: int
    each: float  # octets more for each client
    clients_cpu: float  # of the processor, for each second in which they only hold on


def _memory(pid: int) -> int:
    return sum(gauge.pss(one) for one in gauge.tree(pid))


async def _connect(port: int, number: int, context: ssl.SSLContext) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, local_addr=(f"127.0.1.{2 + number % _ADDRESSES}", 0)
    )
    greeting = await reader.readline()
    if not greeting.startswith(b"220"):
        raise RuntimeError(f"client {number} was sent away: {greeting!r}")
    writer.write(b"EHLO pc.heping.test\r\n")
    while not (line := await reader.readline()).startswith(b"250 "):
        if not line.startswith(b"250"):
            raise RuntimeError(f"EHLO: {line!r}")
    return writer


async def _hold(port: int, pid: int, clients: int, seconds: float) -> tuple[int, float]:
    """Memory with that many clients inside, and seconds of the processor for each second."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inside: list[asyncio.StreamWriter] = []
    for first in range(0, clients, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, clients))
        inside += await asyncio.gather(*(_connect(port, number, context) for number in some))
    await asyncio.sleep(_SETTLED_SECONDS)
    memory, used = _memory(pid), submit.cpu(pid)
    await asyncio.sleep(seconds)
    used = submit.cpu(pid) - used
    for writer in inside:
        writer.close()
    return memory, used / seconds


def measure(office: Office, clients: int, minutes: float, seconds: float) -> Idle:
    """Start the office, let it rest for minutes, watch clients hold on for seconds, and stop it."""
    begun = time.monotonic()
    with office.running():
        started = time.monotonic() - begun
        assert office.process is not None
        pid = office.process.pid
        time.sleep(_SETTLED_SECONDS)
        cpu, memory, rested = submit.cpu(pid), _memory(pid), 0
        if minutes:
            time.sleep(60 * minutes)
            rested = _memory(pid)
        before = rested or memory
        after, busy = asyncio.run(_hold(office.submissions_port, pid, clients, seconds))
    return Idle(
        started, cpu, memory, rested, clients, (after - before) / clients if clients else 0, busy
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The script."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.idle", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--clients", type=int, default=1000, help="that only hold on (1000)")
    parser.add_argument("--minutes", type=float, default=0, help="to wait before (0)")
    parser.add_argument("--seconds", type=float, default=10, help="that they hold on (10)")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with submit.founded() as office:
        found = measure(office, options.clients, options.minutes, options.seconds)
    if options.json:
        json.dump(asdict(found), sys.stdout, indent=1)
        return 0
    print(
        f"doors open after {found.started:.2f} s, {found.started_cpu:.2f} s of the processor; "
        f"{found.memory / 1e6:.0f} MB"
        + (
            f", {found.rested / 1e6:.0f} MB after {options.minutes:g} minutes"
            if found.rested
            else ""
        )
        + f"; {found.clients} clients that hold on: {found.each / 1e3:.1f} kB each, "
        f"{1000 * found.clients_cpu:.0f} ms of the processor a second"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
