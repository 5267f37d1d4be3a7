"""What may stand in the directory: each check returns the tidy form or says what is wrong."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import Connection, inspect, select, text

from gateway.directory import tables as t
from gateway.directory.snapshot import OPERATOR_NAMES
from gateway.errors import CommandError

E = TypeVar("E", bound=StrEnum)

LANGUAGES = ("zh-CN", "en")
RECEIPT_STYLES = ("full", "brief", "machine")
RESERVED = (*OPERATOR_NAMES, "mailer-daemon")

_CODE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LOGIN = re.compile(r"[a-z0-9](?:[._-]?[a-z0-9]){0,62}")
_MOBILE = re.compile(r"\+?[0-9]{3,20}")
_LANDLINE = re.compile(r"\+?[0-9][0-9-]{2,23}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_NAME_LIMIT = 120


def code(value: str, what: str) -> str:
    """A unit code, group name or desk name."""
    if not _CODE.fullmatch(value):
        raise CommandError(
            f"{what} {value!r}: use lower-case letters a-z, digits and hyphens, a letter first, "
            "for example water"
        )
    return value


def login(value: str) -> str:
    """A login; also the local part of a personal address."""
    if not _LOGIN.fullmatch(value):
        raise CommandError(
            f"login {value!r}: use lower-case letters a-z, digits, and single . _ - between them, "
            "for example water-li"
        )
    return value


def name(value: str, what: str, *, empty: bool = False) -> str:
    """A name for people. It goes into mail headers, so it has no control characters."""
    value = value.strip()
    if not value and not empty:
        raise CommandError(f"{what}: this must not be empty")
    if len(value) > _NAME_LIMIT:
        raise CommandError(f"{what}: at most {_NAME_LIMIT} characters")
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in value):
        raise CommandError(f"{what}: there is an invisible character in {value!r}")
    return value


def language(value: str, *, empty: bool = False) -> str:
    """A language that templates exist for."""
    if value not in LANGUAGES and not (empty and not value):
        raise CommandError(f"language {value!r}: choose one of {', '.join(LANGUAGES)}")
    return value


def receipt_style(value: str) -> str:
    """How an account wants its receipts; empty: as the office does."""
    if value and value not in RECEIPT_STYLES:
        raise CommandError(f"receipts {value!r}: choose one of {', '.join(RECEIPT_STYLES)}")
    return value


def mobile(value: str) -> str:
    """A mobile number, without blanks and hyphens; empty: none."""
    tidy = re.sub(r"[\s-]", "", value)
    if tidy and not _MOBILE.fullmatch(tidy):
        raise CommandError(f"mobile {value!r}: use digits, with a + first for another country")
    return tidy


def landline(value: str) -> str:
    """A landline number, hyphens kept; empty: none."""
    tidy = re.sub(r"\s", "", value)
    if tidy and not _LANDLINE.fullmatch(tidy):
        raise CommandError(f"landline {value!r}: use digits and hyphens, for example 022-27300001")
    return tidy


def network(value: str) -> str:
    """An IP network; a single address is a network of one."""
    try:
        return str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        raise CommandError(
            f"network {value!r}: write an IP address or a network such as 10.8.3.0/24"
        ) from None


def fingerprint(value: str) -> str:
    """The SHA-256 fingerprint of a client certificate, as `openssl x509 -fingerprint` shows it."""
    tidy = value.strip().replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(tidy):
        raise CommandError(
            f"certificate {value!r}: give the SHA-256 fingerprint, 64 hexadecimal digits, as "
            "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it"
        )
    return tidy


def choice(kind: type[E], value: str, what: str) -> E:
    """One of the values of an enumeration."""
    try:
        return kind(value)
    except ValueError:
        raise CommandError(f"{what} {value!r}: choose one of {', '.join(kind)}") from None


def free(conn: Connection, value: str, *, apart_from: Collection[str] = ()) -> str:
    """The name, if nobody in the office has it: codes, logins, groups and desks are addresses.

    `apart_from` are kinds that may have the name (the unit or desk of an account, itself).
    """
    if value in RESERVED:
        raise CommandError(f"{value!r} is kept for the operators; choose another name")
    places = (
        ("unit", t.units.c.code),
        ("group", t.groups.c.name),
        ("desk", t.desks.c.name),
        ("account", t.accounts.c.login),
    )
    for kind, column in places:
        taken = conn.execute(select(column).where(column == value)).first()
        if taken and kind not in apart_from:
            article = "an" if kind == "account" else "a"
            raise CommandError(f"{value!r} is taken: there is {article} {kind} of that name")
    return value


def references(conn: Connection, kind: str, key: int, *, own: frozenset[str]) -> list[str]:
    """Tables with a row that names this unit or account, apart from our `own` tables.

    Asks the database itself, since the tables of higher floors are not known here; by the rule of
    the house such a column is called `unit_id` or ends in `_unit_id` (`account_id` likewise).
    """
    found = []
    inspector = inspect(conn)
    quote = conn.dialect.identifier_preparer.quote
    for table in inspector.get_table_names():
        if table in own:
            continue
        for column in inspector.get_columns(table):
            if column["name"] == kind or column["name"].endswith(f"_{kind}"):
                query = text(
                    f"SELECT 1 FROM {quote(table)} WHERE {quote(column['name'])} = :key"  # noqa: S608  # quoted names
                )
                if conn.execute(query, {"key": key}).first():
                    found.append(table)
                    break
    return found
