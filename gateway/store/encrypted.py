"""Blobs encrypted at rest: a wrapper around any driver; what was kept plain before stays readable.

Each blob has a data key of its own under the storage key in force (`envelope`). Whoever steals the
disk or the bucket without the key file reads nothing. Whoever can write there cannot change an
encrypted blob unseen, but can put a plain one in its place: the digests in the database tell
(`yizhan fsck`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from gateway.store.begun import BegunFile
from gateway.store.blobs import Blobs, Kept
from gateway.store.envelope import HEAD, KEY_ID, Head, Reader, damaged, encrypted, open_head
from gateway.store.storage_key import KeyRing, Keys


class EncryptedBlobs:
    """Plain octets outside, encrypted ones in the driver."""

    def __init__(self, inner: Blobs, keys: Keys, *, encrypt: bool = True) -> None:
        """`encrypt` False: new blobs are kept plain, encrypted ones are still read."""
        self._inner = inner
        self._keys = keys
        self._encrypt = encrypt

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        if self._encrypt:
            pieces = encrypted(name, pieces, self.ring.current)
        self._inner.put(name, pieces)

    @property
    def near(self) -> bool:
        return self._inner.near

    def begin(self, name: str, pieces: Iterable[bytes]) -> BegunFile | None:
        if self._encrypt:
            pieces = encrypted(name, pieces, self.ring.current)
        return self._inner.begin(name, pieces)

    def open(self, name: str) -> BinaryIO:
        return opened(name, self._inner.open(name), self.ring)

    def delete(self, name: str) -> None:
        self._inner.delete(name)

    def list(self, *, since: str = "") -> Iterator[Kept]:
        return self._inner.list(since=since)

    def discard(self, name: str) -> None:
        self._inner.discard(name)

    def trouble(self) -> str:
        return self._inner.trouble() or self._keys.trouble()

    @property
    def inner(self) -> Blobs:
        """The driver's own view: octets as kept."""
        return self._inner

    @property
    def ring(self) -> KeyRing:
        """The storage keys that are known."""
        return self._keys.ring


def opened(name: str, source: BinaryIO, ring: KeyRing) -> BinaryIO:
    """The content of a blob's octets as kept, encrypted or plain; takes `source`.

    Raises StoreDamaged.
    """
    try:
        head = _head(name, source, ring)
        if head is None:
            source.seek(0)
            return source
        return io.BufferedReader(Reader(name, source, head, ring))
    except BaseException:
        source.close()
        raise


def key_of(name: str, source: BinaryIO, ring: KeyRing) -> str:
    """The id of the storage key that opens it; empty if it is plain.

    Raises StoreDamaged.
    """
    head = _head(name, source, ring)
    if head is None:
        return ""
    open_head(name, head, ring)
    return head.key_id


def _head(name: str, source: BinaryIO, ring: KeyRing) -> Head | None:
    octets = source.read(HEAD)
    try:
        if not octets and ring.keys:  # no document is empty: its file was
            raise ValueError("it is empty")
        head = Head.read(octets)
        if head is None and any(octets[KEY_ID].hex() == key_id for key_id in ring.ids):
            raise ValueError("its first octets were changed")
        return head
    except ValueError as error:
        raise damaged(name, str(error)) from None
