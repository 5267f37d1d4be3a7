"""Gives the directory out as the rows of a CSV file that an empty office can take in."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.directory.csvfile import Kind
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory


def give(directory: Directory) -> list[dict[str, str]]:
    """The rows of a file that, taken into an empty office, makes the same directory.

    Passwords are not in it: the office they go to makes its own.
    """
    codes = {unit.id: unit.code for unit in directory.units()}
    rows = [_give_unit(unit, codes) for unit in directory.units()]
    rows += [
        {
            "kind": Kind.GROUP.value,
            "code": group.name,
            "name": group.title,
            "members": ";".join(codes[member] for member in group.members),
            "senders": ";".join(sorted(group.senders)),
        }
        for group in directory.groups()
    ]
    rows += [
        {
            "kind": Kind.DESK.value,
            "code": desk.name,
            "name": desk.title,
            "units": codes[desk.unit_id],
        }
        for desk in directory.desks()
    ]
    rows += [_give_account(account, codes) for account in directory.accounts()]
    rows += [
        {
            "kind": Kind.DUTY.value,
            "code": unit.code,
            "name": person.name,
            "post": person.post.value,
            "mobile": person.mobile,
            "landline": person.landline,
            "position": str(person.position),
            "language": person.language,
        }
        for unit in directory.units()
        for person in directory.duty(unit.id)
    ]
    return rows


def _give_unit(unit: Unit, codes: Mapping[int, str]) -> dict[str, str]:
    return {
        "kind": Kind.UNIT.value,
        "code": unit.code,
        "name": unit.name,
        "name_en": unit.name_en,
        "level": unit.level.value,
        "class": unit.unit_class.value,
        "parent": codes[unit.parent_id] if unit.parent_id else "",
        "successor": codes[unit.successor_id] if unit.successor_id else "",
        "language": unit.language,
        "organ_code": unit.organ_code,
        "seal_limit": "" if unit.seal_limit is None else str(unit.seal_limit),
        "marks": _yes(unit.subject_marks),
        "unchecked": ";".join(sorted(unit.unchecked)),
        "active": _yes(unit.active),
    }


def _give_account(account: Account, codes: Mapping[int, str]) -> dict[str, str]:
    return {
        "kind": Kind.ACCOUNT.value,
        "code": account.login,
        "name": account.name,
        "language": account.language,
        "active": _yes(account.active),
        "units": ";".join(
            f"{codes[m.unit_id]}:{'+'.join(sorted(m.roles))}" for m in account.memberships
        ),
        "account": account.kind.value,
        "address": account.address.local,
        "networks": ";".join(str(network) for network in account.networks),
        "certificates": ";".join(sorted(account.certificates)),
        "receipts": account.receipt_style,
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
