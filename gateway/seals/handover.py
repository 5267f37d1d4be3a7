"""Key files for people: written once, complete, never over another file."""

from __future__ import annotations

import os
from pathlib import Path

from pysequoia import ArmorKind, Cert, armor

from gateway.errors import CommandError
from gateway.seals.workshop import Made


def write_halves(folder: Path, code: str, made: Made) -> tuple[Path, Path]:
    """Write `<code>-<last 8 digits>.public.asc` and `.private.asc` (mode 0600); their paths.

    Raises CommandError if one is there already or cannot be written; then neither is.
    """
    stem = f"{code}-{made.entry.fingerprint[-8:]}"
    public, private = folder / f"{stem}.public.asc", folder / f"{stem}.private.asc"
    write_new(private, made.private, mode=0o600)
    try:
        write_new(public, armoured(made.entry.certificate), mode=0o644)
    except CommandError:
        private.unlink()
        raise
    return public, private


def require_folder(folder: Path) -> None:
    """Raise CommandError if no file can be made there: asked before a key is made for it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{folder}: no file can be written there; nothing was changed")


def armoured(certificate: bytes, revocation: bytes = b"") -> bytes:
    """The public half in ASCII armour; with the revocation, if one is given, merged in."""
    if revocation:
        certificate = bytes(Cert.from_bytes(certificate + revocation))
    return armor(certificate, ArmorKind.PublicKey).encode()


def write_new(path: Path, octets: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, and sync it. Raises CommandError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CommandError(f"{path}: cannot be written", cause=error.strerror or "") from None
