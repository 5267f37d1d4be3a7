"""What messages are made of: octets once, with everything that IMAP asks about them, computed once.

A thousand messages may share one content; it never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mailboxes import imapdata
from mailboxes.encode import compact, to_json
from mailboxes.scan import scan
from mailboxes.structure import Part
from mailboxes.view import PIECE, View

MAX_HEADER = 65_536  # octets of a header that is kept by itself; a longer one is read

OpenBlob = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the octets come from: a view of a blob, or they are here."""

    blob: str = ""
    view: View | None = None
    octets: bytes = b""

    @property
    def size(self) -> int:
        """Octets that a reader gets."""
        return self.view.size if self.view is not None else len(self.octets)

    def pieces(self, open_blob: OpenBlob) -> Iterator[bytes]:
        """All octets, in pieces of at most 64 KiB."""
        if self.view is not None:
            yield from self.view.pieces(lambda: open_blob(self.blob))
            return
        for start in range(0, len(self.octets), PIECE):
            yield self.octets[start : start + PIECE]

    def read(self, open_blob: OpenBlob, start: int, length: int) -> bytes:
        """Octets start..start+length, less where they end."""
        if self.view is not None:
            return self.view.read(lambda: open_blob(self.blob), start, length)
        return self.octets[max(start, 0) : max(start, 0) + max(length, 0)]


@dataclass(frozen=True, slots=True)
class Content:
    """One content, ready to be stored."""

    key: str  # the owner's own, e.g. a document's id
    kind: str  # the owner's own word, e.g. document, receipt, summary
    source: Source
    digest: str  # hex SHA-256 of the octets that a reader gets
    structure: str  # JSON, see `encode`
    envelope: str  # JSON, see `imapdata`
    bodystructure: str  # JSON, see `imapdata`
    header: bytes = b""  # with the empty line behind it; empty if it is long

    @property
    def size(self) -> int:
        """Octets that a reader gets."""
        return self.source.size

    @classmethod
    def of_octets(cls, octets: bytes, *, key: str, kind: str) -> Content:
        """A content that is kept inline, such as a receipt."""
        digest, part = hashlib.sha256(octets).hexdigest(), scan(octets)
        return cls._of(Source(octets=octets), part, digest, key, kind, octets[: part.body_start])

    @classmethod
    def of_view(
        cls, blob: str, view: View, part: Part, *, header: bytes, digest: str, key: str, kind: str
    ) -> Content:
        """A content that is a view of a blob; `part` is the view's structure (`restructure`), and
        `header` its octets up to `part.body_start`."""
        return cls._of(Source(blob=blob, view=view), part, digest, key, kind, header)

    @classmethod
    def _of(
        cls, source: Source, part: Part, digest: str, key: str, kind: str, header: bytes
    ) -> Content:
        return cls(
            key=key,
            kind=kind,
            source=source,
            digest=digest,
            structure=to_json(part),
            envelope=compact(imapdata.envelope(part)),
            bodystructure=compact(imapdata.bodystructure(part)),
            header=header if len(header) <= MAX_HEADER else b"",
        )
