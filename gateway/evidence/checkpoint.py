"""A checkpoint says how large the log is and what its root is, signed by the evidence key.

The form is C2SP's: `tlog-checkpoint` inside a `signed-note`, so that other people's witnesses and
monitors can read it. The note's origin and key name are both `<office domain>/yizhan`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime

from gateway.evidence.keys import EvidenceKey, verify

_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's state at one moment. `at` is ours alone; the note does not carry it."""

    size: int  # leaves
    root: bytes
    note: str
    at: datetime


class InvalidNote(ValueError):
    """The text is not a checkpoint note."""


def origin(office: str) -> str:
    """The log's name, for the office with that mail domain."""
    return f"{office}/yizhan"


def note_key_hash(name: str, public: bytes) -> bytes:
    """The four octets that name a key in a note (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def verifier_key(office: str, public: bytes) -> str:
    """The key in the text form that C2SP tools take: `name+hash+key`."""
    name = origin(office)
    key = base64.b64encode(_ED25519 + public).decode()
    return f"{name}+{note_key_hash(name, public).hex()}+{key}"


def sign_checkpoint(
    key: EvidenceKey, office: str, size: int, root: bytes, at: datetime
) -> Checkpoint:
    """The checkpoint of a log with that size and root."""
    name = origin(office)
    text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = note_key_hash(name, key.public) + key.sign(text.encode())
    note = f"{text}\n\N{EM DASH} {name} {base64.b64encode(signature).decode()}\n"
    return Checkpoint(size, root, note, at)


@dataclass(frozen=True, slots=True)
class Head:
    """What a note claims."""

    origin: str
    size: int
    root: bytes


def read_note(note: str) -> Head:
    """The claim of a note, whoever signed it. Raises InvalidNote."""
    text, separator, _ = note.partition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) < 3:
        raise InvalidNote("the checkpoint is cut short")
    size = lines[1]
    if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")):
        raise InvalidNote("the checkpoint has no size")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidNote("the checkpoint has no root") from None
    if len(root) != 32:
        raise InvalidNote("the checkpoint has no root")
    return Head(lines[0], int(size), root)


def signed_by(note: str, office: str, public: bytes) -> bool:
    """Whether the note bears that office's signature by that key."""
    text, separator, signatures = note.partition("\n\n")
    name = origin(office)
    wanted = note_key_hash(name, public)
    for line in signatures.split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        if not separator or dash != "\N{EM DASH}" or signer != name:
            continue
        try:
            octets = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if octets[:4] == wanted and verify(public, text.encode() + b"\n", octets[4:]):
            return True
    return False
