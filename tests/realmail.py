"""Real mail from files, made fit for the wire as a mail client does it."""

from __future__ import annotations

import re
from pathlib import Path

_LINE_END = re.compile(rb"\r\n|\r|\n")


def files(shared_data: Path) -> list[Path]:
    """Every file of real mail, in the order of their names."""
    return sorted(path for path in (shared_data / "mail").rglob("*") if path.is_file())


def name(path: Path, shared_data: Path) -> str:
    """How tables call a file: its path below the folder of mail."""
    return path.relative_to(shared_data / "mail").as_posix()


def on_the_wire(octets: bytes) -> bytes:
    """Every line end as CRLF, no NUL: what RFC 5321, 2.3.7 and 4.5.2 ask of a client."""
    wire = _LINE_END.sub(b"\r\n", octets.replace(b"\0", b""))
    return wire if wire.endswith(b"\r\n") else wire + b"\r\n"
