"""What the office writes into mailboxes, and what it needs to know of the readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.directory.live import LiveDirectory
from gateway.directory.model import Owner
from gateway.directory.snapshot import Directory
from gateway.domain.clock import Clock
from gateway.seals.signer import Signer
from gateway.store.blobs import Blobs
from gateway.store.database import Database
from gateway.templating import Templates
from mailboxes.store import MailboxStore


@dataclass(frozen=True, slots=True)
class Bureau:
    """Everything that a letter of the office is made with."""

    database: Database
    blobs: Blobs
    mailboxes: MailboxStore
    directory: LiveDirectory
    templates: Templates
    signer: Signer
    clock: Clock
    domain: str
    host: str
    name: str
    name_en: str
    style: str  # of receipts, where nobody chose
    security_officer: str  # login; empty: the operators
    warn: Callable[[str, str], str]  # language, code of a warning -> its sentence

    def office(self, language: str) -> str:
        """The office's name in that language."""
        return self.name_en or self.name if language == "en" else self.name


def unit_name(directory: Directory, unit_id: int | None, language: str) -> str:
    """The unit's name in that language; empty if there is none."""
    unit = None if unit_id is None else directory.unit_by_id(unit_id)
    if unit is None:
        return ""
    return unit.name_en or unit.name if language == "en" else unit.name


def telephone(directory: Directory, unit_id: int | None) -> str:
    """Whom to telephone in that unit: the first landline of its roster, else the first mobile."""
    people = directory.duty(unit_id) if unit_id is not None else ()
    for number in (*(p.landline for p in people), *(p.mobile for p in people)):
        if number:
            return number
    return ""


def language_of(owner: Owner | None, fallback: str = "zh-CN") -> str:
    """The language in which the owner reads."""
    return owner.language if owner and owner.language else fallback
