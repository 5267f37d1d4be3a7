"""What a long command says: a moving line on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time

_EVERY_SECONDS = 5.0
_ON_TERMINAL_SECONDS = 0.1


class Progress:
    """Call it, or `say`, as often as you like: it speaks now and then; nothing with `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._every = _ON_TERMINAL_SECONDS if self._terminal else _EVERY_SECONDS
        self._last = time.monotonic()
        self._shown = False

    def __call__(self, what: str, count: int, octets: int = 0) -> None:
        """What is being done, how many so far, how many octets so far."""
        amount = f", {megabytes(octets)}" if octets else ""
        self.say(f"{what}: {count:,}{amount}")

    def say(self, line: str) -> None:
        """The same in words."""
        now = time.monotonic()
        if self._quiet or now < self._last + self._every:
            return
        self._last = now
        sys.stderr.write(f"\r\033[K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()
        self._shown = True

    def end(self) -> None:
        """The line is done with."""
        if self._shown and self._terminal:
            sys.stderr.write("\r\033[K")


def megabytes(octets: int) -> str:
    """Octets as people read them."""
    return f"{octets / 1e6:.1f} MB" if octets < 1e9 else f"{octets / 1e9:.2f} GB"
