"""How far each unit is with going live: has it sent, received, signed, been reached, logged in?

A unit is ready when all of that was so at least once and it has a seal that is valid now. Whatever
is asked is answered from an index for one unit, so a thousand units of a full office take a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.parser import BytesHeaderParser
from typing import BinaryIO

from sqlalchemy import Connection, Select, select

from gateway.directory.lastlogins import LastLogin, last_logins
from gateway.directory.model import Unit
from gateway.directory.snapshot import Directory
from gateway.domain.clock import moment
from gateway.domain.document import DeliveryState
from gateway.exchange import tables as t
from gateway.portal.person import seal_state, unit_name
from gateway.reminders.reminder import ReminderState
from gateway.reminders.tables import reminders
from gateway.seals import custody
from gateway.templating import Sample

TEMPLATE = "readiness.html.j2"
_RECEIVED = tuple(state.value for state in DeliveryState if state is not DeliveryState.FAILED)
_HEAD_OCTETS = 32_768
_PROGRAM_LETTERS = 80
_PROGRAM_FIELDS = ("User-Agent", "X-Mailer")

OpenBlob = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Readiness:
    """One row."""

    code: str
    name: str
    sent_at: datetime | None  # the last document that the unit sent
    sent_id: str  # its id
    received: bool
    signed: bool
    sms: bool  # the carrier has said that a reminder went out
    seal: bool  # one is valid now
    login_at: datetime | None  # the last of any of its accounts, to within an hour
    client: str  # mail program of the last document, as it named itself; empty: it did not

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not yet so."""
        facts = {
            "sent": self.sent_at is not None,
            "received": self.received,
            "signed": self.signed,
            "sms": self.sms,
            "seal": self.seal,
            "login": self.login_at is not None,
        }
        return tuple(name for name, so in facts.items() if not so)

    @property
    def ready(self) -> bool:
        """Whether the unit can go live."""
        return not self.missing

    @property
    def facts(self) -> dict[str, object]:
        """For programs."""
        return {
            "unit": self.code,
            "name": self.name,
            "ready": self.ready,
            "missing": list(self.missing),
            "last_sent": _iso(self.sent_at),
            "received": self.received,
            "signed": self.signed,
            "sms_arrived": self.sms,
            "seal_valid": self.seal,
            "last_login": _iso(self.login_at),
            "client": self.client,
        }


def read_readiness(
    connection: Connection, directory: Directory, language: str, now: datetime
) -> list[Readiness]:
    """A row for each active unit, by code; `client` is what TLS and EHLO told."""
    book = custody.load_book(connection)
    seen = last_logins(connection)
    return [
        _row(
            connection,
            unit,
            unit_name(unit.name, unit.name_en, language),
            seal=any(seal_state(one, now) == "valid" for one in book.of_unit(unit.id)),
            login=_last_login(directory, unit, seen),
        )
        for unit in sorted(directory.units(), key=lambda one: one.code)
        if unit.active
    ]


def with_programs(
    rows: Sequence[Readiness], open_blob: OpenBlob, tell: Callable[[str, int], None]
) -> list[Readiness]:
    """The same rows with the mail program that each unit's last document names itself.

    Reads the head of one document a unit; `tell` hears of the progress.
    """
    found = []
    for number, row in enumerate(rows):
        tell("reading the last document of each unit", number)
        found.append(replace(row, client=_program(row.sent_id, open_blob) or row.client))
    return found


def _row(
    connection: Connection, unit: Unit, name: str, *, seal: bool, login: datetime | None
) -> Readiness:
    d, c, r = t.documents.c, t.deliveries.c, reminders.c
    sent = connection.execute(
        select(d.id, d.received_at, d.client)
        .where(d.unit_id == unit.id)
        .order_by(d.received_at.desc())
        .limit(1)
    ).first()
    mine = select(c.id).where(c.unit_id == unit.id)
    messages = select(r.id).where(r.unit_id == unit.id, r.state == ReminderState.SENT.value)
    return Readiness(
        code=unit.code,
        name=name,
        sent_at=moment(sent.received_at) if sent else None,
        sent_id=sent.id if sent else "",
        received=_any(connection, mine.where(c.state.in_(_RECEIVED))),
        signed=_any(connection, mine.where(c.signed_at.is_not(None))),
        sms=_any(connection, messages),
        seal=seal,
        login_at=login,
        client=_client(sent.client) if sent else "",
    )


def _any(connection: Connection, query: Select[tuple[object]]) -> bool:
    return connection.execute(query.limit(1)).first() is not None


def _last_login(
    directory: Directory, unit: Unit, seen: Mapping[int, tuple[LastLogin, ...]]
) -> datetime | None:
    times = [
        one.at
        for account in directory.accounts()
        if account.roles_in(unit.id)
        for one in seen.get(account.id, ())
    ]
    return max(times, default=None)


def _client(text: str) -> str:
    """What the connection told of itself, where the document does not name its program."""
    known = json.loads(text)
    return str(known.get("helo", ""))[:_PROGRAM_LETTERS]


def _program(document_id: str, open_blob: OpenBlob) -> str:
    if not document_id:
        return ""
    try:
        with open_blob(document_id) as file:
            head = file.read(_HEAD_OCTETS)
    except (OSError, ValueError):
        return ""  # `yizhan fsck` is who says that a blob is missing
    fields = BytesHeaderParser().parsebytes(head)
    named = next((fields[name] for name in _PROGRAM_FIELDS if fields[name]), "")
    text = " ".join(str(named).split())
    return "".join(letter for letter in text if letter.isprintable())[:_PROGRAM_LETTERS]


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")


def samples() -> Iterator[Sample]:
    """Facts for the template."""
    then = datetime.fromisoformat("2026-03-09T08:30:00+00:00")
    rows = [
        Readiness("a", "甲", then, "1", True, True, True, True, then, "Thunderbird"),
        Readiness("b", "乙", None, "", False, False, False, False, None, ""),
    ]
    yield Sample(
        TEMPLATE,
        {"office": "甲", "rows": [shown(one) for one in rows], "ready": 1, "made_at": "x",
         "style": ""},
    )  # fmt: skip


def shown(one: Readiness) -> dict[str, object]:
    """A row as the template has it: local times as text."""
    return {
        "code": one.code,
        "name": one.name,
        "ready": one.ready,
        "client": one.client,
        "sent": one.sent_at.astimezone().strftime("%Y-%m-%d %H:%M") if one.sent_at else "",
        "received": one.received,
        "signed": one.signed,
        "sms": one.sms,
        "seal": one.seal,
        "login": one.login_at.astimezone().strftime("%Y-%m-%d %H:%M") if one.login_at else "",
    }
