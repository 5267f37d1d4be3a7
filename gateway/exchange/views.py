"""The views of one document, one for each way in which its readers want it, computed beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol

from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.exchange import prefix
from gateway.exchange.mailroom import DOCUMENT
from mailboxes.content import Content
from mailboxes.structure import Part
from mailboxes.view import restructure

SENT = "sent"
PLAIN = "plain"


class Read(Protocol):
    """What a view needs to know of the original: an inspection, or a later reading of it."""

    @property
    def structure(self) -> Part: ...

    @property
    def subject(self) -> str: ...


def variant(owner: Owner, directory: Directory) -> str:
    """Which view the owner reads: `zh-CN`, `en`, or `plain` without marks in the subject."""
    unit = None if owner.unit_id is None else directory.unit_by_id(owner.unit_id)
    if unit is not None and not unit.subject_marks:
        return PLAIN
    return owner.language


def prepare(
    outcome: prefix.Outcome,
    inspection: Read,
    size: int,
    open_original: Callable[[], BinaryIO],
    variants: Iterable[str],
) -> dict[str, Content]:
    """The content rows of the named variants, and of the sender's own copy.

    Reads the original once for each; that of long mail belongs into a thread.
    """
    contents: dict[str, Content] = {}
    fields = prefix.trace_fields(outcome)
    for name in sorted({*variants, SENT}):
        view = prefix.compose(
            outcome,
            inspection.structure,
            size,
            subject=inspection.subject,
            marks=name not in (PLAIN, SENT),
            language=name,
            fields=fields,
            own=name == SENT,
        )
        part = restructure(inspection.structure, view)
        digest, header = hashlib.sha256(), b""
        for piece in view.pieces(open_original):
            digest.update(piece)
            header += piece[: part.body_start - len(header)]
        contents[name] = Content.of_view(
            outcome.document_id,
            view,
            part,
            header=header,
            digest=digest.hexdigest(),
            key=outcome.document_id,
            kind=DOCUMENT,
        )
    return contents
