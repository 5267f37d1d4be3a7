"""The reading side of the mailboxes: rows, structures, octets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from mailboxes.content import OpenBlob, Source
from mailboxes.encode import from_json
from mailboxes.errors import NoSuchMessage
from mailboxes.flags import parted
from mailboxes.folders import FolderStore
from mailboxes.rows import Located, MessageRow, moment
from mailboxes.structure import Part
from mailboxes.tables import Tables
from mailboxes.view import View


class MessageReader(FolderStore):
    """The part of the store that changes nothing."""

    def __init__(self, tables: Tables, open_blob: OpenBlob) -> None:
        super().__init__(tables)
        self._open_blob = open_blob

    def messages(
        self, conn: Connection, folder_id: int,
        *, after_uid: int = 0, changed_since: int = 0, limit: int | None = None,
    ) -> list[MessageRow]:  # fmt: skip
        """The folder's messages by UID: those behind a UID, or changed since a modseq."""
        table = self._tables.messages
        query = (
            self._rows()
            .where(table.c.folder_id == folder_id, table.c.uid > after_uid)
            .order_by(table.c.uid)
            .limit(limit)
        )
        if changed_since:
            query = query.where(table.c.modseq > changed_since)
        return [_message(row) for row in conn.execute(query)]

    def message(self, conn: Connection, message_id: int) -> MessageRow:
        """One message. Raises NoSuchMessage."""
        row = conn.execute(self._rows().where(self._tables.messages.c.id == message_id)).first()
        if row is None:
            raise gone(message_id)
        return _message(row)

    def find_by_key(self, conn: Connection, key: str) -> list[Located]:
        """The messages whose content has that key, wherever they are."""
        folders, owners = self._tables.folders, self._tables.owners
        query = (
            self._rows()
            .join(folders, folders.c.id == self._tables.messages.c.folder_id)
            .join(owners, owners.c.id == folders.c.owner_id)
            .add_columns(owners.c.owner, folders.c.name.label("folder"))
            .where(self._tables.contents.c.key == key)
            .order_by(self._tables.messages.c.id)
        )
        return [Located(row.owner, row.folder, _message(row)) for row in conn.execute(query)]

    def pieces(self, conn: Connection, message_id: int) -> Iterator[bytes]:
        """The message's octets; the blob is opened at the first piece. Raises NoSuchMessage."""
        return self.source(conn, message_id).pieces(self._open_blob)

    def read(self, conn: Connection, message_id: int, start: int, length: int) -> bytes:
        """Some of the message's octets. Raises NoSuchMessage."""
        return self.source(conn, message_id).read(self._open_blob, start, length)

    def source(self, conn: Connection, message_id: int) -> Source:
        """Where the message's octets come from. Raises NoSuchMessage."""
        table = self._tables.contents
        row = self._content(
            conn, message_id,
            select(
                table.c.blob, table.c.prefix, table.c.size_original, table.c.cuts, table.c.octets
            ),
        )  # fmt: skip
        if not row.blob:
            return Source(octets=bytes(row.octets))
        cuts = tuple((int(start), int(end)) for start, end in json.loads(row.cuts))
        return Source(blob=row.blob, view=View(bytes(row.prefix), row.size_original, cuts))

    def structure(self, conn: Connection, message_id: int) -> Part:
        """The structure of the message's octets, its fields without their values.

        Raises NoSuchMessage.
        """
        row = self._content(conn, message_id, select(self._tables.contents.c.structure))
        return from_json(row.structure)

    def imap_data(self, conn: Connection, message_id: int) -> tuple[str, str]:
        """ENVELOPE and BODYSTRUCTURE as JSON (see `imapdata`). Raises NoSuchMessage."""
        table = self._tables.contents
        row = self._content(conn, message_id, select(table.c.envelope, table.c.bodystructure))
        return row.envelope, row.bodystructure

    def expunged(self, conn: Connection, folder_id: int, since: int) -> list[tuple[int, int]]:
        """UID and modseq of what left the folder after that modseq (RFC 7162, VANISHED)."""
        table = self._tables.expunged
        query = (
            select(table.c.uid, table.c.modseq)
            .where(table.c.folder_id == folder_id, table.c.modseq > since)
            .order_by(table.c.modseq, table.c.uid)
        )
        return [(row.uid, row.modseq) for row in conn.execute(query)]

    def _rows(self) -> Select[Any]:
        messages, contents = self._tables.messages, self._tables.contents
        return select(
            messages.c.id, messages.c.folder_id, messages.c.content_id, messages.c.uid,
            messages.c.modseq, messages.c.flags, messages.c.arrived, contents.c.size,
            contents.c.key, contents.c.kind,
        ).join(contents, contents.c.id == messages.c.content_id)  # fmt: skip

    def _content(self, conn: Connection, message_id: int, query: Select[Any]) -> Row[Any]:
        messages, contents = self._tables.messages, self._tables.contents
        joined = query.join(messages, messages.c.content_id == contents.c.id)
        row = conn.execute(joined.where(messages.c.id == message_id)).first()
        if row is None:
            raise gone(message_id)
        return row


def gone(message_id: int) -> NoSuchMessage:
    """The error for a message that is not there."""
    return NoSuchMessage(f"there is no message {message_id}")


def _message(row: Row[Any]) -> MessageRow:
    return MessageRow(
        id=row.id,
        folder_id=row.folder_id,
        content_id=row.content_id,
        uid=row.uid,
        modseq=row.modseq,
        flags=parted(row.flags),
        arrived=moment(row.arrived),
        size=row.size,
        key=row.key,
        kind=row.kind,
    )
