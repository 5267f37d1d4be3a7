"""Memory of a process and all its descendants, as their proportional set size, every 50 ms.

PSS counts a page that n processes share as 1/n in each, so the sum over a tree counts each page
once. What a process outside the tree shares (the load generator runs the same Python) counts there:
start it before taking the idle value, or the tree seems to shrink when it comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType

MIB = 1 << 20


def tree(pid: int, home: Path | None = None) -> dict[int, str]:
    """The process, its descendants, and what works for it in `home` (a gpg-agent); with names."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        number = int(entry.name)
        parents[number] = int(stat.rpartition(")")[2].split()[1])
        names[number] = _name(stat, words)
        agent = b"gpg-agent" in words[0] and home is not None
        if agent and any(bytes(home) in word for word in words):  # type: ignore[arg-type]
            parents[number] = pid
    found = {pid}
    while more := {n for n, parent in parents.items() if parent in found} - found:
        found |= more
    return {number: names.get(number, "?") for number in found}


def _name(stat: str, words: list[bytes]) -> str:
    name = stat[stat.find("(") + 1 : stat.rfind(")")]
    modules = [after for word, after in pairwise(words) if word == b"-m"]
    return modules[0].decode() if modules else name


def pss(pid: int) -> int:
    """Proportional set size in octets; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@dataclass(slots=True)
class Reading:
    """The memory of a tree at one moment, octets by process."""

    by_process: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.by_process.values())


def read(pid: int, home: Path | None = None) -> Reading:
    """Measure the tree now."""
    names = tree(pid, home)
    return Reading({f"{name}[{number}]": pss(number) for number, name in sorted(names.items())})


def settle(pid: int, home: Path | None = None, *, still: float = 1.0, limit: float = 15) -> Reading:
    """The tree's memory once it has not changed by more than 1 % for `still` seconds."""
    end, since, last = time.monotonic() + limit, time.monotonic(), read(pid, home)
    while time.monotonic() < end and time.monotonic() - since < still:
        time.sleep(0.1)
        now = read(pid, home)
        if abs(now.total - last.total) > last.total / 100:
            since, last = time.monotonic(), now
    return last


class Gauge:
    """Measures in a thread of its own while the block runs; then `peak` and `samples` stand."""

    def __init__(
        self,
        pid: int,
        home: Path | None = None,
        *,
        every: float = 0.05,
        watch: Callable[[Reading], None] = lambda _reading: None,
    ) -> None:
        """`watch` is called with every reading."""
        self._pid, self._home, self._every, self._watch = pid, home, every, watch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = Reading()
        self.samples: list[tuple[float, int]] = []

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        names: dict[int, str] = {}
        while not self._ended.is_set():
            moment = time.monotonic() - begun
            # Who belongs to the tree changes rarely; asking costs more than measuring.
            if len(self.samples) % 10 == 0:
                names = tree(self._pid, self._home)
            now = Reading({f"{name}[{n}]": pss(n) for n, name in names.items()}, moment)
            self.samples.append((moment, now.total))
            self._watch(now)
            if now.total > self.peak.total:
                self.peak = now
            spent = time.monotonic() - begun - moment
            self._ended.wait(max(self._every - spent, 0.001))
