"""Blobs: each document has the octets that were accepted, and nothing else lies there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.errors import StoreDamaged
from gateway.exchange.tables import documents, refusals
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier, Shown
from gateway.fsck.fault import Findings
from gateway.store.blobs import Blobs, Kept
from gateway.store.database import Database
from mailboxes.encode import from_json, to_json
from mailboxes.scan import scan
from mailboxes.structure import Part
from mailboxes.view import View

AGE_SECONDS = 3600.0  # younger than that, a transaction may still be about to refer to it
_PIECE = 1 << 20
_PORTION = 500


def check_blob(dossier: Dossier, blobs: Blobs, found: Findings) -> None:
    """The octets of one document: all of them are read."""
    row = dossier.document
    if row is None:
        return
    digest, size = hashlib.sha256(), 0
    try:
        with blobs.open(row.id) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
    except (FileNotFoundError, ValueError):  # the latter for an id that can name no blob
        found.add(Code.BLOB_MISSING, row.id, f"the octets of document {row.id} are missing")
        return
    except (StoreDamaged, EOFError):
        found.add(Code.BLOB_DAMAGED, row.id, f"the octets of document {row.id} do not decrypt")
        return
    except OSError as error:
        found.add(
            Code.BLOB_UNREADABLE, row.id,
            f"the octets of document {row.id} cannot be read ({error.strerror or error})",
        )  # fmt: skip
        return
    found.counts["octets"] += size
    if size != row.size:
        found.add(Code.BLOB_DAMAGED, row.id, f"document {row.id} has {size} octets, not {row.size}")
    elif digest.digest() != bytes(row.digest):
        found.add(
            Code.BLOB_DAMAGED, row.id, f"the octets of document {row.id} have changed (SHA-256)"
        )


def check_views(dossier: Dossier, blobs: Blobs, found: Findings) -> None:
    """What readers get of one document: its digest and its structure, computed anew."""
    for content in dossier.contents:
        if content.view is not None:
            found.counts["views"] += 1
            _check_view(dossier, content, content.view, blobs, found)


def _check_view(
    dossier: Dossier, content: Shown, view: View, blobs: Blobs, found: Findings
) -> None:
    try:
        octets = b"".join(view.pieces(lambda: blobs.open(content.blob)))
    except (OSError, EOFError, StoreDamaged, ValueError):
        return  # named already, as a fault of the blob
    if hashlib.sha256(octets).hexdigest() != content.digest:
        found.add(
            Code.CONTENT_DIGEST, content.id,
            f"message content {content.id} of document {dossier.id} is not octet for octet what "
            "was delivered",
        )  # fmt: skip
        return
    try:
        stored = _comparable(from_json(content.structure))
    except (ValueError, TypeError, IndexError):
        return  # named already
    if _comparable(scan(octets)) != stored:
        found.add(
            Code.CONTENT_STRUCTURE, content.id,
            f"the structure of message content {content.id} is not that of document {dossier.id}",
        )  # fmt: skip


def _comparable(part: Part) -> str:
    """Without what the examination noted at acceptance, which a scan alone does not find."""
    faults = tuple(fault for fault in part.faults if fault != "header-too-long")
    return to_json(replace(part, faults=faults))


def check_presence(rows: list[Row[Any]], blobs: Blobs, found: Findings) -> None:
    """That the blobs of these documents are there, without reading them."""
    if not rows:
        return
    wanted = {row.id: row.size for row in rows}
    last = max(wanted)
    there: dict[str, int] = {}
    for kept in blobs.list(since=min(wanted)):
        if kept.name > last:
            break
        if kept.whole:
            there[kept.name] = kept.size
    for name, size in wanted.items():
        if name not in there:
            found.add(Code.BLOB_MISSING, name, f"the octets of document {name} are missing")
        elif there[name] < size:  # encryption at rest makes it longer, never shorter
            found.add(
                Code.BLOB_DAMAGED, name, f"document {name} has {there[name]} octets, not {size}"
            )


def find_orphans(
    database: Database, blobs: Blobs, found: Findings, *, since: str, now: float
) -> Iterator[int]:
    """Blobs of no document and unfinished ones that are older than any transaction.

    A blob is looked for in a snapshot that is newer than the list, so one that came in while the
    check ran has its row. Yields how many were looked at. `now` is Unix seconds.
    """
    listed = blobs.list(since=since)
    while portion := list(islice(listed, _PORTION)):
        found.counts["blobs"] += len(portion)
        old = [kept for kept in portion if kept.written < now - AGE_SECONDS]
        whole = [kept.name for kept in old if kept.whole]
        known = database.read_now(lambda c, names=whole: _known(c, names)) if whole else {}  # type: ignore[misc]
        for kept in old:
            _check_kept(kept, known, found)
        yield len(portion)


def _check_kept(kept: Kept, known: dict[str, bool], found: Findings) -> None:
    if not kept.whole:
        found.add(Code.BLOB_UNFINISHED, kept.name, f"the blob {kept.name} was never finished")
    elif known.get(kept.name):
        found.add(
            Code.REFUSAL_CONTENT, kept.name, f"the blobs keep what was refused as {kept.name}"
        )
    elif kept.name not in known:
        found.add(Code.BLOB_ORPHAN, kept.name, f"the blob {kept.name} belongs to no document")


def _known(connection: Connection, names: list[str]) -> dict[str, bool]:
    """Those names that are a document's (False) or a refusal's (True)."""
    found = dict.fromkeys(
        connection.scalars(select(refusals.c.id).where(refusals.c.id.in_(names))), True
    )
    mine = select(documents.c.id).where(documents.c.id.in_(names))
    found.update(dict.fromkeys(connection.scalars(mine), False))
    return found
