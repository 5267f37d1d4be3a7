"""Damages of the search index; the damage is what follows, for the index is made first."""

from __future__ import annotations

from gateway.exchange.mailroom import open_index, tables
from gateway.exchange.texts import TextReader
from gateway.fsck.codes import Code
from gateway.fsck.search import SUBJECT
from mailboxes.entries import prepare
from tests.unit.fsck.damages.damage import damage
from tests.unit.fsck.lived import Lived


def index(store: Lived) -> None:
    """Index everything; a sound index is no fault."""
    reader, writer = TextReader(tables, store.blobs.open), open_index()
    database = store.database
    ids = database.read_now(lambda c: writer.unindexed(c, limit=1000))
    entries = database.read_now(lambda c: reader.read(c, ids))
    made = [prepare(entry) for entry in entries if entry.texts is not None]
    assert database.write_now(lambda c: writer.add(c, made)) > 5
    assert [fault.sentence for fault in store.examine().faults] == []


@damage(Code.SEARCH_INDEX)
def text_that_nobody_sent(store: Lived) -> object:
    index(store)
    store.sql("UPDATE mailbox_texts SET body = 'x' WHERE blob = :id", id=store["signed"])
    return SUBJECT


@damage(Code.SEARCH_INDEX)
def text_without_its_tokens(store: Lived) -> object:
    index(store)
    store.sql("INSERT INTO mailbox_texts SELECT id + 1000, 'b', key, kind, created, title, '',"
              " state, reason FROM mailbox_texts WHERE blob = :id", id=store["signed"])  # fmt: skip
    return SUBJECT


@damage(Code.SEARCH_INDEX)
def tokens_without_their_text(store: Lived) -> object:
    index(store)
    store.sql("DELETE FROM mailbox_heads WHERE text_id = (SELECT id FROM mailbox_texts"
              " WHERE blob = :id)", id=store["fresh"])  # fmt: skip
    store.sql("DELETE FROM mailbox_texts WHERE blob = :id", id=store["fresh"])
    return SUBJECT


@damage(Code.SEARCH_INDEX)
def header_that_nobody_sent(store: Lived) -> object:
    index(store)
    store.sql("UPDATE mailbox_heads SET head = 'x'")
    return SUBJECT
