"""Whether an office keeps what its clients were promised, and has nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from gateway import config_file
from gateway.composition import open_own_blobs
from gateway.config import Config
from gateway.errors import YizhanError
from gateway.evidence.tables import evidence_records
from gateway.exchange.mailroom import tables as mailbox_tables
from gateway.exchange.tables import deliveries, documents, outbox, refusals
from gateway.reminders import book
from gateway.reminders.notifiers.spool import _encode
from gateway.reminders.reminder import ReminderState
from gateway.reminders.tables import reminders
from gateway.store import identity, migrate
from gateway.store.database import Database
from gateway.store.drivers import open_blobs
from tests.crash.workload import Letter, Told

_GIVEN = (ReminderState.HANDED_OVER.value, ReminderState.SENT.value)


def broken(path: Path, begun: Iterable[Told], moment: int, *, finished: bool = False) -> list[str]:
    """Every promise that the office of that configuration file does not keep, in words.

    `finished` is when all work has been done: then each receipt must be there.
    """
    begun = list(begun)
    try:
        config = config_file.load(path)
        database = Database(config.state.database_url, readers=1)
    except (YizhanError, OSError, DBAPIError) as error:  # a file may be no database any more
        return [f"the office cannot be opened: {error}"]
    try:
        # What the daemon does at its start, before anything else.
        store = identity.verify(database, config.state.directory)
        migrate.require_known(database.engine)
        open_own_blobs(config, database, store)
        return database.read_now(
            lambda c: list(_faults(c, config, begun, moment, finished=finished))
        )
    except (YizhanError, DBAPIError) as error:
        return [f"the office cannot start: {error}"]
    finally:
        database.stop()


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the database holds, by document (or refusal): asked once for all of them."""

    owners: dict[str, list[str]]
    events: dict[str, Counter[str]]
    to_come: dict[str, list[str]]  # receipts in the outbox: what became of them so far
    receipts: Counter[str]  # receipts in mailboxes
    inboxes: dict[str, list[str]]

    @classmethod
    def read(cls, connection: Connection) -> _Kept:
        t, record = mailbox_tables, evidence_records.c
        owners, inboxes = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for document, owner in connection.execute(
            select(deliveries.c.document_id, deliveries.c.owner)
        ):
            owners[document].append(owner)
        events = defaultdict[str, Counter[str]](Counter)
        for document, event in connection.execute(select(record.document_id, record.event)):
            events[document][event] += 1
        shown = (
            select(t.contents.c.key, t.owners.c.owner)
            .join(t.messages, t.messages.c.content_id == t.contents.c.id)
            .join(t.folders, t.messages.c.folder_id == t.folders.c.id)
            .join(t.owners, t.folders.c.owner_id == t.owners.c.id)
            .where(t.contents.c.kind == "document", t.folders.c.name == "INBOX")
        )
        for document, owner in connection.execute(shown):
            inboxes[document].append(owner)
        to_come = defaultdict[str, list[str]](list)
        for piece in connection.execute(select(outbox).where(outbox.c.kind == "receipt")):
            to_come[piece.document_id].append(
                f"due at {piece.due_at}, leased until {piece.lease_until}, tried "
                f"{piece.attempts} times: {piece.last_error or 'no error'}"
            )
        there = select(t.contents.c.key).where(t.contents.c.kind == "receipt")
        return cls(
            owners, events, to_come,
            Counter(connection.scalars(there)), inboxes,
        )  # fmt: skip


