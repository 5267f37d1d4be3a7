"""The book of seals in the database: which key is whose seal, from when, and until when.

A seal is never deleted: a document sealed by it must stay checkable, and its key must not come
back under another unit's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    String,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)

from gateway.domain.clock import milliseconds, moment
from gateway.domain.event import Event
from gateway.errors import CommandError
from gateway.seals import tables as t
from gateway.seals.book import Seal, SealBook
from mailboxes.prepared import Prepared

_VERSION = Prepared(select(t.seal_book.c.version))
_KNOWN_USE = exists().where(
    t.seal_uses.c.document_id == bindparam("document", type_=String),
    t.seal_uses.c.seal_id == t.seals.c.id,
)
_NOTE_USE = Prepared(
    insert(t.seal_uses).from_select(
        ["document_id", "seal_id", "at"],
        select(
            bindparam("document", type_=String), t.seals.c.id, bindparam("moment", type_=BigInteger)
        ).where(t.seals.c.fingerprint == bindparam("fingerprint"), ~_KNOWN_USE),
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key that shall become a seal, as the workshop hands it over."""

    fingerprint: str  # upper-case hex
    certificate: bytes  # binary, certified by the office
    expires_at: datetime | None
    origin: str  # issued, imported
    revocation: bytes = b""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log of seals."""

    at: datetime
    actor: str
    event: Event
    fingerprint: str
    detail: str


def enter(
    conn: Connection, unit_id: int, entry: Entry, *, limit: int, actor: str, now: datetime
) -> Seal:
    """Make the key a seal of the unit.

    Raises CommandError if the unit has `limit` seals in force, or the key was ever a seal.
    """
    _begin(conn)
    check_room(conn, unit_id, limit=limit)
    return _insert(conn, unit_id, entry, Event.SEAL_ISSUED, entry.origin, actor=actor, now=now)


def replace(conn: Connection, fingerprint: str, entry: Entry, *, actor: str, now: datetime) -> Seal:
    """Put a new seal in the place of one in force; the old one ends at `now`, without overlap.

    Raises CommandError if the old one is not in force, or the new key was ever a seal.
    """
    _begin(conn)
    old = in_force(conn, fingerprint)
    detail = f"in place of {old.fingerprint}"
    new = _insert(conn, old.unit_id, entry, Event.SEAL_REPLACED, detail, actor=actor, now=now)
    conn.execute(
        update(t.seals)
        .where(t.seals.c.id == old.id)
        .values(replaced_at=milliseconds(now), replaced_by=new.id)
    )
    return new


def cancel(conn: Connection, fingerprint: str, reason: str, *, actor: str, now: datetime) -> Seal:
    """From `now` on the seal counts for nothing, whatever time a signature bears.

    A replaced seal can be cancelled too, if its private half was stolen. Raises CommandError if
    there is no such seal, it was cancelled before, or no reason is given.
    """
    if not reason.strip():
        raise CommandError("a cancellation needs a reason")
    _begin(conn)
    seal = find(conn, fingerprint)
    if seal.cancelled_at is not None:
        raise CommandError(
            f"the seal {seal.fingerprint} was cancelled before: {seal.cancel_reason}"
        )
    conn.execute(
        update(t.seals)
        .where(t.seals.c.id == seal.id)
        .values(cancelled_at=milliseconds(now), cancel_reason=reason.strip())
    )
    _log(conn, Event.SEAL_CANCELLED, seal.id, reason.strip(), actor=actor, now=now)
    return find(conn, seal.fingerprint)


def log_use(conn: Connection, document_id: str, fingerprint: str, *, now: datetime) -> None:
    """Note that a document bears the seal; once for each document. Unknown seals are passed over.

    The exchange calls this in the transaction that accepts the document.
    """
    use = {"document": document_id, "fingerprint": fingerprint, "moment": milliseconds(now)}
    _NOTE_USE.run(conn, use)


def set_office_certificate(conn: Connection, certificate: bytes) -> None:
    """Keep the office key's public half, binary, where every reader of the book finds it."""
    _begin(conn)
    conn.execute(update(t.seal_book).values(office_certificate=certificate))


def load_book(conn: Connection) -> SealBook:
    """All seals, and the office's certificate."""
    office = conn.scalar(select(t.seal_book.c.office_certificate)) or b""
    rows = conn.execute(select(t.seals).order_by(t.seals.c.id))
    return SealBook(tuple(_seal(row) for row in rows), office)


def version(conn: Connection) -> int:
    """Goes up with each change of the book; 0 before the first."""
    return _VERSION.scalar(conn) or 0


