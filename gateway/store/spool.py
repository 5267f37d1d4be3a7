"""Octets on their way in: in memory while small, then in an unnamed file that nobody can read.

The file has no name (O_TMPFILE) and is encrypted under a key that lives only in this object, so
of a refused document nothing is ever on disk in the clear, whatever crashes. AES-256-CTR is enough:
nobody else can write to the file, and the digest over the plaintext is kept in memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway.store.fault import reach

PIECE = 65_536


class Spool:
    """A growing message; `write` while it comes in, `finish`, then it is a `Content`."""

    def __init__(self, directory: Path, memory: int) -> None:
        self._directory = directory
        self._memory = memory
        self._head = bytearray()
        self._descriptor = -1
        self._digest = hashlib.sha256()
        self._size = 0
        self._sha256 = b""
        self._key = b""
        self._nonce = b""
        self._closed = False

    def write(self, octets: bytes) -> None:
        """Take the next octets; once closed only their digest and number.

        Raises OSError when the disk is full or fails.
        """
        self._digest.update(octets)
        self._size += len(octets)
        if self._closed:
            return
        self._head += octets
        if self._descriptor >= 0 or len(self._head) > self._memory:
            self._spill()

    def finish(self) -> None:
        """No more will come; the digest stands."""
        if self._descriptor >= 0:
            self._spill()
        self._sha256 = self._digest.digest()

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> bytes:
        return self._sha256

    def chunks(self) -> Iterator[bytes]:
        """The octets in pieces; raises ValueError once closed, lest a message look empty."""
        if self._closed:
            raise ValueError("the spool is closed")
        if self._descriptor < 0:
            head = self._head
            for start in range(0, len(head), PIECE):
                yield bytes(head[start : start + PIECE])
            return
        opener = Cipher(algorithms.AES(self._key), modes.CTR(self._nonce)).decryptor()
        offset = 0
        while piece := os.pread(self._descriptor, PIECE, offset):
            offset += len(piece)
            yield opener.update(piece)

    def read(self) -> bytes:
        """All octets; raises ValueError once closed."""
        whole = io.BytesIO()  # unlike join it holds no second copy
        for piece in self.chunks():
            whole.write(piece)
        return whole.getvalue()

    def close(self) -> None:
        self._closed = True
        self._head = bytearray()
        self._key = b""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _spill(self) -> None:
        if self._descriptor < 0:
            self._descriptor = _unnamed_file(self._directory)
            self._key, self._nonce = secrets.token_bytes(32), secrets.token_bytes(16)
            self._sealer = Cipher(algorithms.AES(self._key), modes.CTR(self._nonce)).encryptor()
        view = memoryview(self._sealer.update(bytes(self._head)))
        self._head.clear()
        while view:
            view = view[os.write(self._descriptor, view) :]
        reach("spool-spilled")


def _unnamed_file(directory: Path) -> int:
    """A file without a name; where the file system has no O_TMPFILE it is unlinked at once."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        descriptor, name = tempfile.mkstemp(dir=directory)
        Path(name).unlink()
        return descriptor
