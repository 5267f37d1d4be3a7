"""What a person sees of the own data: name, units and roles, seals, logins, certificates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from sqlalchemy import Connection

from gateway.directory.lastlogins import last_logins
from gateway.directory.model import Account, Role
from gateway.directory.snapshot import Directory
from gateway.errors import CommandError
from gateway.evidence.receipt import CHINA, local_time, zone_name
from gateway.seals import custody
from gateway.seals.book import Seal, SealBook
from gateway.templating import Sample

TEMPLATE = "portal_account.html.j2"


@dataclass(frozen=True, slots=True)
class Membership:
    """A unit and what the person may do in it."""

    unit: str
    address: str
    roles: tuple[str, ...]  # values of Role


@dataclass(frozen=True, slots=True)
class SealRow:
    """A seal of one of the person's units."""

    unit: str
    fingerprint: str  # in groups of four
    state: str  # valid, expired, replaced, cancelled
    expires: str  # local date; empty: never


@dataclass(frozen=True, slots=True)
class LoginRow:
    """A last login, to within an hour."""

    door: str  # submission, imap, pop3, portal
    at: str
    client: str


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A client certificate that opens the account."""

    fingerprint: str
    subject: str  # empty: only the fingerprint is known
    expires: str


@dataclass(frozen=True, slots=True)
class Person:
    """All of it, as text."""

    name: str
    login: str
    address: str
    must_change: bool
    memberships: tuple[Membership, ...]
    seals: tuple[SealRow, ...]
    logins: tuple[LoginRow, ...]
    certificates: tuple[CertificateRow, ...]
    networks: tuple[str, ...]
    zone: str


def read_person(
    connection: Connection,
    directory: Directory,
    account: Account,
    now: datetime,
    zone: tzinfo = CHINA,
) -> Person:
    """The person's data, as that connection's transaction and that directory see them."""
    language = directory.language_of(account)
    book = custody.load_book(connection)
    return Person(
        name=account.name,
        login=account.login,
        address=str(account.address),
        must_change=account.first_password_at is not None,
        memberships=tuple(_memberships(directory, account, language)),
        seals=tuple(_seals(directory, account, book, language, now, zone)),
        logins=tuple(
            LoginRow(one.door, local_time(one.at, zone)[:-3], one.client)
            for one in last_logins(connection).get(account.id, ())
        ),
        certificates=tuple(_certificates(directory, account, zone)),
        networks=tuple(str(network) for network in account.networks),
        zone=zone_name(now, zone),
    )


def unit_name(name: str, name_en: str, language: str) -> str:
    """What a reader of that language calls a unit."""
    return name_en if language == "en" and name_en else name


def grouped(fingerprint: str) -> str:
    """An OpenPGP fingerprint in groups of four digits, as gpg shows it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def seal_state(seal: Seal, now: datetime) -> str:
    """valid, expired, replaced or cancelled."""
    if seal.cancelled_at is not None:
        return "cancelled"
    if seal.replaced_at is not None:
        return "replaced"
    return "expired" if seal.expires_at is not None and seal.expires_at <= now else "valid"


def samples() -> Iterator[Sample]:
    """Facts for the template."""
    person = Person(
        "王伟", "wang", "wang@a.test", True, (Membership("甲", "a@a.test", tuple(Role)),),
        tuple(SealRow("甲", "ABCD", one, "2029-01-01")
              for one in ("valid", "expired", "replaced", "cancelled")),
        (LoginRow("submission", "2026-03-09 16:30", "10.1.0.7"), LoginRow("portal", "x", "::1")),
        (CertificateRow("ab", "CN=wang", "2029-01-01"), CertificateRow("cd", "", "")),
        ("10.0.0.0/8",), "UTC+08:00",
    )  # fmt: skip
    bare = Person("王", "w", "w@a.test", False, (), (), (), (), (), "UTC+08:00")
    for one, fault in ((person, "short"), (bare, "")):
        yield Sample(
            TEMPLATE,
            {"office": "甲", "person": one, "form_token": "1", "fault": fault, "sentence": fault,
             "changed": not fault, "shortest": 8, "longest": 128},
        )  # fmt: skip


def _memberships(directory: Directory, account: Account, language: str) -> Iterator[Membership]:
    for one in account.memberships:
        unit = directory.unit_by_id(one.unit_id)
        if unit is not None:
            name = unit_name(unit.name, unit.name_en, language)
            roles = tuple(role.value for role in Role if role in one.roles)
            yield Membership(name, str(unit.address), roles)


def _seals(
    directory: Directory,
    account: Account,
    book: SealBook,
    language: str,
    now: datetime,
    zone: tzinfo,
) -> Iterator[SealRow]:
    for one in account.memberships:
        unit = directory.unit_by_id(one.unit_id)
        if unit is None:
            continue
        for seal in book.of_unit(unit.id):
            yield SealRow(
                unit_name(unit.name, unit.name_en, language),
                grouped(seal.fingerprint),
                seal_state(seal, now),
                local_time(seal.expires_at, zone)[:10] if seal.expires_at else "",
            )


def _certificates(directory: Directory, account: Account, zone: tzinfo) -> Iterator[CertificateRow]:
    # Reading certificates takes a tenth of a second to import, and most accounts have none.
    if not account.certificates:
        return
    from gateway.directory.certificates import describe  # noqa: PLC0415

    for fingerprint in sorted(account.certificates):
        subject, expires = "", ""
        der = directory.certificate(fingerprint)
        if der is not None:
            try:
                known = describe(der)
            except CommandError:
                pass
            else:
                subject = known.subject
                expires = local_time(known.expires.astimezone(UTC), zone)[:10]
        yield CertificateRow(fingerprint, subject, expires)
