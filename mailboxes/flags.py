"""The flags of a message as one text: system flags in their one spelling, keywords as first given.

Flags are compared without regard to case (RFC 3501, 2.3.2); they hold no space.
"""

from __future__ import annotations

from collections.abc import Iterable

SEEN = "\\Seen"
DELETED = "\\Deleted"
_SYSTEM = {flag.lower(): flag for flag in ("\\Answered", DELETED, "\\Draft", "\\Flagged", SEEN)}
_FORBIDDEN = set('(){%*"]\x7f')


def joined(flags: Iterable[str]) -> str:
    """The flags as they are stored: each once, sorted. Raises ValueError for what is no flag."""
    return " ".join(sorted(_unique(flags)))


def parted(stored: str) -> tuple[str, ...]:
    """The stored text as single flags."""
    return tuple(stored.split())


def changed(stored: str, add: Iterable[str], remove: Iterable[str]) -> str:
    """The stored text after a change; what is both added and removed is removed."""
    removed = {flag.lower() for flag in remove}
    return joined(flag for flag in (*parted(stored), *add) if flag.lower() not in removed)


def with_seen(flags: Iterable[str], seen: bool) -> str:
    """The flags as stored, with or without \\Seen."""
    others = [flag for flag in flags if flag != SEEN]
    return joined([*others, SEEN] if seen else others)


def _unique(flags: Iterable[str]) -> Iterable[str]:
    found: dict[str, str] = {}
    for flag in flags:
        name = flag.removeprefix("\\")
        if not name or not name.isascii() or any(c <= " " or c in _FORBIDDEN for c in name):
            raise ValueError(f"not a flag: {flag!r}")
        if flag.startswith("\\") and flag.lower() not in _SYSTEM:
            raise ValueError(f"not a system flag: {flag!r}")
        found.setdefault(flag.lower(), _SYSTEM.get(flag.lower(), flag))
    return found.values()
