"""What search knows of a content: the texts that a document was accepted with, or what is read now.

A document's texts were read when it came, in a child where that was needed, and are kept; nothing
of it is read again. The office's own letters are plain. What a mail client has put into a folder is
read here as far as that is safe; its files are for whoever has a child (`delivery.indexer`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from gateway.domain.document import Opening
from gateway.exchange.mailroom import search_tables, tables
from gateway.exchange.tables import document_texts, documents, unread_attachments
from gateway.policy.attachments import TEXT_KEPT, read_contents
from gateway.policy.extract import Extracted, NeedsChild, read_plainly, skip_reading
from gateway.policy.inspection import UNREAD, Attachment, Inspection, Reading, Text
from gateway.policy.weight import is_light
from mailboxes.content import OpenBlob
from mailboxes.contents import ContentReader, ContentRow
from mailboxes.entries import Entry, State
from mailboxes.scan import scan
from mailboxes.search import SearchIndex
from mailboxes.tables import Tables

OWN_LETTERS = frozenset(("receipt", "summary", "alert"))  # their files are evidence, not text
OF_HEADER = frozenset(("subject", "header"))  # places of texts that the header has too
ENCRYPTED = "the content is encrypted"


Known = Callable[[list[str]], Collection[str]]  # of blobs, those whose texts the index has


def _none(_blobs: list[str]) -> Collection[str]:
    return ()


class TextReader:
    """Makes entries for the index."""

    def __init__(self, tables: Tables, open_blob: OpenBlob) -> None:
        self._contents = ContentReader(tables, open_blob)

    def read(self, conn: Connection, ids: Sequence[int], known: Known = _none) -> list[Entry]:
        """The entries of contents, in the order of their ids; without texts (None) is a view whose
        blob is `known` or stands before it, and an inline content that needs a child.

        Raises what opening and reading a blob raises.
        """
        rows = sorted(self._contents.rows(conn, ids), key=lambda row: row.id)
        had = set(known([row.blob for row in rows if row.blob]))
        papers = _papers(conn, {row.key for row in rows if row.blob and row.blob not in had})
        return [self._entry(conn, row, papers, had, known is not _none) for row in rows]

    def octets(self, conn: Connection, content_id: int) -> bytes | None:
        """All octets of a content; None if it is gone."""
        return self._contents.octets(conn, content_id)

    def _entry(
        self, conn: Connection, row: ContentRow, papers: dict[str, _Paper], had: set[str],
        once: bool,
    ) -> Entry:  # fmt: skip
        entry = Entry(row.id, row.key, row.kind, row.blob, row.created, row.fields, None)
        if row.blob in had:
            return entry
        if not row.blob:
            return read_now(entry, self._contents.octets(conn, row.id) or b"")
        if once:
            had.add(row.blob)
        paper = papers.get(row.key)
        if paper is None:
            return replace(entry, texts=(), state=State.HEADER, reason=f"no document {row.key}")
        return paper.give(entry)


class _Paper:
    """The row of a document, its texts and the files that gave none."""

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self.texts: list[Text] = []
        self.unread: list[tuple[str, str]] = []

    def give(self, entry: Entry) -> Entry:
        """The entry with the document's texts."""
        if self.opening != Opening.PLAIN.value:
            return replace(entry, texts=(), state=State.HEADER, reason=ENCRYPTED)
        return with_texts(entry, self.texts, self.unread)


def _papers(conn: Connection, ids: Collection[str]) -> dict[str, _Paper]:
    wanted = sorted(ids)
    query = select(documents.c.id, documents.c.opening).where(documents.c.id.in_(wanted))
    found = {row.id: _Paper(row.opening) for row in conn.execute(query)}
    texts = (
        select(document_texts)
        .where(document_texts.c.document_id.in_(wanted))
        .order_by(document_texts.c.document_id, document_texts.c.ordinal)
    )
    for row in conn.execute(texts):
        if row.document_id in found:
            found[row.document_id].texts.append(Text(row.place, row.text))
    unread = (
        select(unread_attachments)
        .where(unread_attachments.c.document_id.in_(wanted))
        .order_by(unread_attachments.c.document_id, unread_attachments.c.ordinal)
    )
    for row in conn.execute(unread):
        if row.document_id in found:
            found[row.document_id].unread.append((row.name or row.part, row.reading))
    return found


def with_texts(entry: Entry, texts: Sequence[Text], unread: Sequence[tuple[str, str]]) -> Entry:
    """The entry with texts as an inspection gives them; `unread`: files and what became of them."""
    body = tuple(text.text for text in texts if text.place not in OF_HEADER)
    title = next((text.text for text in texts if text.place == "subject"), "")
    reasons = [f"{name}: {reading}" for name, reading in unread]
    if sum(map(len, body)) >= TEXT_KEPT:
        reasons.append(f"only the first {TEXT_KEPT} characters are searched")
    return replace(
        entry,
        texts=body,
        title=title,
        state=State.PARTLY if reasons else State.WHOLE,
        reason="; ".join(reasons),
    )


def of_inspection(entry: Entry, inspection: Inspection) -> Entry:
    """The entry with what a child has read."""
    if inspection.opening is not Opening.PLAIN:
        return replace(entry, texts=(), state=State.HEADER, reason=ENCRYPTED)
    return with_texts(entry, inspection.texts, _named(inspection.unread))


def read_now(entry: Entry, octets: bytes) -> Entry:
    """The entry with the texts of an inline content that can be read without a child.

    Without texts (None) if it takes one.
    """
    structure = scan(octets)
    own = entry.kind in OWN_LETTERS
    if not own and not is_light(structure):
        return entry
    try:
        found = read_contents(octets, structure, _no_files if own else read_plainly)
    except NeedsChild:
        return entry
    unread = [one for one in found.attachments if one.reading in UNREAD]
    return with_texts(entry, found.texts, _named(unread))


def _named(files: Iterable[Attachment]) -> list[tuple[str, str]]:
    return [(one.name or one.part, one.reading.value) for one in files]


def _no_files(name: str, declared: str, octets: bytes) -> Extracted:
    return replace(skip_reading(name, declared, octets), reading=Reading.NOT_NEEDED, members=())


def open_search(open_blob: OpenBlob) -> SearchIndex:
    """The reading side of the search index of this office."""
    reader = TextReader(tables, open_blob)
    return SearchIndex(tables, search_tables, lambda c, ids: with_headers_only(reader.read(c, ids)))


def with_headers_only(entries: Iterable[Entry]) -> Iterator[Entry]:
    """What must not wait for a child is searched by its header until one has read it."""
    for entry in entries:
        yield entry if entry.texts is not None else replace(entry, texts=(), state=State.HEADER)