def _faults(
    connection: Connection, config: Config, begun: list[Told], moment: int, *, finished: bool
) -> Iterator[str]:
    rows = connection.execute(select(documents.c.id, documents.c.message_id)).all()
    kept = _Kept.read(connection)
    by_message = {one.letter.message_id: one for one in begun}
    found = Counter(row.message_id for row in rows)
    for message_id, count in found.items():
        if message_id not in by_message:
            yield f"a document that nobody had sent: {message_id}"
        if count != 1:
            yield f"{count} documents of one letter"
    known = {row.id for row in rows}
    for one in begun:
        if one.promised(moment) and one.document not in known:
            yield f"{one.letter.key}: 250 was said, and the document is not there"
        if not one.letter.refused and one.code >= 500 and 0 < one.replied <= moment:
            yield f"{one.letter.key}: refused: {one.code}"
    blobs = open_blobs(config)
    for row in rows:
        if row.message_id not in by_message:
            continue
        letter = by_message[row.message_id].letter
        try:
            with blobs.open(row.id) as file:
                octets = file.read()
            if octets != letter.octets:
                yield f"{letter.key}: {len(octets)} other octets than were sent"
        except (OSError, YizhanError) as error:
            yield f"{letter.key}: no content: {error}"
        yield from _document_faults(kept, row.id, letter, finished=finished)
    yield from _refusal_faults(connection, kept, begun, moment, finished=finished)
    yield from _reminder_faults(connection, config)
    yield from _mailbox_faults(connection)


def _document_faults(
    kept: _Kept, document: str, letter: Letter, *, finished: bool
) -> Iterator[str]:
    wanted = sorted(f"unit:{one}" for one in letter.recipients)
    if sorted(kept.owners[document]) != wanted:
        yield f"{letter.key}: not one delivery for each recipient"
    for event in ("SubmissionAcceptance", "ContentConsignment"):
        count = kept.events[document][event]
        if count != len(letter.recipients):
            yield f"{letter.key}: {count} times {event}"
    if sorted(kept.inboxes[document]) != wanted:
        yield f"{letter.key}: in the inboxes of {kept.inboxes[document]}"
    yield from _receipt_faults(kept, document, letter, finished=finished)


def _receipt_faults(kept: _Kept, matter: str, letter: Letter, *, finished: bool) -> Iterator[str]:
    there, waiting = kept.receipts[matter], kept.to_come[matter]
    to_come = len(waiting)
    if letter.declined:
        if there or (finished and to_come):
            yield f"{letter.key}: {there} receipts although none was wanted"
    elif (there, to_come) != ((1, 0) if there or finished else (0, 1)):
        yield f"{letter.key}: {there} receipts are there and {to_come} are to come {waiting}"


def _refusal_faults(
    connection: Connection, kept: _Kept, begun: list[Told], moment: int, *, finished: bool
) -> Iterator[str]:
    rows = connection.execute(select(refusals.c.id, refusals.c.digest)).all()
    by_digest = {one.letter.digest: one for one in begun}
    found = Counter(bytes(row.digest) for row in rows)
    for row in rows:
        one = by_digest.get(bytes(row.digest))
        if one is None or not one.letter.refused:
            yield f"a refusal of what nobody had sent: {row.id}"
            continue
        yield from _receipt_faults(kept, row.id, one.letter, finished=finished)
    for digest, one in by_digest.items():
        said = one.code >= 500 and 0 < one.replied <= moment
        if said and found[digest] != 1:
            yield f"{one.letter.key}: refused, and {found[digest]} refusals are kept"


def _reminder_faults(connection: Connection, config: Config) -> Iterator[str]:
    """What is entered as handed over is with the carrier, whole."""
    spool = config.reminders.spool
    given = connection.execute(select(reminders).where(reminders.c.state.in_(_GIVEN))).all()
    for row in given if spool is not None else ():
        assert spool is not None
        one = book._reminder(row)
        there = [f / one.id for f in (spool / "outgoing", spool / "sent") if (f / one.id).exists()]
        if len(there) != 1:
            yield f"reminder {one.id} is entered as handed over, and stands in {len(there)} folders"
        elif there[0].read_bytes() != _encode(one):
            yield f"reminder {one.id} is handed over, and its file is damaged"
    known = set(connection.scalars(select(reminders.c.id)))
    if spool is None:
        return
    for path in (spool / "outgoing").iterdir():
        if not path.name.startswith(".") and path.name not in known:
            yield f"a message to a telephone that nobody knows: {path.name}"


def _mailbox_faults(connection: Connection) -> Iterator[str]:
    folders, messages = mailbox_tables.folders, mailbox_tables.messages
    beyond = connection.execute(
        select(messages.c.id)
        .join(folders, folders.c.id == messages.c.folder_id)
        .where(messages.c.uid >= folders.c.uidnext)
    ).first()
    if beyond is not None:
        yield "a message has a UID that its folder has not given"
