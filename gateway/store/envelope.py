"""The form of an encrypted blob: a head with the wrapped data key, then segments of 64 KiB.

    head     8  magic: NUL, "YZBLOB", version 1 (no mail that was accepted has a NUL in it)
             8  id of the storage key
            12  nonce of the wrapping
            48  the data key, AES-256-GCM under the storage key; authenticated: magic, id, name
    segment  65,536 octets of the content (the last one: the rest, empty only if all is empty) and
             16 of tag, AES-256-GCM under the data key; authenticated: magic, name

A segment's nonce is 7 octets of zero, its index (4 octets), and 1 for the last segment, else 0: the
STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015). So a segment that was moved, left
out, repeated, taken from another blob or cut off at the end does not open. Each blob has a random
data key, so no nonce is ever used twice under one. The head alone is renewed when the storage key
is; the name in what is authenticated binds blob and data key to one document.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import StoreDamaged
from gateway.store.storage_key import ID_OCTETS, OCTETS, KeyRing, StorageKey

SEGMENT = 65_536
MAGIC = b"\0YZBLOB\x01"
_TAG = 16
_NONCE = 12
_SEALED = SEGMENT + _TAG
KEY_ID = slice(len(MAGIC), len(MAGIC) + ID_OCTETS)
HEAD = len(MAGIC) + ID_OCTETS + _NONCE + OCTETS + _TAG


class UnknownStorageKey(StoreDamaged):
    """The blob lies under a storage key that is not known here."""

    def __init__(self, name: str, key_id: str) -> None:
        why = f"blob {name}: the storage key {key_id} is not in blobs.storage_key_file"
        super().__init__("a stored document cannot be read", cause=why)
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class Head:
    """What stands in front: under which storage key, and the data key as it is wrapped."""

    key_id: str
    nonce: bytes
    wrapped: bytes

    @classmethod
    def read(cls, octets: bytes) -> Head | None:
        """The head of a blob that starts with these octets; None if it is not encrypted.

        Raises ValueError if it is cut off.
        """
        if not octets or not (octets.startswith(MAGIC) or MAGIC.startswith(octets)):
            return None
        if len(octets) < HEAD:
            raise ValueError("the head is cut off")
        start = KEY_ID.stop + _NONCE
        return cls(octets[KEY_ID].hex(), octets[KEY_ID.stop : start], octets[start:HEAD])

    @classmethod
    def wrap(cls, data_key: bytes, key: StorageKey, name: str) -> Head:
        """A new head around a data key."""
        nonce = secrets.token_bytes(_NONCE)
        wrapped = AESGCM(key.octets).encrypt(nonce, data_key, _bound(name, key.id))
        return cls(key.id, nonce, wrapped)

    def unwrap(self, key: StorageKey, name: str) -> bytes:
        """The data key. Raises InvalidTag."""
        return AESGCM(key.octets).decrypt(self.nonce, self.wrapped, _bound(name, self.key_id))

    def render(self) -> bytes:
        return MAGIC + bytes.fromhex(self.key_id) + self.nonce + self.wrapped


def encrypted(name: str, pieces: Iterable[bytes], key: StorageKey) -> Iterator[bytes]:
    """The octets of the encrypted blob; holds one segment and one piece at a time."""
    data_key = secrets.token_bytes(OCTETS)
    yield Head.wrap(data_key, key, name).render()
    cipher, bound = AESGCM(data_key), _bound(name)
    waiting = bytearray()
    index = 0
    for piece in pieces:
        waiting += piece
        while len(waiting) > SEGMENT:  # not >=: what is left at the end is the last segment
            yield cipher.encrypt(_nonce(index, last=False), bytes(waiting[:SEGMENT]), bound)
            del waiting[:SEGMENT]
            index += 1
    yield cipher.encrypt(_nonce(index, last=True), bytes(waiting), bound)


def rewrapped(name: str, source: BinaryIO, ring: KeyRing) -> Iterator[bytes]:
    """The same blob with its head under the key in force. Raises StoreDamaged."""
    head = require_head(name, source.read(HEAD))
    yield Head.wrap(open_head(name, head, ring), ring.current, name).render()
    while piece := source.read(_SEALED):
        yield piece


def require_head(name: str, octets: bytes) -> Head:
    """The head of a blob that is encrypted. Raises StoreDamaged."""
    try:
        head = Head.read(octets)
    except ValueError as error:
        raise damaged(name, str(error)) from None
    if head is None:
        raise damaged(name, "it is not encrypted")
    return head


def open_head(name: str, head: Head, ring: KeyRing) -> bytes:
    """The data key. Raises StoreDamaged: an unknown storage key, or a changed head."""
    key = ring.find(head.key_id)
    if key is None:
        raise UnknownStorageKey(name, head.key_id)
    try:
        return head.unwrap(key, name)
    except InvalidTag:
        raise damaged(name, "its head was changed, or it is another blob's") from None


class Reader(io.RawIOBase):
    """The content of an encrypted blob: seekable, opens only the segments that are read."""

    def __init__(self, name: str, source: BinaryIO, head: Head, ring: KeyRing) -> None:
        """Takes `source`, and closes it. Raises StoreDamaged."""
        super().__init__()
        self._name = name
        self._source = source
        self._cipher = AESGCM(open_head(name, head, ring))
        self._bound = _bound(name)
        body = source.seek(0, io.SEEK_END) - HEAD
        self._segments = max(1, -(-body // _SEALED))
        self._size = body - self._segments * _TAG
        if self._size <= (self._segments - 1) * SEGMENT and (self._segments > 1 or self._size < 0):
            raise damaged(name, "its end is cut off")
        self._position = 0
        self._index = -1
        self._octets = b""
        self._ended = False  # whether the last segment was seen to be the last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        match whence:
            case io.SEEK_SET:
                target = offset
            case io.SEEK_CUR:
                target = self._position + offset
            case _:
                if not self._ended:
                    self._load(
                        self._segments - 1
                    )  # else a file that was cut off would tell its end
                target = self._size + offset
        if target < 0:
            raise ValueError("a position before the start")
        self._position = target
        return target

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self._position >= self._size:
            if not self._ended:
                self._load(self._segments - 1)
            return 0
        index, start = divmod(self._position, SEGMENT)
        self._load(index)
        piece = self._octets[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._octets = b""
            self._source.close()
        super().close()

    def _load(self, index: int) -> None:
        if index == self._index:
            return
        self._source.seek(HEAD + index * _SEALED)
        last = index == self._segments - 1
        length = self._size - index * SEGMENT + _TAG if last else _SEALED
        try:
            octets = self._cipher.decrypt(
                _nonce(index, last), self._source.read(length), self._bound
            )
        except InvalidTag:
            raise damaged(self._name, f"segment {index} of {self._segments}") from None
        self._index, self._octets = index, octets
        self._ended = self._ended or last


def _nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _bound(name: str, key_id: str = "") -> bytes:
    return MAGIC + bytes.fromhex(key_id) + name.encode("ascii")


def damaged(name: str, why: str) -> StoreDamaged:
    """The error for this blob; the cause, which only the log shows, names it."""
    return StoreDamaged("a stored document is damaged", cause=f"blob {name}: {why}")
