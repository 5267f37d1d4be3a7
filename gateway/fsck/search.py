"""The search index says what the mailboxes say: it may lack something, but never differ.

What it lacks is indexed by itself, and read by whoever searches before that. Whatever is wrong with
it is one fault, since all of it is made anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from sqlalchemy import Connection, func, select

from gateway.domain.document import Opening
from gateway.exchange.mailroom import open_index, search_tables, tables
from gateway.exchange.tables import document_texts, documents
from gateway.exchange.texts import OF_HEADER
from gateway.fsck.codes import Code
from gateway.fsck.fault import Findings
from mailboxes.contents import ContentReader
from mailboxes.entries import Grams, Head, body_of

SUBJECT = "search index"
_SAMPLE = 16
_PORTION = 200


def check_search(connection: Connection, found: Findings, *, quick: bool) -> None:
    """Tokens and texts belong together; unless `quick`, texts and headers are those of the mail."""
    wrong = next(_differences(connection, quick=quick), "")
    if wrong:
        found.add(Code.SEARCH_INDEX, SUBJECT, f"the search index is wrong: {wrong}")


def _differences(connection: Connection, *, quick: bool) -> Iterator[str]:
    bare, stray = open_index().disagreement(connection)
    if bare:
        yield f"{len(bare)} texts have no tokens, the first is {bare[0]}"
    if stray:
        yield f"there are tokens of {len(stray)} texts that are not there, the first is {stray[0]}"
    texts = search_tables.texts
    secret = (
        select(func.min(documents.c.id))
        .join(texts, texts.c.blob == documents.c.id)
        .where(documents.c.opening != Opening.PLAIN.value, texts.c.body != "")
    )
    if (document := connection.scalar(secret)) is not None:
        yield f"it has the text of {document}, which was encrypted"
    if not quick:
        yield from _texts(connection)
        yield from _heads(connection)


def _texts(connection: Connection) -> Iterator[str]:
    """Documents whose text is another than theirs; of some, whether the tokens are of it."""
    texts, index, after = search_tables.texts, open_index(), 0
    query = select(texts).where(texts.c.blob.is_not(None)).order_by(texts.c.id).limit(_PORTION)
    while rows := connection.execute(query.where(texts.c.id > after)).all():
        after = rows[-1].id
        own = _own_texts(connection, [row.blob for row in rows])
        for row in rows:
            if row.body and row.body != body_of(own.get(row.blob, [])):
                yield f"the text of document {row.blob} is another there"
            if row.id % _SAMPLE == 0 and not index.has_tokens(
                connection, row.id, Grams.of(row.title, row.body)
            ):
                yield f"the tokens of document {row.blob} are not of its text"


def _own_texts(connection: Connection, ids: list[str]) -> dict[str, list[str]]:
    own: dict[str, list[str]] = {}
    query = select(document_texts).where(document_texts.c.document_id.in_(ids))
    for row in connection.execute(query.order_by(document_texts.c.ordinal)):
        if row.place not in OF_HEADER:
            own.setdefault(row.document_id, []).append(row.text)
    return own


def _heads(connection: Connection) -> Iterator[str]:
    """Contents whose header is another than theirs; of some, where no blob must be opened."""
    heads, contents, after = search_tables.heads, tables.contents, 0
    kept = contents.c.header.is_not(None) | (contents.c.blob == "")
    query = (
        select(heads.c.content_id, heads.c.head)
        .join(contents, contents.c.id == heads.c.content_id)
        .where(heads.c.content_id % _SAMPLE == 0, kept)
        .order_by(heads.c.content_id)
        .limit(_PORTION)
    )
    reader = ContentReader(tables, _no_blob)
    while rows := connection.execute(query.where(heads.c.content_id > after)).all():
        after = rows[-1].content_id
        known = {row.content_id: row.head for row in rows}
        for row in reader.rows(connection, list(known)):
            if Head.of(row.fields).text != known[row.id]:
                yield f"the header of message content {row.id} is another there"


def _no_blob(name: str) -> BinaryIO:
    raise FileNotFoundError(name)
