"""Certificates and keys that end soon, or have ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from gateway.config import Config
from gateway.directory.tables import units
from gateway.domain.clock import milliseconds, moment
from gateway.errors import YizhanError
from gateway.seals.tables import seal_book, seals

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class End:
    """Something that no longer counts from a moment on."""

    what: str  # certificate, client-ca, office-key, recovery-key, seal
    name: str  # the file, or the seal's fingerprint
    unit: str  # code, of a seal
    at: datetime

    def sentence(self, now: datetime) -> str:
        """What a person reads."""
        whose = f" of {self.unit}" if self.unit else ""
        word = _WORDS[self.what]
        days = (self.at - now) // timedelta(days=1)
        if self.at <= now:
            return f"{word} {self.name}{whose} has ended on {self.at:%Y-%m-%d}"
        when = "today" if days < 1 else "tomorrow" if days == 1 else f"in {days} days"
        return f"{word} {self.name}{whose} ends {when}, on {self.at:%Y-%m-%d}"


_WORDS = {
    "certificate": "the TLS certificate",
    "client-ca": "the CA of client certificates",
    "office-key": "the office key",
    "recovery-key": "the recovery key",
    "seal": "the seal",
}


def find_ends(connection: Connection, config: Config, now: datetime) -> tuple[End, ...]:
    """What ends within 30 days or has ended, the first first; of seals those in force."""
    found = [*_files(config), *_keys(connection, config), *_seals(connection, now + SOON)]
    return tuple(sorted((one for one in found if one.at <= now + SOON), key=lambda one: one.at))


def _files(config: Config) -> Iterator[End]:
    for what, path in (
        ("certificate", config.tls.certificate),
        ("client-ca", config.submission.client_ca),
    ):
        end = None if path is None else end_of_file(path)
        if end is not None:
            yield End(what, str(path), "", end)


def end_of_file(path: Path) -> datetime | None:
    """When the first certificate of a PEM file ends; None if it cannot be read."""
    from cryptography import x509  # noqa: PLC0415  # slow to import

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None  # `yizhan check` and the doctor say what is wrong with it


def _keys(connection: Connection, config: Config) -> Iterator[End]:
    from gateway.seals.certificate import read_certificate  # noqa: PLC0415  # slow to import

    office = connection.scalar(select(seal_book.c.office_certificate)) or b""
    keys = [("office-key", "", office)]
    if config.recovery.certificate is not None:
        try:
            octets = config.recovery.certificate.read_bytes()
        except OSError:
            octets = b""
        keys.append(("recovery-key", str(config.recovery.certificate), octets))
    for what, name, octets in keys:
        try:
            facts = read_certificate(octets) if octets else None
        except YizhanError:
            facts = None
        if facts is not None and facts.expires_at is not None:
            yield End(what, name or facts.fingerprint[-16:], "", facts.expires_at)


def _seals(connection: Connection, until: datetime) -> Iterator[End]:
    query = (
        select(units.c.code, seals.c.fingerprint, seals.c.expires_at)
        .select_from(seals.join(units, units.c.id == seals.c.unit_id))
        .where(
            seals.c.expires_at <= milliseconds(until),
            seals.c.replaced_at.is_(None),
            seals.c.cancelled_at.is_(None),
        )
    )
    for code, fingerprint, end in connection.execute(query):
        yield End("seal", fingerprint[-16:], code, moment(end))
