"""The work of a check in pieces that need nothing of each other, so that processes can share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, bindparam, func, select

from gateway.evidence.tables import evidence_records
from gateway.exchange.tables import documents
from gateway.fsck import blobs as blob_checks
from gateway.fsck import database as database_checks
from gateway.fsck import directory as directory_checks
from gateway.fsck import documents as document_checks
from gateway.fsck import evidence as evidence_checks
from gateway.fsck import log as log_checks
from gateway.fsck import mailboxes as mailbox_checks
from gateway.fsck import receipts as receipt_checks
from gateway.fsck import reminders as reminder_checks
from gateway.fsck import seals as seal_checks
from gateway.fsck import search as search_checks
from gateway.fsck.codes import Family
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.gather import gather
from gateway.fsck.scope import Scope, Span
from gateway.fsck.standing import Standing, read_standing
from gateway.store.blobs import Blobs
from gateway.store.database import Database

RECORDS = 2000  # in one range of dossiers; a document's own are never parted

_NEXT = (
    select(evidence_records.c.document_id)
    .where(evidence_records.c.document_id > bindparam("after"))
    .order_by(evidence_records.c.document_id)
    .offset(RECORDS - 1)
    .limit(1)
)
_DOSSIERS = frozenset(Family) - {Family.DATABASE}


class Kind(StrEnum):
    """What a piece looks at."""

    DATABASE = "database"
    OFFICE = "office"  # seals, keys, folders, the ends of the log
    ORPHANS = "orphans"
    DOSSIERS = "dossiers"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the work."""

    kind: Kind
    span: Span = Span()  # noqa: RUF009  # frozen
    start: int = 0  # of a block of the log
    end: int = 0


@dataclass(slots=True)
class Ground:
    """Where the work is done: one for each process."""

    database: Database
    blobs: Blobs
    domain: str
    standing: Standing | None = None


def divide(database: Database, scope: Scope) -> Iterator[Piece]:
    """All pieces of the check, the longest first. Reads as it goes, in short transactions."""
    if scope.span.whole:
        if scope.has(Family.DATABASE):
            yield Piece(Kind.DATABASE)
        yield Piece(Kind.OFFICE)
        if scope.has(Family.LOG):
            size = database.read_now(log_checks.newest_size)
            for start in range(0, size, log_checks.BLOCK):
                yield Piece(Kind.LOG, start=start, end=min(start + log_checks.BLOCK, size))
    if scope.has(Family.BLOBS) and not scope.span.only:
        yield Piece(Kind.ORPHANS, scope.span)
    if scope.has(*_DOSSIERS):
        yield from _ranges(database, scope.span)


def _ranges(database: Database, span: Span) -> Iterator[Piece]:
    """Ranges of ids with about as many records each; the ends are open, so that nothing is between
    them: a row about an unknown document falls into one too."""
    after = span.after
    while not span.only:
        until = database.read_now(
            lambda c, after=after: c.scalar(_NEXT, {"after": after})  # type: ignore[misc]
        )
        if until is None:
            break
        yield Piece(Kind.DOSSIERS, Span(after, until))
        after = until
    yield Piece(Kind.DOSSIERS, Span(after, only=span.only))


def count_documents(connection: Connection, span: Span) -> int:
    """How many documents the check will look at, for the progress."""
    query = select(func.count()).select_from(documents)
    if span.after:
        query = query.where(documents.c.id > span.after)
    return 1 if span.only else int(connection.scalar(query) or 0)


def work(ground: Ground, scope: Scope, piece: Piece) -> Findings:
    """Do one piece. Raises StoreUnavailable if the database cannot be read."""
    found = Findings()
    match piece.kind:
        case Kind.DATABASE:
            ground.database.read_now(
                lambda c: database_checks.check_database(c, found, quick=scope.quick)
            )
        case Kind.OFFICE:
            ground.database.read_now(lambda c: _check_office(c, ground, scope, found))
        case Kind.ORPHANS:
            for _ in blob_checks.find_orphans(
                ground.database, ground.blobs, found, since=piece.span.after, now=time.time()
            ):
                pass
        case Kind.LOG:
            found.extra = ground.database.read_now(
                lambda c: log_checks.check_block(c, piece.start, piece.end, ground.domain, found)
            )
        case Kind.DOSSIERS:
            _check_dossiers(ground, scope, piece.span, found)
    return found


