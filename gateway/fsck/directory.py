"""References into the directory: a unit or account with a past is never removed."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gateway.exchange.tables import documents
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.standing import Standing
from gateway.seals.tables import seals

_PORTION = 500


def check_references(dossier: Dossier, standing: Standing, found: Findings) -> None:
    """What one document or refusal names of the directory."""
    directory, row = standing.directory, dossier.document or dossier.refusal
    missing: list[str] = []
    if row is not None:
        if directory.unit_by_id(row.unit_id) is None:
            missing.append(f"unit {row.unit_id}, which sent it")
        if directory.account_by_id(row.account_id) is None:
            missing.append(f"account {row.account_id}, which sent it")
    for one in dossier.deliveries:
        unit = None if one.unit_id is None else directory.unit_by_id(one.unit_id)
        if one.unit_id is not None and unit is None:
            missing.append(f"unit {one.unit_id}, to which it was delivered")
        elif (
            unit is not None and one.owner.startswith("unit:") and one.owner != f"unit:{unit.code}"
        ):
            missing.append(f"unit {one.unit_id}, which is not {one.owner}")
    for reminder in dossier.reminders:
        if directory.unit_by_id(reminder.unit_id) is None:
            missing.append(f"unit {reminder.unit_id}, which was to be reminded")
    if missing:
        what = f"document {dossier.id} names " + "; ".join(dict.fromkeys(missing))
        found.add(Code.REFERENCE_MISSING, dossier.id, what)


def check_earlier(connection: Connection, dossiers: list[Dossier], found: Findings) -> None:
    """The documents of which others are possible duplicates are there."""
    named = {
        one.document.possible_duplicate_of: one.id
        for one in dossiers
        if one.document is not None and one.document.possible_duplicate_of
    }
    ids = list(named)
    for start in range(0, len(ids), _PORTION):
        some = ids[start : start + _PORTION]
        known = set(connection.scalars(select(documents.c.id).where(documents.c.id.in_(some))))
        for earlier in some:
            if earlier not in known:
                found.add(
                    Code.REFERENCE_MISSING, named[earlier],
                    f"document {named[earlier]} is a possible duplicate of {earlier}, which does "
                    "not exist",
                )  # fmt: skip


def check_seal_units(connection: Connection, standing: Standing, found: Findings) -> None:
    """Each seal is a unit's."""
    for row in connection.execute(select(seals.c.fingerprint, seals.c.unit_id)):
        if standing.directory.unit_by_id(row.unit_id) is None:
            found.add(
                Code.REFERENCE_MISSING, row.fingerprint,
                f"the seal {row.fingerprint} belongs to unit {row.unit_id}, which does not exist",
            )  # fmt: skip
