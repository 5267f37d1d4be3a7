"""Units that cannot take part: nobody logs in for them, nobody is reminded, no seal is theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection

from gateway.directory.model import Unit
from gateway.directory.snapshot import load
from gateway.seals.custody import load_book
from gateway.survey.finding import Finding, advice

_MOST = 8


def check_people(connection: Connection, domain: str, now: datetime) -> Iterator[Finding]:
    """What is missing, all units of one kind in one sentence."""
    directory = load(connection, domain)
    units = [unit for unit in directory.units() if unit.active]
    staffed = {
        membership.unit_id
        for account in directory.accounts()
        if account.active
        for membership in account.memberships
    }
    sealed = {
        seal.unit_id
        for seal in load_book(connection).seals
        if seal.in_force and (seal.expires_at is None or seal.expires_at > now)
    }
    yield from _without(
        "an account, so nobody reads their mail",
        (unit for unit in units if unit.id not in staffed),
        "yizhan account add LOGIN --name NAME --unit UNIT:clerk",
    )
    yield from _without(
        "a duty person with a mobile, so no reminder reaches them",
        (unit for unit in units if not any(one.mobile for one in directory.duty(unit.id))),
        "yizhan duty add UNIT --name NAME --post clerk --mobile NUMBER",
    )
    yield from _without(
        "a seal in force, so what they send as a document is marked unsealed",
        (unit for unit in units if unit.id not in sealed),
        "yizhan seal issue UNIT --out DIR",
    )


def _without(what: str, units: Iterable[Unit], remedy: str) -> Iterator[Finding]:
    codes = sorted(unit.code for unit in units)
    if codes:
        more = f" and {len(codes) - _MOST} more" if len(codes) > _MOST else ""
        word = "unit has" if len(codes) == 1 else "units have"
        names = f"{', '.join(codes[:_MOST])}{more}"
        yield advice(f"{len(codes)} {word} not {what}: {names}", f"`{remedy}`")
