"""Storage keys: each wraps the data keys of the blobs; a file holds all that are still needed.

One line a key: `yizhan-storage-key-1 <id> <32 octets in base64>`; the last is in force for new
blobs, the earlier ones still open what they wrapped. The id follows from the key, so a line that
was damaged by hand shows itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import ConfigurationError
from mailboxes.durable import sync_folder

OCTETS = 32
ID_OCTETS = 8
_TAG = "yizhan-storage-key-1"
_HEAD = (
    "# Storage keys of a Yizhan post office: whoever has this file can read the stored documents.\n"
    "# The last one is in force. Never remove a line unless `yizhan storage status` says so.\n"
)

_SYSTEMD = Path("/run/credentials")  # closed to others, though an ACL may look like a group's right


@dataclass(frozen=True, slots=True, repr=False)
class StorageKey:
    """One key of AES-256-GCM. It has no representation, lest a log show it."""

    octets: bytes

    @property
    def id(self) -> str:
        """16 hex digits that tell nothing of the key."""
        return hashlib.sha256(b"yizhan-storage-key\n" + self.octets).hexdigest()[: 2 * ID_OCTETS]

    def __repr__(self) -> str:
        return f"StorageKey({self.id})"


class Keys(Protocol):
    """Where the keys in force come from."""

    @property
    def ring(self) -> KeyRing:
        """The keys as they are now."""

    def trouble(self) -> str:
        """Why they could not be read again; empty if they could."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All storage keys that are known; the last is in force. It may be empty."""

    keys: tuple[StorageKey, ...] = ()

    @property
    def current(self) -> StorageKey:
        """The key for new blobs. Raises IndexError if there is none."""
        return self.keys[-1]

    def find(self, key_id: str) -> StorageKey | None:
        """The key of that id."""
        return next((key for key in self.keys if key.id == key_id), None)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(key.id for key in self.keys)

    @property
    def ring(self) -> KeyRing:
        """As `Keys` says: these never change."""
        return self

    def trouble(self) -> str:
        return ""

    def render(self) -> bytes:
        """The text of the file."""
        lines = (f"{_TAG} {k.id} {base64.b64encode(k.octets).decode()}\n" for k in self.keys)
        return (_HEAD + "".join(lines)).encode("ascii")


def generate() -> StorageKey:
    """A new key."""
    return StorageKey(secrets.token_bytes(OCTETS))


def parse(text: str, source: str) -> KeyRing:
    """Read a key file's text. Raises ConfigurationError that names `source` and the line."""
    keys: list[StorageKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            tag, key_id, encoded = line.split()
            key = StorageKey(base64.b64decode(encoded, validate=True))
        except (ValueError, binascii.Error):
            raise ConfigurationError(f"{source}: line {number} is not a storage key") from None
        if tag != _TAG or len(key.octets) != OCTETS or key.id != key_id:
            raise ConfigurationError(
                f"{source}: line {number} is a damaged storage key; bring the file back with "
                "`yizhan storage recover`"
            )
        keys.append(key)
    if not keys:
        raise ConfigurationError(f"{source}: there is no storage key in it")
    return KeyRing(tuple(keys))


def load(path: Path) -> KeyRing:
    """Read the key file. Raises ConfigurationError: missing, open to others, or no key file."""
    setting = f"blobs.storage_key_file: {path}"
    try:
        if path.stat().st_mode & 0o077 and not kept_by_systemd(path):
            raise ConfigurationError(f"{setting} can be read by others: `chmod 600` it")
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{setting} is not there; without it no document can be read: bring it back from the "
            "safe, or with `yizhan storage recover --secret-key FILE`"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{setting} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{setting} is not a key file") from None
    return parse(text, setting)


class LiveKeys:
    """The keys of a file, read again when it changes: `yizhan storage rotate` needs no restart."""

    def __init__(self, path: Path | None) -> None:
        """Without a path there are no keys. Raises ConfigurationError."""
        self._path = path
        self._seen = self._state()
        self._ring = load(path) if path else KeyRing()
        self._fault = ""

    @property
    def ring(self) -> KeyRing:
        """The keys as last read; a file that cannot be read, or lacks a key, changes nothing."""
        state = self._state()
        if self._path is not None and state != self._seen:
            try:
                self._ring, self._fault = _more(load(self._path), self._ring, self._path), ""
            except ConfigurationError as error:
                self._fault = error.public
            self._seen = state
        return self._ring

    def trouble(self) -> str:
        """Why the next start would fail."""
        return self._fault if self.ring.keys else ""

    def _state(self) -> tuple[int, ...]:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return (0,)
        return (found.st_mtime_ns, found.st_ino, found.st_size) if found else ()


def _more(ring: KeyRing, before: KeyRing, path: Path) -> KeyRing:
    lost = set(before.ids) - set(ring.ids)
    if lost:
        raise ConfigurationError(
            f"blobs.storage_key_file: {path} has lost the storage key {min(lost)}"
        )
    return ring


def kept_by_systemd(path: Path) -> bool:
    """Whether the file is a credential, which systemd gives to the service alone, read-only."""
    named = os.environ.get("CREDENTIALS_DIRECTORY")
    return path.is_relative_to(_SYSTEMD) or bool(named and path.is_relative_to(named))


def write(path: Path, ring: KeyRing) -> None:
    """Write the key file, mode 0600: all of it or nothing, durably. Raises OSError."""
    write_private(path, ring.render())


def write_private(path: Path, octets: bytes) -> None:
    """Put a file of mode 0600 in the place of what is there, durably. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)
