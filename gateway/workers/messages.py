"""What the daemon and its workers say to each other: small, flat, one datagram each.

A question has a number, and so has its answer. Whatever a worker says is checked like anything that
comes from outside: a worker reads strangers' mail.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import get_type_hints

from gateway.errors import YizhanError


class BadMessage(YizhanError):
    """Nothing that the other side may say."""


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all."""


# From the daemon


@dataclass(frozen=True, slots=True)
class Go(Message):
    """The database is as this version wants it: open it and begin."""

    config: str = field(repr=False)  # JSON: the settings that the daemon began with
    number: int  # of this worker, for its log
    children: int  # that read attachments, of this worker
    # The office's secret key under its passphrase, base64: gpg exports to one process at a time.
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Client(Message):
    """A client, whose socket comes with the message and who has a place."""

    session: int
    door: int  # which of the configured listeners
    peer: str  # IP address


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Are you there? `failed` says why the daemon's own database takes no writes, if so."""

    failed: str = ""


@dataclass(frozen=True, slots=True)
class Share(Message):
    """There are receipts to be made, more than one process should make alone."""


@dataclass(frozen=True, slots=True)
class Reload(Message):
    """SIGHUP has come."""

    number: int


@dataclass(frozen=True, slots=True)
class Leave(Message):
    """SIGTERM has come: 421 to who waits, finish what runs, end."""

    seconds: float  # until connections are cut


# From a worker


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Clients may come."""


@dataclass(frozen=True, slots=True)
class Unfit(Message):
    """The worker cannot begin; the sentence says why."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Left(Message):
    """The client of that session has gone."""

    session: int


@dataclass(frozen=True, slots=True)
class CheckPassword(Message):
    """Whose login is this? Answered by Known, Failed or Unable."""

    number: int
    login: str
    password: str = field(repr=False)
    address: str
    door: str  # submission, imap, pop3


@dataclass(frozen=True, slots=True)
class CheckCertificate(Message):
    """Whose certificate is this? The same answers."""

    number: int
    fingerprint: str
    address: str
    door: str  # submission, imap, pop3


@dataclass(frozen=True, slots=True)
class Offer(Message):
    """An account offers a message; how many were there of late? Answered by Sent."""

    number: int
    account: int
    at: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class Committed(Message):
    """There is new work for the sealer, the outbox or the ladder."""


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """The worker is there; its counters since it began, and why its database takes no writes."""

    commits: int
    units: int
    waiting: int
    replaced: int  # children that died
    failed: str


@dataclass(frozen=True, slots=True)
class Seen(Message):
    """What a door of the worker has counted: method of IntakeMetrics, then its arguments."""

    door: int
    events: list[list[object]]


@dataclass(frozen=True, slots=True)
class Changed(Message):
    """Mailboxes have changed: clients that wait may have something to see. Said by both sides."""


# Answers


@dataclass(frozen=True, slots=True)
class Known(Message):
    """The account; the hash is that of the password as checked, which may have changed since."""

    number: int
    account: int
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """The login is not good: the reply, and the cause for the log."""

    number: int
    code: int
    enhanced: str
    text: str
    text_zh: str
    cause: str
    login: str  # of the account, if there is such an account


@dataclass(frozen=True, slots=True)
class Unable(Message):
    """The question cannot be answered now."""

    number: int
    cause: str


@dataclass(frozen=True, slots=True)
class Sent(Message):
    """Messages that the account has offered, this one included."""

    number: int
    last_minute: int
    last_hour: int


@dataclass(frozen=True, slots=True)
class Done(Message):
    """What was asked has been done."""

    number: int


_ANSWERS = (Known, Failed, Unable, Sent, Done)
Answer = Known | Failed | Unable | Sent | Done
_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Go, Client, Ping, Share, Reload, Leave, Ready, Unfit, Left, CheckPassword, CheckCertificate,
        Offer, Committed, Pong, Seen, Changed, *_ANSWERS,
    )
}  # fmt: skip
_PLAIN = {int: (int,), float: (int, float), str: (str,)}
_FORMS = {
    kind: tuple(_PLAIN.get(hint, (list,)) for hint in get_type_hints(kind).values())
    for kind in _KINDS.values()
}
_NAMES = {kind: tuple(one.name for one in fields(kind)) for kind in _KINDS.values()}


def octets(message: Message) -> bytes:
    """The message as one datagram."""
    kind = type(message)
    return json.dumps([kind.__name__, *(getattr(message, name) for name in _NAMES[kind])]).encode()


def read(datagram: bytes | bytearray) -> Message:
    """The message in a datagram. Raises BadMessage."""
    try:
        name, *values = json.loads(datagram)
        kind = _KINDS[name]
    except (ValueError, TypeError, KeyError):
        raise BadMessage("not a message") from None
    forms = _FORMS[kind]
    if len(values) != len(forms) or any(
        type(value) not in form for value, form in zip(values, forms, strict=True)
    ):
        raise BadMessage(f"not a {kind.__name__}")
    return kind(*values)


def is_answer(message: Message) -> bool:
    """Whether somebody has asked for it."""
    return isinstance(message, _ANSWERS)
