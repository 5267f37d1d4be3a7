"""The seals that count, as one picklable snapshot for judging signatures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Seal:
    """电子印章: an OpenPGP certificate pinned to a unit by its fingerprint."""

    id: int
    unit_id: int
    fingerprint: str  # of the primary key, upper-case hex
    certificate: bytes  # binary transferable public key
    issued_at: datetime
    expires_at: datetime | None = None
    replaced_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str = ""

    @property
    def in_force(self) -> bool:
        """Whether it was neither replaced nor cancelled."""
        return self.cancelled_at is None and self.replaced_at is None


@dataclass(frozen=True, slots=True)
class SealBook:
    """All seals of the office, those no longer in force too, and the office's own certificate."""

    seals: tuple[Seal, ...]
    office_certificate: bytes = b""  # binary transferable public key of the office key

    def of_unit(self, unit_id: int) -> tuple[Seal, ...]:
        """The unit's seals, past ones too."""
        return tuple(seal for seal in self.seals if seal.unit_id == unit_id)
