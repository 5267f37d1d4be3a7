"""The mailboxes of this office: their tables in our schema, their octets in our blobs."""

from __future__ import annotations

from gateway.store.blobs import Blobs
from gateway.store.schema import metadata
from mailboxes.events import MailboxEvents
from mailboxes.indexing import IndexWriter
from mailboxes.search_tables import make_search_tables
from mailboxes.store import MailboxStore
from mailboxes.tables import make_tables

tables = make_tables(metadata)
search_tables = make_search_tables(metadata)
DOCUMENT = "document"  # kind of the contents that are documents


def open_mailboxes(blobs: Blobs, events: MailboxEvents | None = None) -> MailboxStore:
    """The store of all mailboxes; each of its methods takes the connection.

    `events` are told what persons do (`gestures`); a verb has no need of them.
    """
    return MailboxStore(tables, blobs.open, events)


def open_index() -> IndexWriter:
    """The writing side of the search index; each of its methods takes the connection."""
    return IndexWriter(tables, search_tables)