def find(conn: Connection, name: str) -> Seal:
    """A seal by its fingerprint or at least the last 8 digits of it. Raises CommandError."""
    digits = name.replace(" ", "").upper().removeprefix("0X")
    if len(digits) < 8 or not set(digits) <= set("0123456789ABCDEF"):
        raise CommandError("a seal is named by its fingerprint, or the last 8 digits or more of it")
    rows = conn.execute(select(t.seals).where(t.seals.c.fingerprint.endswith(digits))).all()
    if len(rows) != 1:
        what = "several seals end" if rows else "no seal ends"
        raise CommandError(f"{what} with {digits}; see `yizhan seal list`")
    return _seal(rows[0])


def in_force(conn: Connection, name: str) -> Seal:
    """The same, but raises CommandError also if it was replaced or cancelled."""
    seal = find(conn, name)
    if not seal.in_force:
        word = "cancelled" if seal.cancelled_at is not None else "replaced"
        raise CommandError(f"the seal {seal.fingerprint} was {word} before")
    return seal


def check_room(conn: Connection, unit_id: int, *, limit: int) -> None:
    """Raises CommandError if the unit has `limit` or more seals in force."""
    count = conn.scalar(
        select(func.count())
        .select_from(t.seals)
        .where(
            t.seals.c.unit_id == unit_id,
            t.seals.c.replaced_at.is_(None),
            t.seals.c.cancelled_at.is_(None),
        )
    )
    if (count or 0) >= limit:
        raise CommandError(
            f"the unit has {count} seals in force, and may have {limit}: replace or cancel one, "
            "or raise the unit's own limit"
        )


def uses(conn: Connection) -> Mapping[int, int]:
    """How often each seal was used, by its id."""
    counted = select(t.seal_uses.c.seal_id, func.count()).group_by(t.seal_uses.c.seal_id)
    return {row[0]: row[1] for row in conn.execute(counted)}


def details(conn: Connection, seal_id: int) -> tuple[str, bool, bytes]:
    """Origin, whether the office keeps the private half, and the revocation (or empty)."""
    row = conn.execute(
        select(t.seals.c.origin, t.seals.c.kept, t.seals.c.revocation).where(
            t.seals.c.id == seal_id
        )
    ).one()
    return row.origin, row.kept, row.revocation


def log(conn: Connection, *, limit: int = 100) -> list[LogLine]:
    """The newest lines first."""
    joined = t.seal_log.join(t.seals, t.seals.c.id == t.seal_log.c.seal_id)
    query = (
        select(t.seal_log, t.seals.c.fingerprint)
        .select_from(joined)
        .order_by(t.seal_log.c.id.desc())
        .limit(limit)
    )
    return [
        LogLine(moment(row.at), row.actor, Event(row.event), row.fingerprint, row.detail)
        for row in conn.execute(query)
    ]


def _begin(conn: Connection) -> None:
    """Raise the version; the lock on that row puts all changes of the book in a line."""
    row = t.seal_book
    if not conn.execute(update(row).values(version=row.c.version + 1)).rowcount:
        conn.execute(insert(row).values(id=1, version=1, office_certificate=b""))


def _insert(
    conn: Connection, unit_id: int, entry: Entry, event: Event, detail: str,
    *, actor: str, now: datetime,
) -> Seal:  # fmt: skip
    taken = select(t.seals.c.unit_id).where(t.seals.c.fingerprint == entry.fingerprint)
    if conn.scalar(taken) is not None:
        raise CommandError(
            f"the key {entry.fingerprint} is or was a seal: a seal needs a key of its own"
        )
    made = conn.execute(
        insert(t.seals).values(
            unit_id=unit_id,
            fingerprint=entry.fingerprint,
            certificate=entry.certificate,
            revocation=entry.revocation,
            origin=entry.origin,
            kept=entry.kept,
            issued_at=milliseconds(now),
            expires_at=milliseconds(entry.expires_at) if entry.expires_at is not None else None,
            cancel_reason="",
        )
    )
    key = made.inserted_primary_key
    seal_id = int(key[0]) if key is not None else 0
    _log(conn, event, seal_id, detail, actor=actor, now=now)
    return find(conn, entry.fingerprint)


def _log(
    conn: Connection, event: Event, seal_id: int, detail: str, *, actor: str, now: datetime
) -> None:
    conn.execute(
        insert(t.seal_log).values(
            at=milliseconds(now), actor=actor, event=event.value, seal_id=seal_id, detail=detail
        )
    )


def _seal(row: Row[tuple[object, ...]]) -> Seal:
    facts = row._mapping
    return Seal(
        id=facts["id"],
        unit_id=facts["unit_id"],
        fingerprint=facts["fingerprint"],
        certificate=facts["certificate"],
        issued_at=moment(facts["issued_at"]),
        expires_at=_moment(facts["expires_at"]),
        replaced_at=_moment(facts["replaced_at"]),
        cancelled_at=_moment(facts["cancelled_at"]),
        cancel_reason=facts["cancel_reason"],
    )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)