def _check_office(connection: Connection, ground: Ground, scope: Scope, found: Findings) -> None:
    standing = ground.standing = read_standing(connection, ground.domain, ground.standing)
    if scope.has(Family.SEALS):
        seal_checks.check_book(connection, found)
    if scope.has(Family.SEALS, Family.EVIDENCE):
        seal_checks.check_keys(connection, found)
    if scope.has(Family.DIRECTORY):
        directory_checks.check_seal_units(connection, standing, found)
    if scope.has(Family.MAILBOXES):
        mailbox_checks.check_folders(connection, found)
        search_checks.check_search(connection, found, quick=scope.quick)
    if scope.has(Family.LOG):
        log_checks.check_ends(connection, found)


def _check_dossiers(ground: Ground, scope: Scope, span: Span, found: Findings) -> None:
    def read(connection: Connection) -> list[Dossier]:
        ground.standing = read_standing(connection, ground.domain, ground.standing)
        gathered = gather(connection, span, scope)
        if scope.has(Family.DIRECTORY):
            directory_checks.check_earlier(connection, gathered, found)
        return gathered

    dossiers = ground.database.read_now(read)
    standing = ground.standing
    if standing is None:  # never: it was read with them
        return
    bench = Bench(standing, scope.quick, int(time.time() * 1000), ground.blobs)
    for dossier in dossiers:
        check_dossier(dossier, bench, found, scope.families)
        if scope.views:
            blob_checks.check_views(dossier, ground.blobs, found)
    if scope.has(Family.BLOBS) and scope.quick:
        rows = [dossier.document for dossier in dossiers if dossier.document is not None]
        blob_checks.check_presence(rows, ground.blobs, found)


@dataclass(frozen=True, slots=True)
class Bench:
    """What the checks of one dossier need beside it."""

    standing: Standing
    quick: bool
    now: int  # Unix milliseconds
    blobs: Blobs


def _check_log(dossier: Dossier, _bench: Bench, found: Findings) -> None:
    for row in dossier.records:
        evidence_checks.check_entry(row, found)


def _check_blobs(dossier: Dossier, bench: Bench, found: Findings) -> None:
    if not bench.quick:
        blob_checks.check_blob(dossier, bench.blobs, found)


_CHECKS: tuple[tuple[Family, Callable[[Dossier, Bench, Findings], None]], ...] = (
    (Family.DOCUMENTS, lambda d, _, found: document_checks.check_document(d, found)),
    (Family.DIRECTORY, lambda d, b, found: directory_checks.check_references(d, b.standing, found)),
    (
        Family.EVIDENCE,
        lambda d, b, found: evidence_checks.check_evidence(d, b.standing, found, quick=b.quick),
    ),
    (Family.LOG, _check_log),
    (
        Family.RECEIPTS,
        lambda d, b, found: receipt_checks.check_receipts(
            d, b.standing, found, quick=b.quick, now=b.now
        ),
    ),
    (Family.REMINDERS, lambda d, b, found: reminder_checks.check_reminders(d, found, now=b.now)),
    (Family.MAILBOXES, lambda d, b, found: mailbox_checks.check_mailboxes(d, b.standing, found)),
    (Family.SEALS, lambda d, b, found: seal_checks.check_uses(d, b.standing, found)),
    (Family.BLOBS, _check_blobs),
)


def check_dossier(
    dossier: Dossier, bench: Bench, found: Findings, families: frozenset[Family]
) -> None:
    """All checks of those families over one dossier."""
    for family, check in _CHECKS:
        if family in families:
            check(dossier, bench, found)
