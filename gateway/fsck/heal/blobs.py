"""Removes from the blobs what no document needs."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select

from gateway.errors import StoreError
from gateway.exchange.tables import documents, refusals
from gateway.fsck.fault import Fault
from gateway.fsck.heal.tools import Tools

_PIECE = 1 << 20


def discard_unfinished(_connection: Connection, fault: Fault, tools: Tools) -> str:
    """Half a blob is of no use to anybody."""
    tools.blobs.discard(fault.subject)
    return f"the unfinished blob {fault.subject} was removed"


def delete_orphan(connection: Connection, fault: Fault, tools: Tools) -> str:
    """Deletes what a crash before `250` left.

    Octets that a document keeps under another name go; others only if the operator says so: if an
    older database was restored, they may be the last copy of a document.
    """
    name = fault.subject
    for table in (documents, refusals):
        if connection.execute(select(table.c.id).where(table.c.id == name)).first():
            return ""
    claimed = _claimed(connection, _digest(tools, name))
    if not (claimed or tools.remove_orphans):
        return ""
    tools.blobs.delete(name)
    why = f"document {claimed} has the same octets" if claimed else "as ordered"
    return f"the blob {name} was deleted, {why}"


def _claimed(connection: Connection, digest: bytes) -> str:
    mine = select(documents.c.id).where(documents.c.digest == digest).limit(1)
    return str(connection.scalar(mine) or "") if digest else ""


def _digest(tools: Tools, name: str) -> bytes:
    digest = hashlib.sha256()
    try:
        with tools.blobs.open(name) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except (OSError, StoreError):
        return b""
    return digest.digest()
